using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Sockets;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Unit.Sockets;

/// <summary>SCM_RIGHTS and SCM_CREDENTIALS: compared with the host, and descriptors in flight counted in our kernel.</summary>
[Collection("sockets")]
public sealed class UnixRightsTests
{
    private const int Stream = Socket.SOCK_STREAM;
    private const int Datagram = Socket.SOCK_DGRAM;
    private const int DontWait = Socket.MSG_DONTWAIT;

    [Theory]
    [InlineData(Stream)]
    [InlineData(Datagram)]
    [InlineData(Socket.SOCK_SEQPACKET)]
    public void Rights_Pass(int type) => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(type);
        (int c, int d) = s.Pair(Stream);
        s.SendMessage(a, "with", SocketScript.Rights(c, d));
        s.SendMessage(a, "without");
        List<int> fds = s.ReceiveMessage(b, 100, flags: Socket.MSG_PEEK);
        s.Close([.. fds]);
        fds = s.ReceiveMessage(b, 100, flags: Socket.MSG_CMSG_CLOEXEC);
        s.Said("cloexec", s.Kernel.Call(SysNo.fcntl, (ulong)fds[0], Fcntl.F_GETFD, 0));
        s.Send(fds[0], "through the copy");
        s.Receive(d, 20);
        s.ReceiveMessage(b, 100);
        s.Close([.. fds]);
        s.SendMessage(a, "", SocketScript.Rights(c));
        s.ReceiveMessage(b, 10, flags: DontWait).ForEach(fd => s.Close(fd));
        s.SendMessage(a, "dropped by read", SocketScript.Rights(c));
        s.Receive(b, 50);
        s.SendMessage(a, "cut", SocketScript.Rights(c, c, c));
        s.ReceiveMessage(b, 50, room: 24).ForEach(fd => s.Close(fd));
        s.SendMessage(a, "no room", SocketScript.Rights(c, c, c));
        s.ReceiveMessage(b, 50, room: 0);
        s.SendMessage(a, "header only", SocketScript.Rights(c));
        s.ReceiveMessage(b, 50, room: 16);
        s.SendMessage(a, "twice", [.. SocketScript.Rights(c), .. SocketScript.Rights(d)]);
        s.ReceiveMessage(b, 50).ForEach(fd => s.Close(fd));
        s.Close(a, b, c, d);
    });

    [Fact]
    public void Rights_BadOnes() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.SendMessage(a, "x", SocketScript.Rights(-1));
        s.SendMessage(a, "x", SocketScript.Rights(a, 9999));
        s.SendMessage(a, "x", SocketScript.Rights());
        s.SendMessage(a, "x", SocketScript.Rights([.. Enumerable.Repeat(a, 254)]));
        s.SendMessage(a, "x", SocketScript.Control(Socket.SOL_SOCKET, 99, [1, 2, 3, 4]));
        s.SendMessage(a, "x", SocketScript.Control(0, 99, [1, 2, 3, 4]));
        byte[] broken = SocketScript.Rights(a);
        broken[0] = 8;
        s.SendMessage(a, "x", broken);
        broken[0] = 200;
        s.SendMessage(a, "x", broken);
        s.SendMessage(a, "x", new byte[10]);
        s.SendMessage(a, "x", new byte[200_000]);
        s.ReceiveMessage(b, 100).ForEach(fd => s.Close(fd));
        s.SendMessage(a, "most", SocketScript.Rights([.. Enumerable.Repeat(a, 253)]));
        s.ReceiveMessage(b, 10, room: 2000).ForEach(fd => s.Close(fd));
        s.Close(b);
        s.SendMessage(a, "closed", SocketScript.Rights(a));
        s.Close(a);
    });

    [Fact]
    public void Rights_BoundTheReadsOfAStream() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.Send(a, "one ");
        s.SendMessage(a, "two ", SocketScript.Rights(a));
        s.Send(a, "three ");
        s.SendMessage(a, "four", SocketScript.Rights(a));
        s.ReceiveMessage(b, 100).ForEach(fd => s.Close(fd));
        s.ReceiveMessage(b, 2).ForEach(fd => s.Close(fd));
        s.ReceiveMessage(b, 100).ForEach(fd => s.Close(fd));
        s.ReceiveMessage(b, 100, flags: DontWait).ForEach(fd => s.Close(fd));
        s.Close(a, b);
    });

    [Fact]
    public void Credentials_AreTold() => SocketScript.Compare(s =>
    {
        foreach (int type in new[] { Stream, Datagram, Socket.SOCK_SEQPACKET })
        {
            (int a, int b) = s.Pair(type);
            s.Send(a, "before");
            s.SetOption(b, Socket.SO_PASSCRED, 1);
            s.Send(a, "after");
            s.ReceiveMessage(b, 100);
            s.ReceiveMessage(b, 100, flags: DontWait);
            s.Send(a, "no room");
            s.ReceiveMessage(b, 100, room: 0);
            s.Send(a, "little room");
            s.ReceiveMessage(b, 100, room: 20);
            s.SendMessage(a, "both", SocketScript.Rights(a));
            s.ReceiveMessage(b, 100).ForEach(fd => s.Close(fd));
            int[] own = [s.Kernel.ProcessId, 0, 0];
            s.SendMessage(a, "given", SocketScript.Control(Socket.SOL_SOCKET, Socket.SCM_CREDENTIALS, MemoryMarshal.AsBytes(own.AsSpan())));
            s.ReceiveMessage(b, 100);
            int[] other = [s.Kernel.ProcessId, 12, 13];
            s.SendMessage(a, "privileged", SocketScript.Control(Socket.SOL_SOCKET, Socket.SCM_CREDENTIALS, MemoryMarshal.AsBytes(other.AsSpan())));
            s.ReceiveMessage(b, 100);
            int[] missing = [4_000_000, 0, 0];
            s.SendMessage(a, "no process", SocketScript.Control(Socket.SOL_SOCKET, Socket.SCM_CREDENTIALS, MemoryMarshal.AsBytes(missing.AsSpan())));
            s.SendMessage(a, "short", SocketScript.Control(Socket.SOL_SOCKET, Socket.SCM_CREDENTIALS, [1, 2, 3, 4]));
            s.Close(a);
            s.ReceiveMessage(b, 100, flags: DontWait);
            s.Close(b);
        }
    });

    [Fact]
    public void Credentials_OfThePeer() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        int server = s.Socket(Stream), client = s.Socket(Stream);
        Peer(s, a);
        Peer(s, server);
        s.Bind(server, s.Abstract("cred"));
        s.Listen(server, 1);
        Peer(s, server);
        s.Connect(client, s.Abstract("cred"));
        Peer(s, client);
        int accepted = s.Accept(server);
        Peer(s, accepted);
        s.Close(a, b, server, client, accepted);

        static void Peer(SocketScript s, int fd)
        {
            ulong value = s.Kernel.Allocate(12), length = s.Put(12);
            s.Said("SO_PEERCRED", s.Kernel.Call(SysNo.getsockopt, (ulong)fd, Socket.SOL_SOCKET, Socket.SO_PEERCRED, value, length));
            int process = s.GetInt(value);
            s.Say($"{(process == s.Kernel.ProcessId ? "me" : process)} {s.GetInt(value + 4)} {s.GetInt(value + 8)} [{s.GetInt(length)}]");
        }
    });

    [Fact]
    public void Table_ShowsSocketsAndNames()
    {
        SentrySystemCalls kernel = new();
        SocketScript s = new(kernel);
        int server = s.Socket(Stream);
        s.Bind(server, s.Path("shown"));
        s.Listen(server, 1);
        int named = s.Socket(Datagram);
        s.Bind(named, [1, 0, 0, (byte)'n', 0, (byte)'m']);
        string text = ((NetNamespace)kernel.Kernel.RootNetwork).Unix.Describe();
        Assert.Contains(" 00010000 0001 01 ", text, StringComparison.Ordinal);
        Assert.Contains(" /shown\n", text, StringComparison.Ordinal);
        Assert.Contains(" @n@m\n", text, StringComparison.Ordinal);
        s.Close(server, named);
        Assert.Equal(1, ((NetNamespace)kernel.Kernel.RootNetwork).Unix.Describe().Count(c => c == '\n'));
    }

    [Fact]
    public void Circles_AreCollected()
    {
        SentrySystemCalls kernel = new();
        SocketScript s = new(kernel);
        NetNamespace network = (NetNamespace)kernel.Kernel.RootNetwork;
        (int pipeA, int pipeB) = s.Pair(Stream);

        // A socket in its own peer's queue, and two pairs in each other's.
        (int a, int b) = s.Pair(Stream);
        s.SendMessage(a, "x", SocketScript.Rights(a, b, pipeB));
        (int c, int d) = s.Pair(Datagram);
        (int e, int f) = s.Pair(Stream);
        s.SendMessage(c, "x", SocketScript.Rights(e, f));
        s.SendMessage(e, "x", SocketScript.Rights(c, d));
        s.Close(a, b, c, d, e, f, pipeB);
        Assert.Equal(7, network.System.InFlight.Count);
        s.Close(s.Socket(Stream));
        Assert.Equal(0, network.System.InFlight.Count);
        Assert.Equal(0, network.System.Memory);
        s.Receive(pipeA, 1);
        Assert.EndsWith("= 0\n", s.Log, StringComparison.Ordinal);
        s.Close(pipeA);
        Assert.Empty(network.Unix.Snapshot());
    }

    [Fact]
    public void Circles_ThatAreReachableStay()
    {
        SentrySystemCalls kernel = new();
        SocketScript s = new(kernel);
        NetNamespace network = (NetNamespace)kernel.Kernel.RootNetwork;
        (int a, int b) = s.Pair(Stream);
        (int c, int d) = s.Pair(Stream);
        s.SendMessage(c, "inner", SocketScript.Rights(c, d));
        s.SendMessage(a, "outer", SocketScript.Rights(d, c));
        s.Close(c, d);
        s.Close(s.Socket(Stream));
        Assert.Equal(4, network.System.InFlight.Count);
        List<int> outer = s.ReceiveMessage(b, 10);
        List<int> inner = s.ReceiveMessage(outer[0], 10);
        Assert.Equal(2, inner.Count);
        Assert.Equal(0, network.System.InFlight.Count);
        s.Close([.. outer, .. inner, a, b]);
        Assert.Empty(network.Unix.Snapshot());
    }

    [Fact]
    public void Circles_ThroughAListener()
    {
        SentrySystemCalls kernel = new();
        SocketScript s = new(kernel);
        NetNamespace network = (NetNamespace)kernel.Kernel.RootNetwork;
        int server = s.Socket(Stream), client = s.Socket(Stream);
        s.Bind(server, s.Abstract("circle"));
        s.Listen(server, 5);
        s.Connect(client, s.Abstract("circle"));
        s.SendMessage(client, "x", SocketScript.Rights(server, client));
        s.Close(server, client);
        Assert.Equal(2, network.System.InFlight.Count);
        s.Close(s.Socket(Stream));
        Assert.Equal(0, network.System.InFlight.Count);
        Assert.Empty(network.Unix.Snapshot());
    }

    [Fact]
    public void Chain_OfManySocketsInQueues_IsReleasedWithoutRecursion()
    {
        SentrySystemCalls kernel = new();
        SocketScript s = new(kernel);
        NetNamespace network = (NetNamespace)kernel.Kernel.RootNetwork;
        (int a, int b) = s.Pair(Stream);
        ulong pair = kernel.Allocate(8), control = s.Put(SocketScript.Rights(a, b)), data = s.Put("x"u8);
        ulong vector = s.Put([.. BitConverter.GetBytes(data), .. BitConverter.GetBytes(1L)]);
        byte[] message = new byte[56];
        BitConverter.TryWriteBytes(message.AsSpan(16), vector);
        BitConverter.TryWriteBytes(message.AsSpan(24), 1L);
        BitConverter.TryWriteBytes(message.AsSpan(32), control);
        BitConverter.TryWriteBytes(message.AsSpan(40), 24L);
        ulong header = s.Put(message);
        for (int i = 0; i < 20_000; i++)
        {
            Assert.Equal(0, kernel.Call(SysNo.socketpair, Socket.AF_UNIX, Stream, 0, pair));
            (int c, int d) = (s.GetInt(pair), s.GetInt(pair + 4));
            kernel.Write(control + 16, MemoryMarshal.AsBytes<int>(new[] { a, b }));
            Assert.Equal(1, kernel.Call(SysNo.sendmsg, (ulong)c, header, 0));
            s.Close(a, b);
            (a, b) = (c, d);
        }

        s.Close(a, b);
        s.Close(s.Socket(Stream));
        Assert.Equal(0, network.System.InFlight.Count);
        Assert.Empty(network.Unix.Snapshot());
    }

    [Fact]
    public void InFlight_IsLimitedForAUserWithoutCapabilities()
    {
        SentrySystemCalls kernel = new();
        SocketScript s = new(kernel);
        kernel.Task.Credentials = new Runsc.Sentry.Auth.Credentials { RealUid = 5, EffectiveUid = 5, FsUid = 5 };
        (int a, int b) = s.Pair(Stream);
        long result = 0;
        for (int i = 0; i < 10 && result >= 0; i++)
        {
            result = s.SendMessage(a, "x", SocketScript.Rights([.. Enumerable.Repeat(a, 250)]));
        }

        Assert.Equal(-(long)Errno.ETOOMANYREFS, result);
        s.Close(b);
        s.Close(a);
        Assert.Equal(0, ((NetNamespace)kernel.Kernel.RootNetwork).System.InFlight.Count);
    }
}
