using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Wire;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>Sockets that send packets: UDP (udp(7)), UDP-Lite (udplite(7)), raw (raw(7)), and unprivileged echo (icmp(7)).</summary>
internal sealed partial class DatagramSocket : InetSocket
{
    private readonly DatagramEndpoint _endpoint;

    private DatagramSocket(NetNamespace network, ICaller creator, int family, int type, int protocol, int flags, DatagramEndpoint endpoint)
        : base(network, creator, family, type, protocol, flags)
    {
        _endpoint = endpoint;
        endpoint.Options.User = User;
        endpoint.Options.Owner = Owner;
        endpoint.Notifier.Listener = this;
    }

    public DatagramEndpoint Endpoint => _endpoint;

    protected override EndpointOptions IpOptions => _endpoint.Options;

    protected override NetEvents EndpointReadiness => _endpoint.Readiness;

    protected override GroupMemberships Groups => _endpoint.Groups;

    protected override bool IsBound => _endpoint.Local.Port != 0 && Type != Socket.SOCK_RAW;

    /// <summary>A packet of one path only is known by sending it: what a connected socket's interface takes.</summary>
    protected override int PathMtu
    {
        get
        {
            if (!_endpoint.IsConnected)
            {
                return 0;
            }

            using (Stack.Enter())
            {
                return Stack.FindAddress(_endpoint.Local.Address)?.Interface.Mtu ?? 0;
            }
        }
    }

    public static DatagramSocket CreateUdp(NetNamespace network, ICaller caller, int family, int protocol, int flags) =>
        new(network, caller, family, Socket.SOCK_DGRAM, protocol, flags, new UdpEndpoint(network.Inet.Stack, family == Socket.AF_INET, protocol == Socket.IPPROTO_UDPLITE));

    public static DatagramSocket CreatePing(NetNamespace network, ICaller caller, int family, int protocol, int flags) =>
        new(network, caller, family, Socket.SOCK_DGRAM, protocol, flags, new PingEndpoint(network.Inet.Stack, family == Socket.AF_INET));

    public static DatagramSocket CreateRaw(NetNamespace network, ICaller caller, int family, int protocol, int flags) =>
        new(network, caller, family, Socket.SOCK_RAW, protocol, flags, new RawEndpoint(network.Inet.Stack, family == Socket.AF_INET, (byte)protocol));

    public override Errno Bind(ICaller caller, ReadOnlySpan<byte> address)
    {
        Errno error = ParseLocal(caller, address, out IpEndpoint local);
        return error != Errno.None ? error : NetErrors.ToErrno(_endpoint.Bind(local));
    }

    public override Errno Connect(ICaller caller, ReadOnlySpan<byte> address)
    {
        if (InetAddress.FamilyOf(address) == Socket.AF_UNSPEC)
        {
            _endpoint.Disconnect();
            return Errno.None;
        }

        Errno error = InetAddress.TryParse(Family, address, mixed: true, out IpEndpoint remote);
        return error != Errno.None ? error : NetErrors.ToErrno(_endpoint.Connect(remote));
    }

    public override int GetName(Span<byte> address) => InetAddress.Write(Family, _endpoint.Local, address);

    public override int GetPeerName(Span<byte> address) =>
        _endpoint.IsConnected ? InetAddress.Write(Family, _endpoint.Remote, address) : -(int)Errno.ENOTCONN;

    public override Errno Shutdown(int how) => NetErrors.ToErrno(_endpoint.Shutdown(how != Socket.SHUT_WR, how != Socket.SHUT_RD));

    protected override Errno TakeError() => NetErrors.ToErrno(_endpoint.TakeError());

    protected override void CloseEndpoint() => _endpoint.Close();

    public override byte ShutdownMask => (byte)((_endpoint.IsReadShut ? 1 : 0) | (_endpoint.IsWriteShut ? 2 : 0));

    protected override Errno OnFilterChanged(SocketFilter? filter)
    {
        using (Stack.Enter())
        {
            _endpoint.Filter = filter;
        }

        return Errno.None;
    }

