using System;
using System.Linq;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Xunit;

namespace Runsc.Tests.Unit.Sockets;

/// <summary>Sockets of AF_INET and AF_INET6 on the loopback interface, compared with the host's kernel call by call.</summary>
[Collection("sockets")]
public sealed class InetTests
{
    private const int V4 = Socket.AF_INET;
    private const int V6 = Socket.AF_INET6;
    private const int Stream = Socket.SOCK_STREAM;
    private const int Datagram = Socket.SOCK_DGRAM;
    private const int DontWait = Socket.MSG_DONTWAIT;

    private static byte[] Address(int family, int port, byte last = 1)
    {
        byte[] address = new byte[family == V4 ? 16 : 28];
        address[0] = (byte)family;
        (address[2], address[3]) = ((byte)(port >> 8), unchecked((byte)port));
        if (family == V4)
        {
            (address[4], address[7]) = (127, last);
        }
        else
        {
            address[23] = last;
        }

        return address;
    }

    private static int PortOf(SocketScript s, int fd)
    {
        ulong address = s.Kernel.Allocate(128);
        Assert.Equal(0, s.Kernel.Call(SysNo.getsockname, (ulong)fd, address, s.Put(128)));
        byte[] bytes = s.Kernel.Read(address, 4);
        return (bytes[2] << 8) | bytes[3];
    }

    // A listener on a free port.
    private static (int Fd, int Port) Listener(SocketScript s, int family, int backlog = 5)
    {
        int fd = s.Socket(Stream, family);
        s.Bind(fd, Address(family, 0));
        s.Listen(fd, backlog);
        return (fd, PortOf(s, fd));
    }

    private static (int A, int B) Connected(SocketScript s, int family)
    {
        (int listener, int port) = Listener(s, family);
        int client = s.Socket(Stream, family);
        s.Connect(client, Address(family, port));
        int server = s.Accept(listener);
        s.Close(listener);
        return (client, server);
    }

    [Theory]
    [InlineData(V4)]
    [InlineData(V6)]
    public void Stream_BytesFlow(int family) => SocketScript.Compare(s =>
    {
        (int a, int b) = Connected(s, family);
        s.Poll(a);
        s.Send(a, "hello ");
        s.Send(a, "world");
        s.Receive(b, 5);
        s.Receive(b, 100, Socket.MSG_PEEK);
        s.Ioctl(b, Ioctls.FIONREAD);
        s.Receive(b, 100);
        s.Receive(b, 100, DontWait);
        s.Poll(b);
        s.Meanwhile(t => t.Receive(b, 10), t => t.Send(a, "woken"));
        s.Meanwhile(t => t.Receive(b, 6, Socket.MSG_WAITALL), t =>
        {
            t.Send(a, "abc");
            System.Threading.Thread.Sleep(20);
            t.Send(a, "def");
        });
        s.Shutdown(a, Socket.SHUT_WR);
        s.Meanwhile(t => t.Receive(b, 10), _ => { });
        s.Poll(b);
        s.Send(a, "x");
        s.Send(b, "back");
        s.Receive(a, 10);
        s.Close(b);
        s.Meanwhile(t => t.Receive(a, 10), _ => { });
        s.Poll(a);
        s.Close(a);
    });

    [Theory]
    [InlineData(V4)]
    [InlineData(V6)]
    public void Stream_LargeTransfer(int family) => SocketScript.Compare(s =>
    {
        (int a, int b) = Connected(s, family);
        string big = string.Concat(Enumerable.Range(0, 3_000_000).Select(i => (char)('a' + (i % 23))));
        s.Meanwhile(
            t =>
            {
                t.Send(a, big);
                t.Shutdown(a, Socket.SHUT_WR);
            },
            t =>
            {
                System.Text.StringBuilder all = new();
                ulong buffer = t.Kernel.Allocate(65536);
                long n;
                while ((n = t.Kernel.Call(SysNo.read, (ulong)b, buffer, 60_000)) > 0)
                {
                    all.Append(System.Text.Encoding.Latin1.GetString(t.Kernel.Read(buffer, (int)n)));
                }

                t.Said("end", n);
                t.Say(all.ToString() == big ? "equal" : "different");
            });
        s.Close(a, b);
    });

