using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Threading;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;
using Runsc.NetStack.Wire;
using Runsc.Tests.Support;
using Xunit;
using Xunit.Abstractions;

namespace Runsc.Tests.Interop;

/// <summary>Root and the tools for network namespaces are here.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class InteropTheoryAttribute : TheoryAttribute
{
    public InteropTheoryAttribute() => Skip =
        Environment.UserName != "root" ? "root is needed to make network namespaces"
        : !File.Exists("/usr/bin/gcc") ? "gcc is missing"
        : !File.Exists("/usr/sbin/ip") && !File.Exists("/sbin/ip") ? "ip is missing (iproute2)"
        : null;
}

/// <summary>Our TCP against Linux's over a wire that loses, delays, reorders, duplicates and swallows frames: three network namespaces of the test, a relay in the middle.</summary>
/// <remarks>Every byte is checked at its receiver. The times of Linux with itself and with us are printed beside one another; none is asserted.</remarks>
[Collection("sandbox")]
public sealed class TcpInteropTests(ITestOutputHelper output) : IDisposable
{
    private static readonly string s_programs = Path.Combine(TestEnvironment.Top, "Runsc.Tests", "Interop", "programs");

    private readonly string _folder = Directory.CreateTempSubdirectory("interop").FullName;
    private readonly List<Process> _processes = [];
    private int _a;
    private int _relay;
    private int _b;

