using System;
using System.Linq;
using Runsc.Linux;
using Xunit;

namespace Runsc.Tests.Unit.Sockets;

/// <summary>Stream sockets of AF_UNIX, compared with the host's kernel call by call.</summary>
[Collection("sockets")]
public sealed class UnixStreamTests
{
    private const int Stream = Socket.SOCK_STREAM;
    private const int DontWait = Socket.MSG_DONTWAIT;

    private static string Bytes(int count) => string.Concat(Enumerable.Range(0, count).Select(i => (char)('a' + (i % 26))));

    [Fact]
    public void Create_BadArguments() => SocketScript.Compare(s =>
    {
        s.Said("family 99", s.Socket(Stream, 99));
        s.Said("family -1", s.Socket(Stream, -1));
        s.Said("type 12", s.Socket(12));
        s.Said("type 0", s.Socket(0));
        s.Said("rdm", s.Socket(Socket.SOCK_RDM));
        s.Said("flags", s.Socket(Stream | 0x10));
        s.Said("protocol", s.Socket(Stream, protocol: 7));
        int fd = s.Socket(Socket.SOCK_RAW);
        s.Option(fd, Socket.SO_TYPE);
        s.Close(fd);
        s.Said("listen", s.Kernel.Call(SysNo.listen, 900_000_000, 1));
        ulong pair = s.Kernel.Allocate(8);
        s.Said("pair", s.Kernel.Call(SysNo.socketpair, Socket.AF_UNIX, 77, 0, pair));
        s.Said("pair at a bad address", s.Kernel.Call(SysNo.socketpair, Socket.AF_UNIX, Stream, 0, 16));
    });