    [Theory]
    [InlineData(V4)]
    [InlineData(V6)]
    public void Connect_Refused(int family) => SocketScript.Compare(s =>
    {
        int fd = s.Socket(Stream, family);
        s.Poll(fd);
        s.Bind(fd, Address(family, 0));
        int port = PortOf(s, fd);
        int client = s.Socket(Stream, family);
        s.Connect(client, Address(family, port));
        s.Option(client, Socket.SO_ERROR);
        s.Name(client, peer: true);
        s.Send(client, "x");
        s.Receive(client, 1, DontWait);
        int other = s.Socket(Stream | Socket.SOCK_NONBLOCK, family);
        s.Connect(other, Address(family, port));
        System.Threading.Thread.Sleep(20);
        s.Poll(other);
        s.Option(other, Socket.SO_ERROR);
        s.Option(other, Socket.SO_ERROR);
        s.Close(fd, client, other);
    });

    [Fact]
    public void Connect_NonBlocking() => SocketScript.Compare(s =>
    {
        (int listener, int port) = Listener(s, V4);
        int client = s.Socket(Stream | Socket.SOCK_NONBLOCK, V4);
        s.Connect(client, Address(V4, port));
        System.Threading.Thread.Sleep(20);
        s.Poll(client);
        s.Option(client, Socket.SO_ERROR);
        s.Connect(client, Address(V4, port));
        s.Connect(client, Address(V4, port));
        s.Poll(listener);
        int server = s.Accept(listener, Socket.SOCK_NONBLOCK);
        s.Receive(server, 1);
        s.Accept(client);
        s.Listen(client, 1);
        s.Close(client, server, listener);
    });

    [Fact]
    public void Bind_Errors() => SocketScript.Compare(s =>
    {
        int fd = s.Socket(Stream, V4), other = s.Socket(Stream, V4);
        s.Bind(fd, Address(V4, 0)[..10]);
        s.Bind(fd, Address(V6, 0));
        byte[] elsewhere = Address(V4, 0);
        elsewhere[4] = 203;
        s.Bind(fd, elsewhere);
        s.Bind(fd, Address(V4, 0));
        s.Bind(fd, Address(V4, 0));
        s.Bind(other, Address(V4, PortOf(s, fd)));
        s.SetOption(other, Socket.SO_REUSEADDR, 1);
        s.SetOption(fd, Socket.SO_REUSEADDR, 1);
        s.Listen(fd, 1);
        s.Bind(other, Address(V4, PortOf(s, fd)));
        s.Close(fd, other);
        int unbound = s.Socket(Stream, V4);
        s.Listen(unbound, 1);
        s.Said("port", PortOf(s, unbound) > 0 ? 1 : 0);
        s.Close(unbound);
    });

    [Theory]
    [InlineData(V4)]
    [InlineData(V6)]
    public void Datagrams_FlowAndCut(int family) => SocketScript.Compare(s =>
    {
        int server = s.Socket(Datagram, family), client = s.Socket(Datagram, family);
        s.Poll(server);
        s.Send(client, "no peer");
        s.Bind(server, Address(family, 0));
        int port = PortOf(s, server);
        s.Send(client, "one", 0, Address(family, port));
        s.Send(client, "", 0, Address(family, port));
        s.Send(client, "three is long", 0, Address(family, port));
        s.Ioctl(server, Ioctls.FIONREAD);
        s.Poll(server);
        s.Receive(server, 10, Socket.MSG_PEEK);
        s.Receive(server, 10);
        s.Receive(server, 10);
        s.Receive(server, 5, Socket.MSG_TRUNC);
        s.Receive(server, 5, DontWait);
        s.Connect(client, Address(family, port));
        s.Send(client, "connected");
        s.Receive(server, 20);
        s.Send(client, new string('x', 70_000));
        s.Meanwhile(t => t.Receive(server, 10), t => t.Send(client, "waited"));
        s.Close(server);
        s.Send(client, "nobody");
        System.Threading.Thread.Sleep(10);
        s.Poll(client);
        s.Send(client, "error of the last");
        s.Receive(client, 10, DontWait);
        s.Shutdown(client, Socket.SHUT_RDWR);
        s.Poll(client);
        s.Close(client);
    });