    public override long Receive(ICaller caller, ref IoBuffer data, ref ReceiveRequest request)
    {
        if ((request.Flags & Socket.MSG_ERRQUEUE) != 0)
        {
            return ReceiveError(ref data, ref request);
        }

        if ((request.Flags & Socket.MSG_OOB) != 0 && _endpoint is not UdpEndpoint)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        NetError error = _endpoint.Receive((request.Flags & Socket.MSG_PEEK) != 0, out ReceivedDatagram datagram);
        if (error != NetError.None)
        {
            // Shut for reading: a reader that would wait gets the end.
            request.IsShut = error == NetError.NotConnected && datagram.Packet is null && _endpoint.IsReadShut;
            return request.IsShut ? -(long)Errno.EAGAIN : -(long)NetErrors.ToErrno(error);
        }

        PacketBuffer packet = datagram.Packet;
        int length = packet.Length;
        long copied = CopyOut(packet, ref data, ref request);
        Span<byte> options = stackalloc byte[Ipv4Options.MaxSize];
        options = options[..((Wanted & (InetReceiveFlags.Options | InetReceiveFlags.ReturnOptions)) != 0 && datagram.Destination.IsV4 ? CopyOptions(packet, options) : 0)];
        packet.Release();
        if (copied < 0)
        {
            return copied;
        }

        if (!request.Address.IsEmpty)
        {
            request.AddressLength = InetAddress.Write(Family, datagram.Source, request.Address);
        }

        if (!request.IsPlainRead)
        {
            if (Has(SocketFlags.Timestamp | SocketFlags.TimestampNanoseconds))
            {
                AddTimestamp(ref request.Control, datagram.Timestamp);
            }

            InetControl.Add(ref request.Control, Wanted, datagram, _endpoint.Drops, Has(SocketFlags.OverflowCount));
            if (options.Length > 0)
            {
                InetControl.AddOptions(ref request.Control, Wanted, options);
            }
        }

        request.IsComplete = true;
        return (request.Flags & Socket.MSG_TRUNC) != 0 ? length : copied;
    }

    // The options in the IP header, which is still in front of what was read; the packet is not used any more.
    private static int CopyOptions(PacketBuffer packet, Span<byte> options)
    {
        if (packet.NetworkStart < 0)
        {
            return 0;
        }

        packet.Rewind(packet.NetworkStart);
        ReadOnlySpan<byte> found = Ipv4Header.OfChecked(packet.Linear).Options;
        found.CopyTo(options);
        return found.Length;
    }

    private static long CopyOut(PacketBuffer packet, ref IoBuffer data, ref ReceiveRequest request)
    {
        if (packet.Length > data.Remaining)
        {
            request.ResultFlags |= Socket.MSG_TRUNC;
        }

        long copied = 0;
        for (int i = 0; i < packet.ChunkCount && data.Remaining > 0; i++)
        {
            ReadOnlySpan<byte> chunk = packet.Chunk(i);
            chunk = chunk[..(int)Math.Min(chunk.Length, data.Remaining)];
            if (chunk.Length > 0 && data.CopyOut(chunk) < chunk.Length)
            {
                return -(long)Errno.EFAULT;
            }

            copied += chunk.Length;
        }

        return copied;
    }

    private long ReceiveError(ref IoBuffer data, ref ReceiveRequest request)
    {
        if (!_endpoint.TryTakeQueuedError(out QueuedError entry))
        {
            return -(long)Errno.EAGAIN;
        }

        long copied = 0;
        if (entry.Payload is PacketBuffer payload)
        {
            copied = CopyOut(payload, ref data, ref request);
            payload.Release();
        }

        if (copied >= 0)
        {
            if (!request.Address.IsEmpty)
            {
                request.AddressLength = InetAddress.Write(Family, entry.Destination, request.Address);
            }

            request.ResultFlags |= Socket.MSG_ERRQUEUE;
            if (!entry.Error.IsLocal)
            {
                // What is asked of packets is told of the message that brought the error.
                ReceivedDatagram message = new()
                {
                    Destination = entry.Error.Local,
                    Interface = entry.Error.Interface,
                    HopLimit = entry.Error.HopLimit,
                    TrafficClass = entry.Error.TrafficClass,
                };
                InetControl.Add(ref request.Control, Wanted & ~(InetReceiveFlags.OriginalDestination | InetReceiveFlags.OriginalDestinationV6), message, 0, wantsDrops: false, ofError: true);
            }

            InetControl.AddError(ref request.Control, IsV6, entry);
        }

        request.IsComplete = true;
        return copied;
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument)
    {
        switch (command)
        {
            case Ioctls.FIONREAD:
                return CopyOutInt(caller, argument, Math.Max(_endpoint.FirstLength, 0));
            case Ioctls.TIOCOUTQ:
                // What is sent has left at once.
                return CopyOutInt(caller, argument, 0);
            default:
                return base.Ioctl(caller, command, argument);
        }
    }

    // UDP_SEGMENT of all that is sent.
    private int _gsoSize;

    public override long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        bool isRaw = _endpoint is RawEndpoint;
        if (level == Socket.SOL_RAW && isRaw && name == Socket.ICMP_FILTER && Protocol == Socket.IPPROTO_ICMP)
        {
            if (value.Length < 4)
            {
                return -(long)Errno.EINVAL;
            }

            ((RawEndpoint)_endpoint).IcmpFilter = MemoryMarshal.Read<uint>(value);
            return 0;
        }

