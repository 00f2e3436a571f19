using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Transport.Tcp;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Sockets.Packet;
using Runsc.Sentry.Sockets.Unix;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>NETLINK_SOCK_DIAG (sock_diag(7)): the sockets of the namespace, as ss(8) lists them.</summary>
internal static class DiagFamily
{
    private const int ByFamily = 20;

    // TCPDIAG_GETSOCK: the older request about TCP, of both families.
    private const int OldTcp = 18;
    private const int OldRequest = 60;

    // struct inet_diag_req_v2, unix_diag_req, packet_diag_req and netlink_diag_req.
    private const int InetRequest = 56, UnixRequest = 24, OtherRequest = 20;

    // struct inet_diag_sockid inside the request.
    private const int IdOffset = 8, IdSize = 48;

    private const byte Closed = 7, Established = 1, TimeWaiting = 6, Listening = 10;

    /// <summary>EINVAL for broken requests and other commands, ENOENT for a socket or a family that is not there.</summary>
    public static Errno Answer(NetNamespace network, in NetlinkRequest request, bool isDump, NetlinkWriter writer)
    {
        ReadOnlySpan<byte> body = request.Body;
        if (request.Type == OldTcp)
        {
            return body.Length < OldRequest ? Errno.EINVAL : Old(network, body, isDump, writer);
        }

        if (request.Type != ByFamily)
        {
            return Errno.EINVAL;
        }

        switch (body.Length > 0 ? body[0] : -1)
        {
            case Socket.AF_INET or Socket.AF_INET6:
                return body.Length < InetRequest ? Errno.EINVAL : Inet(network, body, isDump, writer);
            case Socket.AF_UNIX:
                return body.Length < UnixRequest ? Errno.EINVAL : Unix(network, body, isDump, writer);
            case Socket.AF_PACKET:
                return body.Length < OtherRequest ? Errno.EINVAL : !isDump ? Errno.EOPNOTSUPP : Packets(network, writer);
            case Socket.AF_NETLINK:
                return body.Length < OtherRequest ? Errno.EINVAL : !isDump ? Errno.EOPNOTSUPP : Netlinks(network, body[1], writer);
            default:
                return body.IsEmpty || body[0] >= Socket.AF_MAX ? Errno.EINVAL : Errno.ENOENT;
        }
    }

    // struct inet_diag_req: family, two lengths, extensions, the socket, states.
    private static Errno Old(NetNamespace network, ReadOnlySpan<byte> body, bool isDump, NetlinkWriter writer)
    {
        Span<byte> request = stackalloc byte[InetRequest];
        request.Clear();
        request[1] = Socket.IPPROTO_TCP;
        request[2] = body[3];
        body.Slice(4, IdSize).CopyTo(request[IdOffset..]);
        body.Slice(4 + IdSize, 4).CopyTo(request[4..]);
        if (!isDump)
        {
            request[0] = body[0];
            return Inet(network, request, isDump, writer, OldTcp);
        }

        request[0] = Socket.AF_INET;
        _ = Inet(network, request, isDump, writer, OldTcp);
        request[0] = Socket.AF_INET6;
        return Inet(network, request, isDump, writer, OldTcp);
    }

    private static Errno Inet(NetNamespace network, ReadOnlySpan<byte> body, bool isDump, NetlinkWriter writer, int type = ByFamily)
    {
        int family = body[0], protocol = body[1], extensions = body[2];
        if (protocol is not (Socket.IPPROTO_TCP or Socket.IPPROTO_UDP or Socket.IPPROTO_UDPLITE or Socket.IPPROTO_RAW))
        {
            return Errno.ENOENT;
        }

        uint states = BitConverter.ToUInt32(body[4..]);
        ReadOnlySpan<byte> id = body.Slice(IdOffset, IdSize);
        bool found = false;
        foreach (InetSocket socket in network.InetSockets())
        {
            bool isWanted = socket.Family == family && (protocol == Socket.IPPROTO_RAW ? socket.Type == Socket.SOCK_RAW : socket.Protocol == protocol && socket.Type != Socket.SOCK_RAW);
            if (!isWanted || !TryDescribe(socket, out Description one))
            {
                continue;
            }

            if (isDump ? (states & (1u << one.State)) != 0 && MatchesPorts(id, one) : IsSame(id, one))
            {
                found = true;
                WriteInet(type, socket, one, extensions, isDump, writer);
            }
        }

        if (isDump && protocol == Socket.IPPROTO_TCP && (states & (1u << TimeWaiting)) != 0)
        {
            WriteTimeWaits(type, network, family, id, writer);
        }

        return isDump || found ? Errno.None : Errno.ENOENT;
    }