    [Fact]
    public void Pair_BytesFlowAndJoin() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.Poll(a);
        s.Send(a, "hello ");
        s.Send(a, "world");
        s.Poll(b);
        s.Ioctl(b, Ioctls.FIONREAD);
        s.Receive(b, 4);
        s.Receive(b, 100, Socket.MSG_PEEK);
        s.Receive(b, 100);
        s.Receive(b, 100, DontWait);
        s.Receive(b, 0, DontWait);
        s.Send(b, "");
        s.Name(a);
        s.Name(a, peer: true);
        s.Close(b);
        s.Poll(a);
        s.Receive(a, 10);
        s.Send(a, "x");
        s.Close(a);
    });

    [Fact]
    public void Close_WithUnreadBytes_ResetsThePeer() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.Send(a, "to b");
        s.Send(b, "to a");
        s.Close(b);
        s.Poll(a);
        s.Receive(a, 10);
        s.Poll(a);
        s.Receive(a, 10);
        s.Receive(a, 10);
        s.Send(a, "x");
        s.Option(a, Socket.SO_ERROR);
        s.Close(a);
        (a, b) = s.Pair(Stream);
        s.Send(a, "to b");
        s.Close(b);
        s.Option(a, Socket.SO_ERROR);
        s.Option(a, Socket.SO_ERROR);
        s.Close(a);
    });

    [Theory]
    [InlineData(Socket.SHUT_RD)]
    [InlineData(Socket.SHUT_WR)]
    [InlineData(Socket.SHUT_RDWR)]
    [InlineData(5)]
    public void Shutdown_IsSeenByBoth(int how) => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.Send(b, "early");
        s.Shutdown(a, how);
        s.Poll(a);
        s.Poll(b);
        s.Receive(a, 3, DontWait);
        s.Receive(a, 10, DontWait);
        s.Receive(a, 10, DontWait);
        s.Send(a, "x", DontWait);
        s.Send(b, "y", DontWait);
        s.Receive(b, 10, DontWait);
        s.Close(a, b);
    });

    [Fact]
    public void Names_PathAndAbstract() => SocketScript.Compare(s =>
    {
        foreach (byte[] name in new[] { s.Path("s"), s.Abstract("s") })
        {
            int server = s.Socket(Stream), other = s.Socket(Stream);
            s.Poll(server);
            s.Connect(other, name);
            s.Name(server);
            s.Listen(server, 1);
            s.Bind(server, name);
            s.Bind(server, s.Abstract("t"));
            s.Bind(other, name);
            s.Connect(other, name);
            s.Name(server);
            s.Name(server, room: 5);
            s.Name(server, peer: true);
            s.Listen(server, 1);
            s.Option(server, Socket.SO_ACCEPTCONN);
            s.Option(other, Socket.SO_ACCEPTCONN);
            s.Poll(server);
            s.Connect(other, name);
            s.Connect(other, name);
            s.Poll(server);
            s.Name(other);
            s.Name(other, peer: true);
            int accepted = s.Accept(server);
            s.Name(accepted);
            s.Name(accepted, peer: true);
            s.Send(accepted, "welcome");
            s.Receive(other, 10);
            s.Listen(accepted, 1);
            s.Accept(accepted);
            s.Send(server, "x");
            s.Receive(server, 4);
            s.Close(server, other, accepted);
            int late = s.Socket(Stream);
            s.Connect(late, name);
            s.Close(late);
        }
    });

    [Fact]
    public void Names_BadOnes() => SocketScript.Compare(s =>
    {
        int fd = s.Socket(Stream);
        s.Bind(fd, []);
        s.Bind(fd, [1]);
        s.Bind(fd, [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        s.Bind(fd, new byte[111]);
        s.Bind(fd, [1, 0, .. new byte[109]]);
        s.Bind(fd, s.Path("no/such/directory"));
        s.Connect(fd, [1, 0]);
        s.Connect(fd, [0, 0]);
        s.Connect(fd, s.Path("missing"));
        s.Said("mkdir", s.Kernel.Call(SysNo.mkdir, s.Put([.. s.Path("d")[2..]]), 0x1ff));
        s.Connect(fd, s.Path("d"));
        s.Bind(fd, s.Path("d"));
        s.Send(fd, "x");
        s.Receive(fd, 1, DontWait);
        s.Poll(fd);
        s.Bind(fd, [1, 0]);
        s.Bind(fd, [1, 0]);
        s.Accept(fd);
        s.Listen(fd, -1);
        s.Close(fd);
        int datagrams = s.Socket(Socket.SOCK_DGRAM);
        s.Bind(datagrams, s.Path("dgram"));
        s.Listen(datagrams, 1);
        s.Accept(datagrams);
        fd = s.Socket(Stream);
        s.Connect(fd, s.Path("dgram"));
        s.Close(datagrams, fd);
        int named = s.Socket(Socket.SOCK_DGRAM);
        s.Bind(named, s.Abstract("types"));
        int stream = s.Socket(Stream);
        s.Connect(stream, s.Abstract("types"));
        s.Bind(stream, s.Abstract("types"));
        s.Close(named, stream);
    });

    [Fact]
    public void Backlog_FullListenerRefusesToWait() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Stream);
        s.Bind(server, s.Abstract("backlog"));
        s.Listen(server, 1);
        int[] clients = new int[4];
        for (int i = 0; i < 4; i++)
        {
            clients[i] = s.Socket(Stream | Socket.SOCK_NONBLOCK);
            s.Connect(clients[i], s.Abstract("backlog"));
        }

        s.Send(clients[0], "before accept");
        s.Poll(clients[3]);
        int first = s.Accept(server);
        s.Receive(first, 20);
        s.Connect(clients[2], s.Abstract("backlog"));
        s.Listen(server, 5);
        s.Connect(clients[3], s.Abstract("backlog"));
        s.Close(server);
        s.Receive(clients[1], 10, DontWait);
        s.Receive(clients[1], 10, DontWait);
        s.Send(clients[1], "x");
        s.Close(first);
        s.Close(clients);
    });

    [Fact]
    public void Accept_BlocksUntilSomebodyConnects() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Stream), client = s.Socket(Stream);
        s.Bind(server, s.Abstract("wait"));
        s.Listen(server, 5);
        s.Meanwhile(t => t.Close(t.Accept(server)), t => t.Connect(client, t.Abstract("wait")));
        s.Receive(client, 1);
        s.Meanwhile(t => t.Accept(server), t => t.Shutdown(server, Socket.SHUT_RD));
        int late = s.Socket(Stream);
        s.Connect(late, s.Abstract("wait"));
        s.Close(server, client, late);
    });

    [Fact]
    public void Connect_BlocksWhileTheBacklogIsFull() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Stream), one = s.Socket(Stream), two = s.Socket(Stream);
        s.Bind(server, s.Abstract("full"));
        s.Listen(server, 0);
        s.Connect(one, s.Abstract("full"));
        s.Meanwhile(t => t.Connect(two, t.Abstract("full")), t => t.Close(t.Accept(server)));
        int three = s.Socket(Stream);
        s.Meanwhile(t => t.Connect(three, t.Abstract("full")), t => t.Close(server));
        s.Close(one, two, three);
    });

    [Fact]
    public void Receive_WaitsForBytesLowWaterAndAll() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.Meanwhile(t => t.Receive(b, 10), t => t.Send(a, "abc"));
        s.Meanwhile(
            t => t.Receive(b, 6, Socket.MSG_WAITALL),
            t =>
            {
                t.Send(a, "abc");
                System.Threading.Thread.Sleep(20);
                t.Send(a, "defgh");
            });
        s.Receive(b, 10);
        s.SetOption(b, Socket.SO_RCVLOWAT, 4);
        s.Option(b, Socket.SO_RCVLOWAT);
        s.Meanwhile(
            t => t.Receive(b, 10),
            t =>
            {
                t.Send(a, "12");
                System.Threading.Thread.Sleep(20);
                t.Send(a, "3456");
            });
        s.Send(a, "x");
        s.Receive(b, 10, DontWait);
        s.Meanwhile(t => t.Receive(b, 10), t => t.Shutdown(a, Socket.SHUT_WR));
        s.Close(a, b);
    });

    [Fact]
    public void Timeouts_EndTheWait() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        ulong time = s.Put([.. BitConverter.GetBytes(0L), .. BitConverter.GetBytes(30_000L)]), length = s.Put(16);
        s.Said("SO_RCVTIMEO", s.Kernel.Call(SysNo.setsockopt, (ulong)a, Socket.SOL_SOCKET, Socket.SO_RCVTIMEO, time, 16));
        s.Said("SO_SNDTIMEO", s.Kernel.Call(SysNo.setsockopt, (ulong)a, Socket.SOL_SOCKET, Socket.SO_SNDTIMEO, time, 16));
        s.Said("short", s.Kernel.Call(SysNo.setsockopt, (ulong)a, Socket.SOL_SOCKET, Socket.SO_RCVTIMEO, time, 8));
        ulong bad = s.Put([.. BitConverter.GetBytes(0L), .. BitConverter.GetBytes(1_000_000L)]), got = s.Kernel.Allocate(16);
        s.Said("bad", s.Kernel.Call(SysNo.setsockopt, (ulong)a, Socket.SOL_SOCKET, Socket.SO_RCVTIMEO, bad, 16));
        s.Said("get", s.Kernel.Call(SysNo.getsockopt, (ulong)a, Socket.SOL_SOCKET, Socket.SO_RCVTIMEO, got, length));
        s.Receive(a, 10);
        s.SetOption(a, Socket.SO_SNDBUF, 1);
        s.Send(a, Bytes(500_000));
        s.Send(a, Bytes(500_000));
        s.Close(a, b);
    });

    [Fact]
    public void Send_MoreThanTheBuffer_IsCompleteWhenTheReaderReads() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        string big = Bytes(1_000_003);
        s.Meanwhile(
            t => t.Send(a, big),
            t =>
            {
                System.Text.StringBuilder all = new();
                while (all.Length < big.Length)
                {
                    ulong buffer = t.Kernel.Allocate(65536);
                    long n = t.Kernel.Call(SysNo.read, (ulong)b, buffer, 50_000);
                    Assert.True(n > 0);
                    all.Append(System.Text.Encoding.Latin1.GetString(t.Kernel.Read(buffer, (int)n)));
                }

                t.Say(all.ToString() == big ? "equal" : "different");
            });
        s.Poll(a);
        long sent = 0, n;
        ulong piece = s.Put(new byte[1]);
        while ((n = s.Kernel.Call(SysNo.sendto, (ulong)a, piece, 1, DontWait, 0, 0)) > 0)
        {
            sent += n;
        }

        s.Said("full", n);
        s.Poll(a, Poll.POLLOUT);
        s.Said("one byte messages", sent);
        s.Close(a, b);
    });

    [Fact]
    public void Urgent_ByteIsApart() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.Receive(b, 1, Socket.MSG_OOB);
        s.Send(a, "abcX", Socket.MSG_OOB);
        s.Send(a, "def");
        s.Poll(b);
        s.Ioctl(b, Socket.SIOCATMARK);
        s.Receive(b, 10);
        s.Ioctl(b, Socket.SIOCATMARK);
        s.Receive(b, 1, Socket.MSG_OOB | Socket.MSG_PEEK);
        s.Receive(b, 1, Socket.MSG_OOB);
        s.Receive(b, 1, Socket.MSG_OOB);
        s.Receive(b, 10);
        s.Send(a, "Y", Socket.MSG_OOB);
        s.Send(a, "tail");
        s.Receive(b, 10);
        s.SetOption(b, Socket.SO_OOBINLINE, 1);
        s.Send(a, "inZ", Socket.MSG_OOB);
        s.Receive(b, 10);
        s.Receive(b, 10);
        s.Receive(b, 10, Socket.MSG_OOB);
        s.Close(a, b);
    });

    [Fact]
    public void Options_OfSolSocket() => SocketScript.Compare(s =>
    {
        int fd = s.Socket(Stream);
        foreach (int option in new[]
        {
            Socket.SO_TYPE, Socket.SO_DOMAIN, Socket.SO_PROTOCOL, Socket.SO_ERROR, Socket.SO_ACCEPTCONN, Socket.SO_DEBUG, Socket.SO_REUSEADDR, Socket.SO_REUSEPORT,
            Socket.SO_DONTROUTE, Socket.SO_BROADCAST, Socket.SO_SNDBUF, Socket.SO_RCVBUF, Socket.SO_KEEPALIVE, Socket.SO_OOBINLINE, Socket.SO_PRIORITY, Socket.SO_LINGER,
            Socket.SO_PASSCRED, Socket.SO_RCVLOWAT, Socket.SO_SNDLOWAT, Socket.SO_TIMESTAMP, Socket.SO_TIMESTAMPNS, Socket.SO_MARK, Socket.SO_RXQ_OVFL, Socket.SO_PEEK_OFF,
            Socket.SO_BUSY_POLL, Socket.SO_ZEROCOPY, Socket.SO_INCOMING_CPU, Socket.SO_BINDTODEVICE, Socket.SO_PASSPIDFD, 9999,
        })
        {
            s.Option(fd, option);
        }

        s.SetOption(fd, Socket.SO_SNDBUF, 10_000);
        s.Option(fd, Socket.SO_SNDBUF);
        s.SetOption(fd, Socket.SO_RCVBUF, 1);
        s.Option(fd, Socket.SO_RCVBUF);
        s.SetOption(fd, Socket.SO_SNDBUF, 1);
        s.Option(fd, Socket.SO_SNDBUF);
        s.SetOption(fd, Socket.SO_REUSEADDR, 7);
        s.Option(fd, Socket.SO_REUSEADDR);
        s.SetOption(fd, Socket.SO_REUSEPORT, 1);
        s.SetOption(fd, Socket.SO_ZEROCOPY, 1);
        s.SetOption(fd, Socket.SO_TYPE, 1);
        s.SetOption(fd, Socket.SO_ERROR, 1);
        s.SetOption(fd, Socket.SO_ACCEPTCONN, 1);
        s.SetOption(fd, 9999, 1);
        s.SetOption(fd, 1, 1, level: 6);
        s.Option(fd, 1, level: 6);
        s.Option(fd, 1, level: 0);
        s.SetOption(fd, Socket.SO_TIMESTAMP, 1);
        s.Option(fd, Socket.SO_TIMESTAMP);
        s.SetOption(fd, Socket.SO_TIMESTAMPNS, 1);
        s.Option(fd, Socket.SO_TIMESTAMP);
        s.Option(fd, Socket.SO_TIMESTAMPNS);
        s.SetOption(fd, Socket.SO_PASSCRED, 1);
        s.Option(fd, Socket.SO_PASSCRED);
        s.SetOption(fd, Socket.SO_PEEK_OFF, 3);
        s.Option(fd, Socket.SO_PEEK_OFF);
        s.SetOption(fd, Socket.SO_MARK, 5);
        s.Option(fd, Socket.SO_MARK);
        s.SetOption(fd, Socket.SO_PRIORITY, 3);
        s.Option(fd, Socket.SO_PRIORITY);
        s.SetOption(fd, Socket.SO_RCVLOWAT, 0);
        s.Option(fd, Socket.SO_RCVLOWAT);
        s.Said("short", s.Kernel.Call(SysNo.setsockopt, (ulong)fd, Socket.SOL_SOCKET, Socket.SO_REUSEADDR, s.Put(1), 2));
        s.Said("bad address", s.Kernel.Call(SysNo.setsockopt, (ulong)fd, Socket.SOL_SOCKET, Socket.SO_REUSEADDR, 8, 4));
        s.Said("negative", s.Kernel.Call(SysNo.getsockopt, (ulong)fd, Socket.SOL_SOCKET, Socket.SO_REUSEADDR, s.Put(1), s.Put(-1)));
        ulong two = s.Put(2);
        s.Said("two bytes", s.Kernel.Call(SysNo.getsockopt, (ulong)fd, Socket.SOL_SOCKET, Socket.SO_TYPE, s.Put(0), two));
        s.Say($"length {s.GetInt(two)}");
        s.Close(fd);
    });

    [Fact]
    public void PeekOffset_MovesWithTheReader() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.SetOption(b, Socket.SO_PEEK_OFF, 0);
        s.Send(a, "abcdef");
        s.Send(a, "ghi");
        s.Receive(b, 2, Socket.MSG_PEEK);
        s.Receive(b, 2, Socket.MSG_PEEK);
        s.Receive(b, 3);
        s.Option(b, Socket.SO_PEEK_OFF);
        s.Receive(b, 20, Socket.MSG_PEEK);
        s.Receive(b, 20, Socket.MSG_PEEK | DontWait);
        s.SetOption(b, Socket.SO_PEEK_OFF, -1);
        s.Receive(b, 20, Socket.MSG_PEEK);
        s.Receive(b, 20);
        s.Close(a, b);
    });

    [Fact]
    public void OtherCalls_OnSockets() => SocketScript.Compare(s =>
    {
        (int a, int b) = s.Pair(Stream);
        s.Said("lseek", s.Kernel.Call(SysNo.lseek, (ulong)a, 0, 0));
        s.Said("pread", s.Kernel.Call(SysNo.pread64, (ulong)a, s.Put(0), 1, 0));
        s.Said("pwrite", s.Kernel.Call(SysNo.pwrite64, (ulong)a, s.Put(0), 1, 0));
        s.Said("ftruncate", s.Kernel.Call(SysNo.ftruncate, (ulong)a, 0));
        s.Said("fsync", s.Kernel.Call(SysNo.fsync, (ulong)a));
        s.Said("ioctl", s.Kernel.Call(SysNo.ioctl, (ulong)a, 0x1234, 0));
        s.Said("getfl", s.Kernel.Call(SysNo.fcntl, (ulong)a, Fcntl.F_GETFL, 0));
        s.Said("read nothing", s.Kernel.Call(SysNo.read, (ulong)a, 0, 0));
        s.Said("write", s.Kernel.Call(SysNo.write, (ulong)a, s.Put("hello"u8), 5));
        s.Said("write at a bad address", s.Kernel.Call(SysNo.write, (ulong)a, 8, 5));
        s.Said("read at a bad address", s.Kernel.Call(SysNo.read, (ulong)b, 8, 5));
        s.Receive(b, 10);
        ulong stat = s.Kernel.Allocate(256);
        s.Said("fstat", s.Kernel.Call(SysNo.fstat, (ulong)a, stat));
        s.Say($"mode {s.GetInt(stat + 24):x}");
        int file = (int)s.Kernel.Call(SysNo.open, s.Put([.. s.Path("plain")[2..]]), Fcntl.O_CREAT | Fcntl.O_RDWR, 0x1a4);
        s.Send(file, "x");
        s.Listen(file, 1);
        s.Said("sendfile", s.Kernel.Call(SysNo.write, (ulong)file, s.Put("contents"u8), 8));
        s.Said("sendfile", s.Kernel.Call(SysNo.sendfile, (ulong)a, (ulong)file, s.Put(2L), 100));
        s.Receive(b, 20);
        s.Close(a, b, file);
    });
}