        if (level == Socket.SOL_ICMPV6 && isRaw && name == 1 && Protocol == Socket.IPPROTO_ICMPV6)
        {
            Span<byte> filter = MemoryMarshal.AsBytes(((RawEndpoint)_endpoint).Icmpv6Filter.AsSpan());
            value[..Math.Min(value.Length, filter.Length)].CopyTo(filter);
            return 0;
        }

        if (value.Length >= 4)
        {
            int number = MemoryMarshal.Read<int>(value);
            switch (level)
            {
                case Socket.SOL_IP when name == Socket.IP_HDRINCL:
                    return isRaw ? Assign(() => ((RawEndpoint)_endpoint).IncludesHeader = number != 0) : -(long)Errno.ENOPROTOOPT;
                case Socket.SOL_IPV6 or Socket.SOL_RAW when name == Socket.IPV6_CHECKSUM && isRaw && IsV6:
                    return number > 0 && (number & 1) != 0 ? -(long)Errno.EINVAL : Assign(() => ((RawEndpoint)_endpoint).ChecksumOffset = Math.Max(number, -1));
                case Socket.SOL_UDP or Socket.SOL_UDPLITE when _endpoint is UdpEndpoint udp:
                    return SetUdpOption(udp, name, number);
            }
        }

        return level is Socket.SOL_UDP or Socket.SOL_UDPLITE && _endpoint is UdpEndpoint ? -(long)Errno.EINVAL : base.SetOption(caller, level, name, value);
    }

    private static long Assign(Action change)
    {
        change();
        return 0;
    }

    private long SetUdpOption(UdpEndpoint udp, int name, int number)
    {
        switch (name)
        {
            case Socket.UDP_SEGMENT when number is >= 0 and <= 65535:
                _gsoSize = number;
                return 0;
            case Socket.UDP_SEGMENT:
                return -(long)Errno.EINVAL;
            case Socket.UDP_CORK:
                return SetCork(number != 0);
            case Socket.UDP_GRO:
                udp.AcceptsGro = number != 0;
                return 0;
            case Socket.UDPLITE_SEND_CSCOV when Protocol == Socket.IPPROTO_UDPLITE:
                udp.SendCoverage = Coverage(number);
                return 0;
            case Socket.UDPLITE_RECV_CSCOV when Protocol == Socket.IPPROTO_UDPLITE:
                udp.ReceiveCoverage = Coverage(number);
                return 0;
            default:
                return -(long)Errno.ENOPROTOOPT;
        }
    }

    // Nothing, or the header at least.
    private static ushort Coverage(int number) => number == 0 ? (ushort)0 : (ushort)Math.Clamp(number, HeaderUdp, ushort.MaxValue);

    public override long GetOption(ICaller caller, int level, int name, Span<byte> value)
    {
        switch (level)
        {
            case Socket.SOL_SOCKET when name == Socket.SO_PEEK_OFF:
                return -(long)Errno.EOPNOTSUPP;
            case Socket.SOL_UDP or Socket.SOL_UDPLITE when _endpoint is UdpEndpoint udp:
                return name switch
                {
                    Socket.UDP_CORK => Put(value, _isCorking ? 1 : 0),
                    Socket.UDP_SEGMENT => Put(value, _gsoSize),
                    Socket.UDP_GRO => Put(value, udp.AcceptsGro ? 1 : 0),
                    Socket.UDPLITE_SEND_CSCOV => Put(value, (int)(udp.SendCoverage ?? 0)),
                    Socket.UDPLITE_RECV_CSCOV => Put(value, (int)(udp.ReceiveCoverage ?? 0)),
                    _ => -(long)Errno.ENOPROTOOPT,
                };
            case Socket.SOL_RAW when _endpoint is RawEndpoint raw && name == Socket.ICMP_FILTER && Protocol == Socket.IPPROTO_ICMP:
                return Put(value, raw.IcmpFilter);
            case Socket.SOL_ICMPV6 when _endpoint is RawEndpoint raw && name == 1:
                return Put(value, MemoryMarshal.AsBytes(raw.Icmpv6Filter.AsSpan()));
            case Socket.SOL_IP when name == Socket.IP_HDRINCL && _endpoint is RawEndpoint raw:
                return Put(value, raw.IncludesHeader ? 1 : 0);
            case Socket.SOL_IPV6 when name == Socket.IPV6_CHECKSUM && _endpoint is RawEndpoint raw:
                return Put(value, raw.ChecksumOffset);
            default:
                return base.GetOption(caller, level, name, value);
        }
    }
}