    public void Dispose()
    {
        _processes.ForEach(process =>
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit(60_000);
            process.Dispose();
        });
        Directory.Delete(_folder, recursive: true);
    }

    [InteropTheory]
    [InlineData("clean, 5 ms", 20_000_000, "0 0 0 2500 9999", 1500)]
    [InlineData("loss 1 %", 5_000_000, "1 0 0 2500 9999", 1500)]
    [InlineData("loss 5 %", 2_000_000, "5 0 0 2500 9999", 1500)]
    [InlineData("reordering", 5_000_000, "0 0 2 2500 9999", 1500)]
    [InlineData("duplication", 5_000_000, "0 5 0 2500 9999", 1500)]
    [InlineData("100 ms", 5_000_000, "0 0 0 50000 9999", 1500)]
    [InlineData("small MTU", 2_000_000, "0 0 0 2500 9999", 600)]
    [InlineData("black hole", 2_000_000, "0 0 0 2500 1200", 1500)]
    public void Transfer_BothWays_IsWhole(string name, int bytes, string wire, int mtu)
    {
        SetUp(mtu);
        Process relay = Relay(wire);

        // Linux alone does not get through a black hole with its default settings.
        double native = wire.EndsWith("9999", StringComparison.Ordinal) ? NativeTransfer(bytes) : double.NaN;
        Stop(relay);
        Run("nsenter", $"-t {_a} -n ip addr flush dev eth0");
        string mac = Run("nsenter", $"-t {_a} -n cat /sys/class/net/eth0/address").Trim();

        relay = Relay(wire);
        using Peer peer = new(_a, mac, mtu);
        double sent = SendTo(peer, bytes);
        double received = double.IsNaN(native) ? double.NaN : ReceiveFrom(peer, bytes);
        Stop(relay);
        TcpStatistics statistics = peer.Tcp.Statistics;
        output.WriteLine(FormattableString.Invariant(
            $"{name}: Linux to Linux {native:F2} s, ours to Linux {sent:F2} s ({native / sent:F2}x), Linux to ours {received:F2} s ({native / received:F2}x)"));
        output.WriteLine(FormattableString.Invariant(
            $"  sent again {statistics.RetransSegs}, time-outs {statistics.Timeouts}, probes {statistics.LossProbes}, undone {statistics.FullUndo + statistics.PartialUndo + statistics.LossUndo + statistics.DsackUndo}"));
        Assert.Equal(0, statistics.InErrs);
        if (double.IsNaN(native))
        {
            Assert.True(statistics.MtuProbeBlackHole > 0);
        }
    }

    /// <summary>A to B by Linux on both sides; seconds.</summary>
    private double NativeTransfer(int bytes)
    {
        Process receiver = Receiver(bytes);
        string sent = Run("nsenter", $"-t {_a} -n timeout 200 {_folder}/xfer send 10.77.0.2 5001 {bytes}");
        CheckReceived(receiver, bytes);
        return double.Parse(sent.Split(' ')[2], CultureInfo.InvariantCulture);
    }

    private double SendTo(Peer peer, int bytes)
    {
        Process receiver = Receiver(bytes);
        long start = Stopwatch.GetTimestamp();
        TcpEndpoint endpoint = peer.Tcp.CreateEndpoint(isV6: false);
        endpoint.Notifier.Listener = peer;
        Assert.Equal(NetError.InProgress, endpoint.Connect(new IpEndpoint(IpAddress.FromV4(10, 77, 0, 2), 5001)));
        peer.Until(() => endpoint.ConnectResult() != NetError.InProgress);
        byte[] buffer = new byte[65536];
        for (int done = 0; done < bytes;)
        {
            int size = Math.Min(buffer.Length, bytes - done);
            Fill(buffer, done, size);
            for (int at = 0; at < size;)
            {
                NetError error = endpoint.Send(buffer.AsSpan(at, size - at), TcpSendFlags.None, out int sent);
                if (error == NetError.WouldBlock)
                {
                    peer.Wait();
                    continue;
                }

                Assert.Equal(NetError.None, error);
                at += sent;
            }

            done += size;
        }

        Assert.Equal(NetError.None, endpoint.Shutdown(false, true));
        int count = -1;
        peer.Until(() => endpoint.Receive(buffer.AsSpan(0, 1), false, out count) != NetError.WouldBlock);
        Assert.Equal(0, count);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        endpoint.Close();
        CheckReceived(receiver, bytes);
        return seconds;
    }

    private double ReceiveFrom(Peer peer, int bytes)
    {
        TcpEndpoint listener = peer.Tcp.CreateEndpoint(isV6: false);
        Assert.Equal(NetError.None, listener.Bind(new IpEndpoint(IpAddress.AnyV4, 5002)));
        Assert.Equal(NetError.None, listener.Listen(5));
        Process sender = Start("nsenter", $"-t {_b} -n timeout 200 {_folder}/xfer send 10.77.0.1 5002 {bytes}");
        TcpEndpoint? endpoint = null;
        listener.Notifier.Listener = peer;
        peer.Until(() => listener.Accept(out endpoint) == NetError.None);
        endpoint!.Notifier.Listener = peer;
        byte[] buffer = new byte[65536];
        byte[] expected = new byte[65536];
        int received = 0;
        while (true)
        {
            NetError error = endpoint.Receive(buffer, false, out int count);
            if (error == NetError.WouldBlock)
            {
                peer.Wait();
                continue;
            }

            Assert.Equal(NetError.None, error);
            if (count == 0)
            {
                break;
            }

            Fill(expected, received, count);
            Assert.True(expected.AsSpan(0, count).SequenceEqual(buffer.AsSpan(0, count)), $"wrong bytes from {received} on");
            received += count;
        }

        Assert.Equal(bytes, received);
        endpoint.Close();
        string text = sender.StandardOutput.ReadToEnd();
        listener.Close();
        return double.Parse(text.Split(' ')[2], CultureInfo.InvariantCulture);
    }

    private static void Fill(byte[] buffer, int from, int count)
    {
        for (int i = 0; i < count; i++)
        {
            buffer[i] = unchecked((byte)(((from + i) * 7) + ((from + i) >> 8)));
        }
    }

    private Process Receiver(int bytes)
    {
        Process receiver = Start("nsenter", $"-t {_b} -n timeout 200 {_folder}/xfer recv 5001 {bytes}");
        Assert.Equal("ready", receiver.StandardOutput.ReadLine());
        return receiver;
    }

    private static void CheckReceived(Process receiver, int bytes)
    {
        string text = receiver.StandardOutput.ReadToEnd();
        Assert.StartsWith($"received {bytes} 0 ", text, StringComparison.Ordinal);
    }

    private void SetUp(int mtu)
    {
        Run("gcc", $"-O2 -Wall -Wextra -Werror -o {_folder}/relay {s_programs}/relay.c");
        Run("gcc", $"-O2 -Wall -Wextra -Werror -o {_folder}/xfer {s_programs}/xfer.c");
        _a = Hold();
        _relay = Hold();
        _b = Hold();
        Run("nsenter", $"-t {_relay} -n ip link add ra type veth peer name eth0 netns {_a}");
        Run("nsenter", $"-t {_relay} -n ip link add rb type veth peer name eth0 netns {_b}");
        foreach ((int space, string link) in new[] { (_a, "eth0"), (_b, "eth0"), (_relay, "ra"), (_relay, "rb") })
        {
            // Frames as they would be on a wire: whole checksums, no large segments.
            Run("nsenter", $"-t {space} -n ethtool -K {link} tx off gso off tso off gro off");
            Run("nsenter", $"-t {space} -n ip link set {link} mtu {mtu} up");
        }

        Run("nsenter", $"-t {_a} -n ip addr add 10.77.0.1/24 dev eth0");
        Run("nsenter", $"-t {_b} -n ip addr add 10.77.0.2/24 dev eth0");
    }

    private Process Relay(string wire)
    {
        Process relay = Start("nsenter", $"-t {_relay} -n {_folder}/relay ra rb {wire} 1");
        Assert.Equal("ready", relay.StandardOutput.ReadLine());
        return relay;
    }

    private static void Stop(Process process)
    {
        process.Kill(entireProcessTree: true);
        Assert.True(process.WaitForExit(60_000));
    }

    /// <summary>A process that keeps a network namespace.</summary>
    private int Hold()
    {
        Process process = Start("unshare", "-n sh -c \"echo ready; exec sleep 600\"");
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        return process.Id;
    }

    private Process Start(string program, string arguments)
    {
        Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        _processes.Add(process);
        return process;
    }

    private static string Run(string program, string arguments, bool mayFail = false)
    {
        CommandResult result = CommandRunner.Run("/bin/sh", ["-c", $"exec {program} {arguments}"]);
        Assert.True(result.Status == 0 || mayFail, $"{program} {arguments}: {result}");
        return result.Output;
    }

    /// <summary>Our stack on an interface of a namespace, with its threads.</summary>
    private sealed class Peer : IEndpointEvents, IDisposable
    {
        private readonly AutoResetEvent _event = new(false);
        private readonly AutoResetEvent _timer = new(false);
        private readonly PacketDevice _device;
        private readonly Thread _timers;
        private volatile bool _stopped;

        public Peer(int process, string mac, int mtu)
        {
            Stack = new NetworkStack(new RealClock(), new RealRandom(), new BufferPool()) { TimerWaker = new Waker(_timer) };
            Tcp = new TcpProtocol(Stack);
            _device = new PacketDevice(process, "eth0", MacAddress.Read(Convert.FromHexString(mac.Replace(":", "", StringComparison.Ordinal))), mtu);
            using (Stack.Enter())
            {
                Stack.Register(Tcp);
                Assert.Equal(NetError.None, Stack.AddInterface("eth0", _device, out NetworkInterface? added));
                Assert.Equal(NetError.None, Stack.AddAddress(new InterfaceAddress(added!, IpAddress.FromV4(10, 77, 0, 1), 24)));
                Stack.SetUp(added!, up: true);
            }

            _device.Start();
            _timers = new Thread(RunTimers) { IsBackground = true };
            _timers.Start();
        }

        public NetworkStack Stack { get; }

        public TcpProtocol Tcp { get; }

        public void OnEvents(NetEvents events) => _event.Set();

        public void Wait() => _event.WaitOne(1000);

        public void Until(Func<bool> condition)
        {
            for (long start = Stopwatch.GetTimestamp(); !condition();)
            {
                Assert.True(Stopwatch.GetElapsedTime(start).TotalSeconds < 180, "waited for three minutes");
                _event.WaitOne(100);
            }
        }

        public void Dispose()
        {
            _stopped = true;
            _timer.Set();
            _timers.Join();
            _device.Dispose();
        }

        private void RunTimers()
        {
            while (!_stopped)
            {
                long next = Stack.RunTimers();
                long wait = next == NetTimer.Never ? 1000 : ((next - Stack.Clock.Monotonic) / 1_000_000) + 1;
                if (wait > 0)
                {
                    _timer.WaitOne((int)Math.Min(wait, 1000));
                }
            }
        }

        private sealed class Waker(AutoResetEvent wake) : DeferredWork
        {
            public override void Run() => wake.Set();
        }
    }

    private sealed class RealClock : INetClock
    {
        public long Monotonic => (long)(Stopwatch.GetTimestamp() * (1e9 / Stopwatch.Frequency));

        public long RealTime => (DateTime.UtcNow - DateTime.UnixEpoch).Ticks * 100;
    }

    private sealed class RealRandom : INetRandom
    {
        public ulong Next() => unchecked((ulong)Random.Shared.NextInt64(long.MinValue, long.MaxValue));

        public void Fill(Span<byte> bytes) => Random.Shared.NextBytes(bytes);
    }
}
