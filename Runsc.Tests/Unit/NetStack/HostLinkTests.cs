using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Security.Cryptography;
using System.Threading;
using Runsc.Boot.Wiring;
using Runsc.Container.Network;
using Runsc.Control;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Unit.NetStack;

/// <summary>The stack on an interface of the host, with the host's own stack as the peer: a veth pair between two network namespaces of the test.</summary>
public sealed class HostLinkTests : IDisposable
{
    private const string Mac = "02:00:00:00:77:02";

    private readonly List<Process> _processes = [];

    public void Dispose() => _processes.ForEach(process =>
    {
        process.Kill();
        process.WaitForExit(60_000);
        process.Dispose();
    });

    [NamespaceFact]
    public void Interface_MovesIn_AndSpeaksWithLinux()
    {
        Cable(out int inside, out int outside);
        List<int> sockets = [];
        NetworkSetup setup = NetworkScraper.TakeOver(inside, sockets);
        LinkSetup link = Assert.Single(setup.Links, one => !one.IsLoopback);
        Assert.Equal("eth0", link.Name);
        Assert.Equal(Mac, link.Mac);
        Assert.Contains(link.Addresses, address => address is { Address: "10.77.0.2", PrefixLength: 24, Broadcast: "10.77.0.255" });
        Assert.Contains(link.Routes, route => route is { Destination: "0.0.0.0", Gateway: "10.77.0.1" });
        Assert.Equal("02:00:00:00:77:09", Assert.Single(link.Neighbors).Mac);
        Assert.Single(sockets);
        Assert.DoesNotContain("10.77.0.2", Run("nsenter", $"-t {inside} -n ip addr"), StringComparison.Ordinal);

        NetworkStack stack = HostStack.Create();
        SandboxNetwork.Populate(stack, setup, sockets);
        Assert.Contains(" 0% packet loss", Run("nsenter", $"-t {outside} -n ping -c 3 -i 0.2 -W 5 10.77.0.2"), StringComparison.Ordinal);
        Assert.Contains(" 0% packet loss", Run("nsenter", $"-t {outside} -n ping -c 3 -i 0.2 -W 5 -s 20000 10.77.0.2"), StringComparison.Ordinal);
        Assert.Contains(" 0% packet loss", Run("nsenter", $"-t {outside} -n ping -6 -c 3 -i 0.2 -W 5 -s 3000 fd77::2"), StringComparison.Ordinal);

        UdpEndpoint echo = new(stack, isV4: false);
        Assert.Equal(NetError.None, echo.Bind(new IpEndpoint(IpAddress.AnyV6, 7)));
        using CancellationTokenSource end = new();
        Thread server = new(() => Echo(echo, end.Token));
        server.Start();
        const string Client = """
            import socket, sys
            for family, address in ((socket.AF_INET, '10.77.0.2'), (socket.AF_INET6, 'fd77::2')):
                for size in (1, 1400, 9000, 60000):
                    s = socket.socket(family, socket.SOCK_DGRAM)
                    s.settimeout(10)
                    data = bytes((i * 7 + size) % 251 for i in range(size))
                    s.sendto(data, (address, 7))
                    print(family, size, s.recvfrom(65536)[0] == data)
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.settimeout(10)
            s.connect(('10.77.0.2', 9))
            s.send(b'x')
            try:
                s.recv(10)
            except ConnectionRefusedError:
                print('refused')
            """;
        string script = Path.GetTempFileName();
        File.WriteAllText(script, Client);
        string output = Run("nsenter", $"-t {outside} -n python3 {script}");
        File.Delete(script);
        end.Cancel();
        server.Join();
        echo.Close();
        Assert.Equal(8, output.Split('\n').Count(line => line.EndsWith("True", StringComparison.Ordinal)));
        Assert.Contains("refused", output, StringComparison.Ordinal);
    }

