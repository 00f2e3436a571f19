using System;
using Runsc.Linux;
using Xunit;

namespace Runsc.Tests.Unit.Sockets;

/// <summary>Datagram and SOCK_SEQPACKET sockets of AF_UNIX, compared with the host's kernel call by call.</summary>
[Collection("sockets")]
public sealed class UnixMessageTests
{
    private const int Datagram = Socket.SOCK_DGRAM;
    private const int Sequential = Socket.SOCK_SEQPACKET;
    private const int DontWait = Socket.MSG_DONTWAIT;

    [Theory]
    [InlineData(Datagram)]
    [InlineData(Sequential)]
    public void Pair_MessagesStayApart(int type) => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(type);
        s.Poll(a);
        s.Send(a, "first");
        s.Send(a, "second message");
        s.Send(a, "");
        s.Ioctl(b, Ioctls.FIONREAD);
        s.Receive(b, 100, Socket.MSG_PEEK);
        s.Receive(b, 3, Socket.MSG_PEEK | Socket.MSG_TRUNC);
        s.Receive(b, 3);
        s.ReceiveMessage(b, 4);
        s.Poll(b);
        s.ReceiveMessage(b, 4);
        s.Receive(b, 4, DontWait);
        s.Send(a, "urgent", Socket.MSG_OOB);
        s.Receive(b, 4, Socket.MSG_OOB);
        s.Send(a, new string('x', 300_000));
        s.Send(a, "truncated");
        s.Receive(b, 2, Socket.MSG_TRUNC);
        s.Close(b);
        s.Poll(a);
        s.Receive(a, 10, DontWait);
        s.Send(a, "x");
        s.Send(a, "x");
        s.Poll(a);
        s.Close(a);
    });

    [Theory]
    [InlineData(Datagram, Socket.SHUT_RD)]
    [InlineData(Datagram, Socket.SHUT_WR)]
    [InlineData(Datagram, Socket.SHUT_RDWR)]
    [InlineData(Sequential, Socket.SHUT_RD)]
    [InlineData(Sequential, Socket.SHUT_WR)]
    [InlineData(Sequential, Socket.SHUT_RDWR)]
    public void Shutdown_IsSeenByBoth(int type, int how) => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(type);
        s.Send(b, "early");
        s.Shutdown(a, how);
        s.Poll(a);
        s.Poll(b);
        s.Receive(a, 10, DontWait);
        s.Receive(a, 10, DontWait);
        s.Send(a, "x", DontWait);
        s.Send(b, "y", DontWait);
        s.Receive(b, 10, DontWait);
        s.Close(a, b);
    });

    [Fact]
    public void Datagrams_NamesAndPeers() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Datagram), client = s.Socket(Datagram), third = s.Socket(Datagram);
        s.Send(client, "nobody");
        s.Send(client, "x", 0, s.Path("server"));
        s.Bind(server, s.Path("server"));
        s.Poll(server);
        s.Send(client, "anonymous", 0, s.Path("server"));
        s.ReceiveMessage(server, 20);
        s.Bind(client, s.Path("client"));
        s.Send(client, "named", 0, s.Path("server"));
        s.ReceiveMessage(server, 20);
        s.Connect(client, s.Path("server"));
        s.Send(client, "connected");
        s.ReceiveMessage(server, 20);
        s.Name(client, peer: true);
        s.Name(server, peer: true);
        s.Send(server, "reply", 0, s.Path("client"));
        s.Receive(client, 10);
        s.Send(third, "stranger", 0, s.Path("client"));
        s.Connect(third, s.Path("client"));
        s.Connect(server, s.Path("client"));
        s.Send(server, "queued");
        s.Send(client, "to other", 0, s.Path("client"));
        s.Connect(client, [0, 0]);
        s.Option(server, Socket.SO_ERROR);
        s.Send(client, "x");
        s.Close(server);
        s.Send(client, "gone", 0, s.Path("server"));
        s.Connect(client, s.Path("server"));
        s.Close(client, third);
    });

    [Fact]
    public void Datagrams_PeerThatDies() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Datagram), client = s.Socket(Datagram);
        s.Bind(server, s.Abstract("dies"));
        s.Connect(client, s.Abstract("dies"));
        s.Close(server);
        s.Poll(client);
        s.Send(client, "x");
        s.Send(client, "x");
        s.Name(client, peer: true);
        server = s.Socket(Datagram);
        s.Bind(server, s.Abstract("dies"));
        s.Send(client, "x");
        s.Connect(client, s.Abstract("dies"));
        s.Send(client, "again");
        s.Receive(server, 10);
        s.Close(server, client);
    });

    [Fact]
    public void Datagrams_FullQueue() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Datagram), client = s.Socket(Datagram);
        s.Bind(server, s.Abstract("queue"));
        s.Connect(client, s.Abstract("queue"));
        for (int i = 0; i < 13; i++)
        {
            s.Send(client, "x", DontWait);
        }

        s.Poll(client);
        s.Receive(server, 1);
        s.Poll(client);
        s.Send(client, "y", DontWait);
        s.Meanwhile(t => t.Send(client, "waited"), t => t.Receive(server, 1));
        s.Meanwhile(t => t.Send(client, "waits for ever"), t => t.Close(server));
        s.Close(client);
    });

    [Fact]
    public void Datagrams_ReceiveWaits() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Datagram);
        s.Meanwhile(t => t.Receive(b, 10), t => t.Send(a, "abc"));
        s.Meanwhile(t => t.Receive(b, 10, Socket.MSG_WAITALL), t => t.Send(a, "abc"));
        s.Meanwhile(t => t.Receive(b, 10), t => t.Shutdown(b, Socket.SHUT_RD));
        s.Receive(b, 10);
        s.Close(a, b);
        (a, b) = s.Pair(Sequential);
        s.Meanwhile(t => t.Receive(b, 10), t => t.Close(a));
        s.Receive(b, 10);
        s.Close(b);
    });

    [Fact]
    public void Datagrams_Autobind() => SocketScript.Compare(s =>
    {
        int a = s.Socket(Datagram), b = s.Socket(Datagram);
        s.Bind(b, s.Abstract("auto"));
        s.SetOption(a, Socket.SO_PASSCRED, 1);
        s.Connect(a, s.Abstract("auto"));
        s.Said("bound", s.Kernel.Call(SysNo.getsockname, (ulong)a, s.Kernel.Allocate(128), s.Put(128)));
        ulong length = s.Put(128);
        _ = s.Kernel.Call(SysNo.getsockname, (ulong)a, s.Kernel.Allocate(128), length);
        s.Say($"{s.GetInt(length)}");
        s.Bind(a, s.Abstract("other"));
        s.Bind(a, [1, 0]);
        s.Close(a, b);
    });

    [Fact]
    public void Sequential_ConnectAndAccept() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Sequential), client = s.Socket(Sequential);
        s.Send(client, "x");
        s.Receive(client, 1, DontWait);
        s.Poll(client);
        s.Bind(server, s.Abstract("seq"));
        s.Listen(server, 3);
        s.Connect(client, s.Abstract("seq"));
        int accepted = s.Accept(server);
        s.Send(client, "to server", 0, s.Abstract("ignored"));
        s.Send(client, "second");
        s.ReceiveMessage(accepted, 20);
        s.Receive(accepted, 3);
        s.Receive(accepted, 3, DontWait);
        s.Send(accepted, "unread");
        s.Close(client);
        s.Poll(accepted);
        s.Receive(accepted, 10);
        s.Receive(accepted, 10);
        s.Close(accepted, server);
    });

    [Fact]
    public void PeekOffset_SkipsMessages() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Datagram);
        s.SetOption(b, Socket.SO_PEEK_OFF, 0);
        s.Send(a, "abcdef");
        s.Send(a, "ghi");
        s.Receive(b, 2, Socket.MSG_PEEK);
        s.Receive(b, 20, Socket.MSG_PEEK);
        s.Receive(b, 20, Socket.MSG_PEEK);
        s.Receive(b, 20, Socket.MSG_PEEK | DontWait);
        s.Receive(b, 20);
        s.Option(b, Socket.SO_PEEK_OFF);
        s.Receive(b, 20);
        s.Close(a, b);
    });

    [Fact]
    public void Multiple_SendAndReceive() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Datagram);
        const int count = 3;
        byte[] send = new byte[64 * count], receive = new byte[64 * count];
        for (int i = 0; i < count; i++)
        {
            byte[] text = [(byte)('a' + i), (byte)'!'];
            Vector(s, send.AsSpan(i * 64), s.Put(text), i == 2 ? 1 : 2);
            Vector(s, receive.AsSpan(i * 64), s.Kernel.Allocate(10), 10);
        }

        ulong out1 = s.Put(send), in1 = s.Put(receive);
        s.Said("sendmmsg", s.Kernel.Call(SysNo.sendmmsg, (ulong)a, out1, count, 0));
        s.Say($"{s.GetInt(out1 + 56)} {s.GetInt(out1 + 120)} {s.GetInt(out1 + 184)}");
        s.Said("recvmmsg", s.Kernel.Call(SysNo.recvmmsg, (ulong)b, in1, 2, 0, 0));
        s.Say($"{s.GetInt(in1 + 56)} {s.GetInt(in1 + 120)} {s.GetInt(in1 + 184)}");
        s.Said("recvmmsg for one", s.Kernel.Call(SysNo.recvmmsg, (ulong)b, in1, 3, Socket.MSG_WAITFORONE, 0));
        s.Said("recvmmsg of nothing", s.Kernel.Call(SysNo.recvmmsg, (ulong)b, in1, 3, DontWait, 0));
        s.Said("bad time", s.Kernel.Call(SysNo.recvmmsg, (ulong)b, in1, 3, DontWait, s.Put<long>(-1)));
        s.Said("none", s.Kernel.Call(SysNo.sendmmsg, (ulong)a, out1, 0, 0));
        s.Said("bad address", s.Kernel.Call(SysNo.sendmmsg, (ulong)a, 8, 1, 0));
        s.Close(a, b);
    });

    private static void Vector(SocketScript s, Span<byte> header, ulong data, long length)
    {
        ulong vector = s.Put([.. BitConverter.GetBytes(data), .. BitConverter.GetBytes(length)]);
        BitConverter.TryWriteBytes(header[16..], vector);
        BitConverter.TryWriteBytes(header[24..], 1L);
    }
}