    /// <summary>What struct inet_diag_msg says of a socket.</summary>
    private record struct Description(byte State, IpEndpoint Local, IpEndpoint Remote, int Receive, int Send);

    private static bool TryDescribe(InetSocket socket, out Description description)
    {
        switch (socket)
        {
            case TcpSocket tcp:
                (int receive, int send) = tcp.Endpoint.QueueLengths;
                send = tcp.Endpoint.State == TcpState.Listen ? tcp.Endpoint.Backlog : send;
                description = new((byte)tcp.Endpoint.State, tcp.Endpoint.Local, tcp.Endpoint.Remote, receive, send);
                return tcp.Endpoint.Local.Port != 0;
            case DatagramSocket datagram:
                description = new(
                    datagram.Endpoint.IsConnected ? Established : Closed, datagram.Endpoint.Local, datagram.Endpoint.Remote, datagram.Endpoint.QueuedMemory, 0);
                return datagram.Endpoint.Local.Port != 0 || socket.Type == Socket.SOCK_RAW;
            default:
                description = default;
                return false;
        }
    }

    // A dump may name ports.
    private static bool MatchesPorts(ReadOnlySpan<byte> id, in Description one)
    {
        ushort source = BinaryPrimitives.ReadUInt16BigEndian(id), destination = BinaryPrimitives.ReadUInt16BigEndian(id[2..]);
        return (source == 0 || source == one.Local.Port) && (destination == 0 || destination == one.Remote.Port);
    }

    private static bool IsSame(ReadOnlySpan<byte> id, in Description one)
    {
        Span<byte> own = stackalloc byte[36];
        WriteId(own, one.Local, one.Remote);
        return id[..36].SequenceEqual(own);
    }

    private static void WriteId(Span<byte> id, in IpEndpoint local, in IpEndpoint remote)
    {
        id[..36].Clear();
        BinaryPrimitives.WriteUInt16BigEndian(id, local.Port);
        BinaryPrimitives.WriteUInt16BigEndian(id[2..], remote.Port);
        WriteAddress(id[4..], local.Address);
        WriteAddress(id[20..], remote.Address);
    }

    // An IPv4 socket has a word; mapped addresses are those of IPv6 sockets, which the caller's family tells.
    private static void WriteAddress(Span<byte> target, in IpAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        address.Write(bytes);
        bytes[..address.Size].CopyTo(target);
    }

    private static void WriteHead(int type, bool isDump, int family, in Description one, byte timer, int interfaceIndex, ulong cookie, NetlinkWriter writer)
    {
        writer.Begin(type, isDump ? NetlinkWriter.Multi : 0);
        writer.Add((byte)family);
        writer.Add(one.State);
        writer.Add(timer);
        writer.Add((byte)0);
        Span<byte> id = stackalloc byte[36];
        WriteId(id, one.Local, one.Remote);
        if (family == Socket.AF_INET6)
        {
            one.Local.Address.WriteV6(id[4..]);
            one.Remote.Address.WriteV6(id[20..]);
        }

        writer.Add(id);
        writer.Add((uint)interfaceIndex);
        writer.Add(unchecked((uint)cookie));
        writer.Add((uint)(cookie >> 32));
    }