    /// <summary>TCP against Linux's own, both ways, with segmentation by the device and MTUs large and small.</summary>
    [NamespaceTheory]
    [InlineData(1500, 20 << 20)]
    [InlineData(600, 2 << 20)]
    public void Tcp_WithLinux_TransfersWhole(int mtu, int size)
    {
        Cable(out int inside, out int outside);
        Run("nsenter", $"-t {inside} -n ip link set eth0 mtu {mtu}");
        Run("nsenter", $"-t {outside} -n ip link set v1 mtu {mtu}");
        List<int> sockets = [];
        NetworkSetup setup = NetworkScraper.TakeOver(inside, sockets);
        NetworkStack stack = HostStack.Create();
        SandboxNetwork.Populate(stack, setup, sockets);
        TcpEndpoint listener = stack.Tcp!.CreateEndpoint(isV6: false);
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(IpAddress.AnyV4, 9000)));
        Assert.Equal(NetError.None, listener.Listen(10));
        string script = Path.GetTempFileName();
        File.WriteAllText(script, """
            import hashlib, socket, sys, threading
            size = int(sys.argv[1])
            s = socket.create_connection(('10.77.0.2', 9000), 100)
            def send():
                s.sendall(bytes(i % 249 for i in range(4980)) * (size // 4980 + 1))
                s.shutdown(socket.SHUT_WR)
            threading.Thread(target=send).start()
            h = hashlib.sha256()
            n = 0
            while True:
                data = s.recv(1 << 20)
                if not data:
                    break
                h.update(data)
                n += len(data)
            print(n, h.hexdigest())
            """);
        using Process client = Process.Start(new ProcessStartInfo("nsenter", $"-t {outside} -n python3 {script} {size}") { RedirectStandardOutput = true })!;
        TcpEndpoint? connection = null;
        Until(() => listener.Accept(out connection) == NetError.None);
        byte[] buffer = new byte[256 << 10];
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long total = 0;
        while (true)
        {
            int count = 0;
            NetError error = NetError.WouldBlock;
            Until(() => (error = connection!.Receive(buffer, peek: false, out count)) != NetError.WouldBlock);
            Assert.Equal(NetError.None, error);
            if (count == 0)
            {
                break;
            }

            hash.AppendData(buffer, 0, count);
            total += count;

            // All of it goes back.
            for (int sent = 0; sent < count;)
            {
                int part = 0;
                Until(() => (error = connection!.Send(buffer.AsSpan(sent, count - sent), TcpSendFlags.None, out part)) != NetError.WouldBlock);
                Assert.Equal(NetError.None, error);
                sent += part;
            }
        }

        connection!.Shutdown(reading: false, writing: true);
        string result = client.StandardOutput.ReadToEnd();
        Assert.True(client.WaitForExit(100_000));
        File.Delete(script);
        Assert.Equal($"{total} {Convert.ToHexStringLower(hash.GetHashAndReset())}\n", result);
        Assert.Equal((size / 4980 + 1) * 4980, total);
        connection.Close();
        listener.Close();
    }

    [NamespaceFact]
    public void NameServerOfTheNamespace_IsReachedAtItsAddress()
    {
        int inside = Hold();
        Run("nsenter", $"-t {inside} -n ip link set lo up");
        string script = Path.GetTempFileName();
        File.WriteAllText(script, """
            import socket
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind(('127.0.0.11', 0))
            print('ready', flush=True)
            while True:
                data, peer = s.recvfrom(4096)
                s.sendto(data[:2] + b'answer to ' + data[2:], peer)
            """);
        Process server = Process.Start(new ProcessStartInfo("nsenter", $"-t {inside} -n python3 {script}") { RedirectStandardOutput = true })!;
        _processes.Add(server);
        Assert.Equal("ready", server.StandardOutput.ReadLine());
        File.Delete(script);
        List<int> sockets = [];
        NetworkSetup setup = NetworkScraper.TakeOver(inside, sockets);
        Assert.True(setup.HasResolver);
        NetworkStack stack = HostStack.Create();
        SandboxNetwork.Populate(stack, setup, sockets);
        UdpEndpoint[] clients = [new(stack, isV4: true), new(stack, isV4: true)];
        for (int i = 0; i < clients.Length; i++)
        {
            PacketBuffer query = stack.Pool.Allocate(PacketBuffer.Headroom, 32);
            "\u0001\u0002query number "u8.CopyTo(query.Append(15));
            query.Append(1)[0] = (byte)('0' + i);
            clients[i].Connect(new IpEndpoint(IpAddress.FromV4(127, 0, 0, 11), 53));
            Assert.Equal(NetError.None, clients[i].Send(query, new DatagramSend { TrafficClass = -1 }));
        }

        for (int i = 0; i < clients.Length; i++)
        {
            ReceivedDatagram got;
            Stopwatch waited = Stopwatch.StartNew();
            while (clients[i].Receive(false, out got) == NetError.WouldBlock)
            {
                Assert.True(waited.Elapsed.TotalSeconds < 30, "no answer");
                Thread.Sleep(1);
            }

            byte[] bytes = new byte[got.Packet.Length];
            got.Packet.CopyTo(0, bytes);
            got.Packet.Release();
            Assert.Equal($"\u0001\u0002answer to query number {i}", System.Text.Encoding.ASCII.GetString(bytes));
            clients[i].Close();
        }
    }

    [NamespaceFact]
    public void HostsOwnNamespace_IsRefused()
    {
        if (!File.Exists("/proc/sys/net/core/dev_weight"))
        {
            // The tests themselves run in a namespace of a container: there is nothing to be refused.
            return;
        }

        Assert.Throws<Runsc.Common.RunscException>(() => NetworkScraper.TakeOver(Environment.ProcessId, []));
    }

    private static void Until(Func<bool> condition)
    {
        Stopwatch waited = Stopwatch.StartNew();
        while (!condition())
        {
            Assert.True(waited.Elapsed.TotalSeconds < 120, "nothing happens");
            Thread.Sleep(1);
        }
    }

    private static void Echo(UdpEndpoint endpoint, CancellationToken end)
    {
        while (!end.IsCancellationRequested)
        {
            if (endpoint.Receive(false, out ReceivedDatagram got) != NetError.None)
            {
                Thread.Sleep(1);
                continue;
            }

            PacketBuffer reply = endpoint.Stack.Pool.Allocate(PacketBuffer.Headroom, got.Packet.Length);
            got.Packet.CopyTo(0, reply.Append(got.Packet.Length));
            got.Packet.Release();
            endpoint.Send(reply, new DatagramSend { HasDestination = true, Destination = got.Source, TrafficClass = -1 });
        }
    }

    /// <summary>Two namespaces joined by a cable: the inner one has eth0, a default route and a neighbour.</summary>
    private void Cable(out int inside, out int outside)
    {
        inside = Hold();
        outside = Hold();
        Run("nsenter", $"-t {outside} -n ip link add v1 type veth peer name eth0 address {Mac} netns {inside}");
        foreach (string command in new[]
        {
            "ip link set lo up", "ip link set eth0 up", "ip addr add 10.77.0.2/24 brd + dev eth0", "ip -6 addr add fd77::2/64 dev eth0 nodad",
            "ip route add default via 10.77.0.1", "ip neigh add 10.77.0.9 lladdr 02:00:00:00:77:09 dev eth0",
        })
        {
            Run("nsenter", $"-t {inside} -n {command}");
        }

        foreach (string command in new[] { "ip link set lo up", "ip link set v1 up", "ip addr add 10.77.0.1/24 dev v1", "ip -6 addr add fd77::1/64 dev v1 nodad" })
        {
            Run("nsenter", $"-t {outside} -n {command}");
        }
    }

    /// <summary>A process that keeps a network namespace.</summary>
    private int Hold()
    {
        Process process = Process.Start(new ProcessStartInfo("unshare", "-n sh -c \"echo ready; exec sleep 300\"") { RedirectStandardOutput = true })!;
        _processes.Add(process);
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        return process.Id;
    }

    private static string Run(string program, string arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        string output = process.StandardOutput.ReadToEnd() + process.StandardError.ReadToEnd();
        Assert.True(process.WaitForExit(60_000));
        Assert.True(process.ExitCode == 0, $"{program} {arguments}: {output}");
        return output;
    }
}

/// <summary>What tests that make network namespaces of the host need.</summary>
internal static class NamespaceTests
{
    public static string? Missing()
    {
        foreach (string tool in new[] { "/usr/sbin/ip", "/usr/bin/unshare", "/usr/bin/nsenter", "/usr/bin/ping" })
        {
            if (!File.Exists(tool))
            {
                return $"{tool} is not installed";
            }
        }

        return Environment.UserName == "root" ? null : "root is needed to make network namespaces";
    }
}

/// <summary>A test that makes network namespaces of the host.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NamespaceFactAttribute : FactAttribute
{
    public NamespaceFactAttribute() => Skip = NamespaceTests.Missing();
}

/// <summary><see cref="NamespaceFactAttribute"/> with data.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class NamespaceTheoryAttribute : TheoryAttribute
{
    public NamespaceTheoryAttribute() => Skip = NamespaceTests.Missing();
}