    [Fact]
    public void Datagrams_ControlMessages() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Datagram, V4), client = s.Socket(Datagram, V4);
        s.Bind(server, Address(V4, 0));
        int port = PortOf(s, server);
        foreach (int option in new[] { Socket.IP_PKTINFO, Socket.IP_RECVTTL, Socket.IP_RECVTOS })
        {
            s.SetOption(server, option, 1, Socket.SOL_IP);
            s.Option(server, option, Socket.SOL_IP);
        }

        s.SetOption(client, Socket.IP_TOS, 0x10, Socket.SOL_IP);
        s.SetOption(client, Socket.IP_TTL, 9, Socket.SOL_IP);
        s.Option(client, Socket.IP_TTL, Socket.SOL_IP);
        s.Send(client, "x", 0, Address(V4, port));
        Control(s, server);
        byte[] ttl = SocketScript.Control(Socket.SOL_IP, Socket.IP_TTL, MemoryMarshal.AsBytes<int>(new[] { 33 }));
        s.SendMessage(client, "y", ttl, to: Address(V4, port));
        Control(s, server);
        s.SendMessage(client, "z", SocketScript.Control(Socket.SOL_IP, 99, new byte[4]), to: Address(V4, port));
        s.Close(server, client);

        static void Control(SocketScript s, int fd)
        {
            ulong data = s.Kernel.Allocate(10), control = s.Kernel.Allocate(256);
            ulong vector = s.Put([.. BitConverter.GetBytes(data), .. BitConverter.GetBytes(10L)]);
            byte[] header = new byte[56];
            MemoryMarshal.Write(header.AsSpan(16), vector);
            MemoryMarshal.Write(header.AsSpan(24), 1L);
            MemoryMarshal.Write(header.AsSpan(32), control);
            MemoryMarshal.Write(header.AsSpan(40), 256L);
            ulong address = s.Put(header);
            s.Said("recvmsg", s.Kernel.Call(SysNo.recvmsg, (ulong)fd, address, 0));
            int length = s.GetInt(address + 40);
            s.Say(Convert.ToHexString(s.Kernel.Read(control, length)));
        }
    });

    [Fact]
    public void DualStack_TakesBoth() => SocketScript.Compare(s =>
    {
        int server = s.Socket(Stream, V6);
        s.Option(server, Socket.IPV6_V6ONLY, Socket.SOL_IPV6);
        byte[] any = Address(V6, 0);
        any[23] = 0;
        s.Bind(server, any);
        s.Listen(server, 5);
        int port = PortOf(s, server), client = s.Socket(Stream, V4);
        s.Connect(client, Address(V4, port));
        int accepted = s.Accept(server);
        s.Send(accepted, "to v4");
        s.Receive(client, 10);
        s.Close(accepted, client, server);
        server = s.Socket(Stream, V6);
        s.SetOption(server, Socket.IPV6_V6ONLY, 1, Socket.SOL_IPV6);
        s.Bind(server, any);
        s.Listen(server, 1);
        client = s.Socket(Stream, V4);
        s.Connect(client, Address(V4, PortOf(s, server)));
        s.SetOption(server, Socket.IPV6_V6ONLY, 0, Socket.SOL_IPV6);
        s.Close(client, server);
    });

    [Fact]
    public void Options_OfTcp() => SocketScript.Compare(s =>
    {
        int fd = s.Socket(Stream, V4);
        foreach (int option in new[]
        {
            Socket.TCP_NODELAY, Socket.TCP_CORK, Socket.TCP_KEEPIDLE, Socket.TCP_KEEPINTVL, Socket.TCP_KEEPCNT, Socket.TCP_SYNCNT, Socket.TCP_LINGER2,
            Socket.TCP_DEFER_ACCEPT, Socket.TCP_USER_TIMEOUT, Socket.TCP_FASTOPEN_CONNECT, Socket.TCP_QUICKACK, 999,
        })
        {
            s.Option(fd, option, Socket.SOL_TCP);
        }

        s.SetOption(fd, Socket.TCP_NODELAY, 1, Socket.SOL_TCP);
        s.Option(fd, Socket.TCP_NODELAY, Socket.SOL_TCP);
        s.SetOption(fd, Socket.TCP_KEEPIDLE, 0, Socket.SOL_TCP);
        s.SetOption(fd, Socket.TCP_KEEPIDLE, 33, Socket.SOL_TCP);
        s.Option(fd, Socket.TCP_KEEPIDLE, Socket.SOL_TCP);
        s.SetOption(fd, Socket.TCP_KEEPCNT, 128, Socket.SOL_TCP);
        s.SetOption(fd, Socket.TCP_USER_TIMEOUT, 5000, Socket.SOL_TCP);
        s.Option(fd, Socket.TCP_USER_TIMEOUT, Socket.SOL_TCP);
        s.SetOption(fd, 999, 1, Socket.SOL_TCP);
        s.SetOption(fd, Socket.SO_KEEPALIVE, 1);
        s.Option(fd, Socket.SO_KEEPALIVE);
        s.SetOption(fd, Socket.SO_REUSEPORT, 1);
        s.Option(fd, Socket.SO_REUSEPORT);
        s.SetOption(fd, Socket.SO_PASSCRED, 1);
        s.Option(fd, Socket.SO_PEERCRED);
        s.Option(fd, Socket.SO_PROTOCOL);
        s.SetOption(fd, Socket.IP_TOS, 0x20, Socket.SOL_IP);
        s.Option(fd, Socket.IP_TOS, Socket.SOL_IP);
        s.SetOption(fd, Socket.IP_TTL, 0, Socket.SOL_IP);
        s.SetOption(fd, 999, 0, Socket.SOL_IP);
        s.Option(fd, 999, Socket.SOL_IP);
        s.Option(fd, 1, Socket.SOL_IPV6);
        s.SendMessage(fd, "x", SocketScript.Rights(fd));
        s.Close(fd);
    });

    [Fact]
    public void Create_Protocols() => SocketScript.Compare(s =>
    {
        s.Said("tcp/udp", s.Socket(Stream, V4, 17));
        s.Said("udp/tcp", s.Socket(Datagram, V4, 6));
        s.Said("raw 0", s.Socket(Socket.SOCK_RAW, V4, 0));
        s.Said("seqpacket", s.Socket(Socket.SOCK_SEQPACKET, V4));
        s.Said("rdm", s.Socket(Socket.SOCK_RDM, V6));
        ulong pair = s.Kernel.Allocate(8);
        s.Said("pair", s.Kernel.Call(SysNo.socketpair, V4, Stream, 0, pair));
        int fd = s.Socket(Stream, V4, 6);
        s.Option(fd, Socket.SO_PROTOCOL);
        s.Option(fd, Socket.SO_TYPE);
        s.Close(fd);
    });

    [Fact]
    public void Urgent_Byte() => SocketScript.Compare(s =>
    {
        (int a, int b) = Connected(s, V4);
        s.Send(a, "abcX", Socket.MSG_OOB);
        s.Poll(b);
        s.Receive(b, 10);
        s.Receive(b, 1, Socket.MSG_OOB);
        s.Send(a, "def");
        s.Receive(b, 10);
        s.Receive(b, 1, Socket.MSG_OOB);
        s.Close(a, b);
    });

    [Fact]
    public void Interfaces_ByIoctl() => SocketScript.Compare(s =>
    {
        int fd = s.Socket(Datagram, V4);
        foreach (int command in new[] { Socket.SIOCGIFINDEX, Socket.SIOCGIFADDR, Socket.SIOCGIFNETMASK, Socket.SIOCGIFMTU, Socket.SIOCGIFFLAGS, Socket.SIOCGIFHWADDR })
        {
            byte[] request = new byte[40];
            (request[0], request[1]) = ((byte)'l', (byte)'o');
            ulong address = s.Put(request);
            s.Said($"ioctl {command:x}", s.Kernel.Call(SysNo.ioctl, (ulong)fd, (ulong)command, address));
            s.Say(Convert.ToHexString(s.Kernel.Read(address + 16, 8)));
        }

        ulong unknown = s.Put("none\0"u8.ToArray().Concat(new byte[40]).ToArray());
        s.Said("unknown", s.Kernel.Call(SysNo.ioctl, (ulong)fd, Socket.SIOCGIFINDEX, unknown));
        s.Close(fd);
    });
}