    private static void WriteInet(int type, InetSocket socket, in Description one, int extensions, bool isDump, NetlinkWriter writer)
    {
        const int memory = 1, info = 2, vegas = 3, congestion = 4, service = 5, trafficClass = 6, socketMemory = 7, shutdown = 8, v6Only = 11, bbr = 16;
        WriteHead(type, isDump, socket.Family, one, 0, socket.BoundInterface, socket.Cookie, writer);
        writer.Add(0u);
        writer.Add((uint)one.Receive);
        writer.Add((uint)one.Send);
        writer.Add(socket.User);
        writer.Add(unchecked((uint)socket.InodeNumber));
        writer.Attribute(shutdown, [socket.ShutdownMask]);
        if (Wants(service))
        {
            writer.Attribute(service, [socket.TypeOfService]);
        }

        if (socket.Family == Socket.AF_INET6)
        {
            if (Wants(trafficClass))
            {
                writer.Attribute(trafficClass, [socket.TrafficClass]);
            }

            if (one.State is Listening or Closed)
            {
                writer.Attribute(v6Only, [socket.IsV6Only ? (byte)1 : (byte)0]);
            }
        }

        if (Wants(memory))
        {
            Span<uint> words = [(uint)one.Receive, (uint)one.Send, 0, 0];
            writer.Attribute(memory, MemoryMarshal.AsBytes(words));
        }

        if (Wants(socketMemory))
        {
            Span<uint> words = [(uint)one.Receive, (uint)socket.ReceiveBuffer, 0, (uint)socket.SendBuffer, 0, (uint)one.Send, 0, 0, 0];
            writer.Attribute(socketMemory, MemoryMarshal.AsBytes(words));
        }

        if (socket is TcpSocket tcp)
        {
            if (Wants(info))
            {
                Span<byte> bytes = stackalloc byte[TcpInfoBytes.Size];
                writer.Attribute(info, bytes[..tcp.WriteInfo(bytes)]);
            }

            if (Wants(congestion))
            {
                writer.Attribute(congestion, tcp.CongestionName);
            }

            Span<byte> found = stackalloc byte[TcpInfoBytes.BbrSize];
            if ((Wants(vegas) || Wants(bbr)) && tcp.WriteCongestion(found) is > 0 and var length)
            {
                writer.Attribute(bbr, found[..length]);
            }
        }

        writer.End();

        bool Wants(int attribute) => (extensions & (1 << (attribute - 1))) != 0;
    }

    private static void WriteTimeWaits(int type, NetNamespace network, int family, ReadOnlySpan<byte> id, NetlinkWriter writer)
    {
        const byte timeWaitTimer = 3;
        TcpFlow?[] flows = new TcpFlow?[network.Inet.Tcp.Flows.Count + 16];
        using (network.Inet.Stack.Enter())
        {
            int count = network.Inet.Tcp.Flows.CopyTo(flows);
            for (int i = 0; i < count; i++)
            {
                if (flows[i] is not TimeWait wait || wait.LocalAddress.IsV4 != (family == Socket.AF_INET))
                {
                    continue;
                }

                Description one = new((byte)wait.State, new IpEndpoint(wait.LocalAddress, wait.LocalPort), new IpEndpoint(wait.RemoteAddress, wait.RemotePort), 0, 0);
                if (MatchesPorts(id, one))
                {
                    WriteHead(type, true, family, one, timeWaitTimer, 0, 0, writer);
                    for (int word = 0; word < 5; word++)
                    {
                        writer.Add(0u);
                    }

                    writer.End();
                }
            }
        }
    }

    private static Errno Unix(NetNamespace network, ReadOnlySpan<byte> body, bool isDump, NetlinkWriter writer)
    {
        const int showName = 1, showPeer = 4, showQueues = 16, showUser = 64;
        const int name = 0, peer = 2, queues = 4, shutdown = 6, user = 7;
        uint states = BitConverter.ToUInt32(body[4..]), wanted = BitConverter.ToUInt32(body[8..]);
        int show = BitConverter.ToInt32(body[12..]);
        bool found = false;
        foreach (UnixEndpoint endpoint in network.Unix.Snapshot())
        {
            byte state = endpoint.IsListening ? Listening : endpoint.IsConnected ? Established : Closed;
            ulong inode = endpoint.Socket?.InodeNumber ?? 0;
            if (isDump ? (states & (1u << state)) == 0 : inode != wanted)
            {
                continue;
            }

            found = true;
            ulong cookie = endpoint.Socket?.Cookie ?? 0;
            writer.Begin(ByFamily, NetlinkWriter.Multi);
            writer.Add((byte)Socket.AF_UNIX);
            writer.Add((byte)endpoint.Type);
            writer.Add(state);
            writer.Add((byte)0);
            writer.Add(unchecked((uint)inode));
            writer.Add(unchecked((uint)cookie));
            writer.Add((uint)(cookie >> 32));
            if ((show & showName) != 0 && endpoint.Address is { } address)
            {
                writer.Attribute(name, address.Sockaddr.AsSpan(Socket.UnixPathOffset));
            }

            if ((show & showPeer) != 0 && endpoint.Peer?.Socket is { } other)
            {
                writer.Attribute(peer, unchecked((uint)other.InodeNumber));
            }

            if ((show & showQueues) != 0)
            {
                Span<uint> words = [(uint)Math.Clamp(endpoint.UnreadBytes, 0, int.MaxValue), (uint)endpoint.SentBytes];
                writer.Attribute(queues, MemoryMarshal.AsBytes(words));
            }

            writer.Attribute(shutdown, [endpoint.ShutdownMask]);
            if ((show & showUser) != 0)
            {
                writer.Attribute(user, endpoint.Socket?.User ?? 0);
            }

            writer.End();
        }

        return isDump || found ? Errno.None : Errno.ENOENT;
    }

    private static Errno Packets(NetNamespace network, NetlinkWriter writer)
    {
        const int info = 0, user = 5;
        foreach (SocketDescription socket in network.OtherSockets())
        {
            if (socket is not PacketSocket packet)
            {
                continue;
            }

            ulong cookie = socket.Cookie;
            writer.Begin(ByFamily, NetlinkWriter.Multi);
            writer.Add((byte)Socket.AF_PACKET);
            writer.Add((byte)socket.Type);
            writer.Add(packet.Endpoint.Protocol);
            writer.Add(unchecked((uint)socket.InodeNumber));
            writer.Add(unchecked((uint)cookie));
            writer.Add((uint)(cookie >> 32));

            // struct packet_diag_info: interface, ring's version, reserve, threshold, timestamps, flags.
            Span<uint> words = [(uint)packet.Endpoint.Interface, 0, 0, 0, 0, 0];
            writer.Attribute(info, MemoryMarshal.AsBytes(words));
            writer.Attribute(user, packet.User);
            writer.End();
        }

        return Errno.None;
    }

    private static Errno Netlinks(NetNamespace network, int protocol, NetlinkWriter writer)
    {
        const int all = 255, groups = 1;
        foreach (SocketDescription socket in network.OtherSockets())
        {
            if (socket is not NetlinkSocket netlink || (protocol != all && socket.Protocol != protocol))
            {
                continue;
            }

            ulong cookie = socket.Cookie;
            writer.Begin(ByFamily, NetlinkWriter.Multi);
            writer.Add((byte)Socket.AF_NETLINK);
            writer.Add((byte)socket.Type);
            writer.Add((byte)socket.Protocol);
            writer.Add(Closed);
            writer.Add(netlink.Port);
            writer.Add(0u);
            writer.Add(0u);
            writer.Add(unchecked((uint)socket.InodeNumber));
            writer.Add(unchecked((uint)cookie));
            writer.Add((uint)(cookie >> 32));
            Span<ulong> joined = [netlink.Groups];
            writer.Attribute(groups, MemoryMarshal.AsBytes(joined));
            writer.End();
        }

        return Errno.None;
    }
}
