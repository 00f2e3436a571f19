using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Wire;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Packet;

/// <summary>A socket of AF_PACKET (packet(7)): frames of the interfaces of the namespace, in and out. Rings are for receiving only.</summary>
internal sealed class PacketSocket : SocketDescription, IEndpointEvents
{
    /// <summary>struct sockaddr_ll: family, protocol, interface, kind of link, type of packet, length and bytes of the address.</summary>
    private const int AddressSize = 20;
    private const int ShortestAddress = 12;

    private const int MaximumFrame = 65535 + EthernetHeader.Size;

    private readonly PacketEndpoint _endpoint;

    private PacketSocket(NetNamespace network, ICaller creator, int type, int protocol, int flags)
        : base(network, creator, Socket.AF_PACKET, type, protocol, flags)
    {
        _endpoint = new PacketEndpoint(network.Inet.Stack, type == Socket.SOCK_RAW);
        _endpoint.Notifier.Listener = this;
        User = creator.Credentials.EffectiveUid;
        network.Add(this);
    }

    public override WaitQueue Events { get; } = new();

    /// <summary>For /proc/net/packet.</summary>
    public PacketEndpoint Endpoint => _endpoint;

    public uint User { get; }

    // PACKET_AUXDATA and PACKET_ORIGDEV.
    private bool _wantsAuxiliary;
    private bool _wantsOrigin;

    private NetworkStack Stack => Network.Inet.Stack;

    /// <summary>EPERM without CAP_NET_RAW, ESOCKTNOSUPPORT.</summary>
    public static Errno Create(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket)
    {
        socket = null;
        if (!caller.Credentials.HasCapability(Capability.CAP_NET_RAW, network.Owner))
        {
            return Errno.EPERM;
        }

        if (type is not (Socket.SOCK_RAW or Socket.SOCK_DGRAM))
        {
            return Errno.ESOCKTNOSUPPORT;
        }

        PacketSocket made = new(network, caller, type, protocol, flags);
        ushort number = BinaryPrimitives.ReverseEndianness(unchecked((ushort)protocol));
        _ = made._endpoint.Bind(number, 0);
        socket = made;
        return Errno.None;
    }

    // PACKET_RX_RING, and what belongs to it: PACKET_VERSION, PACKET_RESERVE.
    private PacketRing? _ring;
    private int _version;
    private int _reserve;

    public void OnEvents(NetEvents events)
    {
        if (Volatile.Read(ref _ring) is { } ring)
        {
            ring.Fill();
            if (!ring.IsReadable)
            {
                return;
            }
        }

        Events.Notify(ToMask(events));
    }

    public override Errno GetMappable(out IMappable? mappable)
    {
        mappable = Volatile.Read(ref _ring)?.Map();
        return mappable is null ? Errno.EINVAL : Errno.None;
    }

    private static EventMask ToMask(NetEvents events) =>
        ((events & NetEvents.Readable) != 0 ? EventMask.Readable : EventMask.None) | EventMask.Writable | EventMask.WriteBand;

    public override EventMask Readiness(EventMask mask)
    {
        NetEvents events = _endpoint.Readiness;
        if (Volatile.Read(ref _ring) is { } ring)
        {
            ring.Fill();
            events = ring.IsReadable ? events | NetEvents.Readable : events & ~NetEvents.Readable;
        }

        return ToMask(events) & (mask | EventMask.Unmaskable);
    }

    public override Errno Bind(ICaller caller, ReadOnlySpan<byte> address)
    {
        if (address.Length < AddressSize || BitConverter.ToUInt16(address) != Socket.AF_PACKET)
        {
            return Errno.EINVAL;
        }

        ushort protocol = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        NetError error = _endpoint.Bind(protocol != 0 ? protocol : _endpoint.Protocol, BitConverter.ToInt32(address[4..]));
        return NetErrors.ToErrno(error);
    }

    public override Errno Connect(ICaller caller, ReadOnlySpan<byte> address) => Errno.EOPNOTSUPP;

    public override bool CanShutDown => false;

    public override int GetName(Span<byte> address)
    {
        int index = _endpoint.Interface;
        LinkKind kind = 0;
        MacAddress mac = default;
        bool isThere = false;
        using (Stack.Enter())
        {
            if (index != 0 && Stack.FindInterface(index) is NetworkInterface found)
            {
                kind = found.Device.Kind;
                mac = found.Mac;
                isThere = true;
            }
        }

        return Write(address, _endpoint.Protocol, index, kind, 0, mac, isThere ? MacAddress.Size : 0);
    }

    public override int GetPeerName(Span<byte> address) => -(int)Errno.EOPNOTSUPP;

    private static int Write(Span<byte> address, ushort protocol, int index, LinkKind kind, PacketType type, MacAddress mac, int macLength)
    {
        Span<byte> whole = stackalloc byte[AddressSize];
        whole.Clear();
        BitConverter.TryWriteBytes(whole, (ushort)Socket.AF_PACKET);
        BinaryPrimitives.WriteUInt16BigEndian(whole[2..], protocol);
        BitConverter.TryWriteBytes(whole[4..], index);
        BitConverter.TryWriteBytes(whole[8..], (ushort)kind);
        whole[10] = (byte)type;
        whole[11] = (byte)macLength;
        if (macLength > 0)
        {
            mac.Write(whole[12..]);
        }

        int length = macLength > 0 || index == 0 ? 12 + Math.Max(macLength, 0) : AddressSize;
        length = Math.Max(length, ShortestAddress);
        whole[..Math.Min(address.Length, AddressSize)].CopyTo(address);
        return length;
    }

    public override long Send(ICaller caller, ref IoBuffer data, ref SendRequest request)
    {
        ushort protocol = _endpoint.Protocol;
        int index = 0;
        MacAddress destination = default;
        if (!request.Address.IsEmpty)
        {
            if (request.Address.Length < ShortestAddress || request.Address.Length < 12 + request.Address[11] || BitConverter.ToUInt16(request.Address) != Socket.AF_PACKET)
            {
                return -(long)Errno.EINVAL;
            }

            protocol = BinaryPrimitives.ReadUInt16BigEndian(request.Address[2..]);
            index = BitConverter.ToInt32(request.Address[4..]);
            destination = request.Address.Length >= 12 + MacAddress.Size ? MacAddress.Read(request.Address[12..]) : default;
        }

        if (data.Remaining > MaximumFrame)
        {
            return -(long)Errno.EMSGSIZE;
        }

        int length = (int)data.Remaining;
        if (Type == Socket.SOCK_RAW && length < EthernetHeader.Size)
        {
            return -(long)Errno.EINVAL;
        }

        PacketBuffer? packet = Stack.Pool.TryAllocate(PacketBuffer.Headroom, Math.Max(length, 1));
        if (packet is null)
        {
            return -(long)Errno.ENOBUFS;
        }

        IoBuffer before = data;
        if (length > 0 && data.CopyIn(packet.Append(length)) < length)
        {
            packet.Release();
            data = before;
            return -(long)Errno.EFAULT;
        }

        if (Type == Socket.SOCK_RAW)
        {
            packet.Protocol = BinaryPrimitives.ReadUInt16BigEndian(packet.Linear[12..]);
        }

        NetError error = _endpoint.Send(packet, index, protocol, destination);
        return error != NetError.None ? -(long)NetErrors.ToErrno(error) : length;
    }

    public override long Receive(ICaller caller, ref IoBuffer data, ref ReceiveRequest request)
    {
        const int accepted = Socket.MSG_PEEK | Socket.MSG_DONTWAIT | Socket.MSG_TRUNC | Socket.MSG_CMSG_CLOEXEC | Socket.MSG_WAITALL | Socket.MSG_NOSIGNAL;
        if ((request.Flags & ~accepted) != 0)
        {
            return (request.Flags & Socket.MSG_ERRQUEUE) != 0 ? -(long)Errno.EAGAIN : -(long)Errno.EINVAL;
        }

        NetError error = _endpoint.Receive((request.Flags & Socket.MSG_PEEK) != 0, out ReceivedFrame frame);
        if (error != NetError.None)
        {
            return -(long)NetErrors.ToErrno(error);
        }

        PacketBuffer packet = frame.Packet;
        int length = packet.Length;
        long copied = 0;
        for (int i = 0; i < packet.ChunkCount && data.Remaining > 0 && copied >= 0; i++)
        {
            ReadOnlySpan<byte> chunk = packet.Chunk(i);
            chunk = chunk[..(int)Math.Min(chunk.Length, data.Remaining)];
            copied = chunk.Length > 0 && data.CopyOut(chunk) < chunk.Length ? -(long)Errno.EFAULT : copied + chunk.Length;
        }

        bool isPartial = packet.Checksum == ChecksumState.Partial;
        int network = packet.NetworkStart >= 0 ? Math.Max(packet.NetworkStart - packet.Position, 0) : Type == Socket.SOCK_RAW ? EthernetHeader.Size : 0;
        packet.Release();
        if (copied < 0)
        {
            return copied;
        }

        request.ResultFlags |= length > copied ? Socket.MSG_TRUNC : 0;
        request.IsComplete = true;
        if (!request.Address.IsEmpty)
        {
            bool hasAddress = frame.LinkKind != LinkKind.None;
            _ = Write(request.Address, frame.Protocol, frame.Interface, frame.LinkKind, frame.Type, frame.Source, hasAddress ? MacAddress.Size : 0);
            request.AddressLength = AddressSize;
        }

        if (!request.IsPlainRead)
        {
            if (Has(SocketFlags.Timestamp | SocketFlags.TimestampNanoseconds))
            {
                AddTimestamp(ref request.Control, frame.Timestamp);
            }

            if (_wantsAuxiliary)
            {
                AddAuxiliary(ref request.Control, frame.OriginalLength, length, network, isPartial);
            }
        }

        return (request.Flags & Socket.MSG_TRUNC) != 0 ? length : copied;
    }

    // struct tpacket_auxdata.
    private static void AddAuxiliary(ref ControlWriter control, int length, int captured, int network, bool isPartial)
    {
        const uint user = 1, checksumNotReady = 8;
        Span<byte> data = stackalloc byte[20];
        data.Clear();
        BitConverter.TryWriteBytes(data, user | (isPartial ? checksumNotReady : 0));
        BitConverter.TryWriteBytes(data[4..], length);
        BitConverter.TryWriteBytes(data[8..], captured);
        BitConverter.TryWriteBytes(data[14..], (ushort)network);
        control.Add(Socket.SOL_PACKET, Socket.PACKET_AUXDATA, data);
    }

    protected override Errno TakeError() => Errno.None;

    protected override void OnSocketRelease()
    {
        Network.Remove(this);
        LeaveAll();
        _endpoint.Close();
        Interlocked.Exchange(ref _ring, null)?.Close();
    }

    protected override Errno OnFilterChanged(SocketFilter? filter)
    {
        using (Stack.Enter())
        {
            _endpoint.Filter = filter;
        }

        return Errno.None;
    }

    protected override void OnOptionChanged(int name)
    {
        if (name is Socket.SO_RCVBUF or Socket.SO_RCVBUFFORCE)
        {
            _endpoint.ReceiveBuffer = ReceiveBuffer;
        }
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument)
    {
        if (command != Ioctls.FIONREAD)
        {
            return base.Ioctl(caller, command, argument);
        }

        int length = 0;
        if (_endpoint.Receive(peek: true, out ReceivedFrame first) == NetError.None)
        {
            length = first.Packet.Length;
            first.Packet.Release();
        }

        return CopyOutInt(caller, argument, length);
    }

    public override long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        if (level != Socket.SOL_PACKET)
        {
            return level == Socket.SOL_SOCKET ? base.SetOption(caller, level, name, value) : -(long)Errno.ENOPROTOOPT;
        }

        if (name is Socket.PACKET_ADD_MEMBERSHIP or Socket.PACKET_DROP_MEMBERSHIP)
        {
            return value.Length < 16 ? -(long)Errno.EINVAL : -(long)ChangeMembership(value, name == Socket.PACKET_ADD_MEMBERSHIP);
        }

        if (name == Socket.PACKET_RX_RING)
        {
            return value.Length < (_version == BlockVersion ? 28 : 16) ? -(long)Errno.EINVAL : -(long)ChangeRing(value);
        }

        if (name is Socket.PACKET_VERSION or Socket.PACKET_RESERVE)
        {
            return value.Length != 4 ? -(long)Errno.EINVAL : -(long)ChangeRingLayout(name, MemoryMarshal.Read<int>(value));
        }

        if (name == Socket.PACKET_FANOUT)
        {
            return value.Length < 4 ? -(long)Errno.EINVAL
                : -(long)NetErrors.ToErrno(_endpoint.Join(BitConverter.ToUInt16(value), (FanoutMode)value[2], value[3]));
        }

        if (name is not (Socket.PACKET_AUXDATA or Socket.PACKET_ORIGDEV or Socket.PACKET_IGNORE_OUTGOING))
        {
            return -(long)Errno.ENOPROTOOPT;
        }

        if (value.Length < 4)
        {
            return -(long)Errno.EINVAL;
        }

        bool on = MemoryMarshal.Read<int>(value) != 0;
        switch (name)
        {
            case Socket.PACKET_AUXDATA:
                _wantsAuxiliary = on;
                break;
            case Socket.PACKET_ORIGDEV:
                _wantsOrigin = on;
                break;
            default:
                _endpoint.IgnoresOutgoing = on;
                break;
        }

        return 0;
    }

    // TPACKET_V3, the last one.
    private const int BlockVersion = 2;

    private Errno ChangeRingLayout(int name, int number)
    {
        const int longestReserve = 65536;
        if (_ring is not null)
        {
            return Errno.EBUSY;
        }

        if (name == Socket.PACKET_VERSION)
        {
            _version = number is >= 0 and <= BlockVersion ? number : _version;
            return number is >= 0 and <= BlockVersion ? Errno.None : Errno.EINVAL;
        }

        _reserve = number is >= 0 and <= longestReserve ? number : _reserve;
        return number is >= 0 and <= longestReserve ? Errno.None : Errno.EINVAL;
    }

    private Errno ChangeRing(ReadOnlySpan<byte> request)
    {
        bool isNone = BitConverter.ToUInt32(request[4..]) == 0;
        if (!isNone && _ring is not null)
        {
            return Errno.EBUSY;
        }

        Errno error = PacketRing.TryCreate(
            Network.System.Kernel, _endpoint, request, _version, _reserve, () => Events.Notify(EventMask.Readable), out PacketRing? ring);
        if (error == Errno.None)
        {
            using (Stack.Enter())
            {
                _endpoint.HasRing = ring is not null;
            }

            Interlocked.Exchange(ref _ring, ring)?.Close();
        }

        return error;
    }

    // struct packet_mreq. ENODEV, EINVAL; to leave what was not joined is no error.
    private Errno ChangeMembership(ReadOnlySpan<byte> request, bool add)
    {
        const int multicast = 0, promiscuous = 1, allMulticast = 2, unicast = 3;
        int index = BitConverter.ToInt32(request), type = BitConverter.ToUInt16(request[4..]);
        using (Stack.Enter())
        {
            if (Stack.FindInterface(index) is not NetworkInterface found)
            {
                return Errno.ENODEV;
            }

            switch (type)
            {
                case promiscuous or allMulticast:
                    if (add)
                    {
                        _memberships.Add((found, type));
                    }
                    else if (!_memberships.Remove((found, type)))
                    {
                        return Errno.None;
                    }

                    Count(found, type, add ? 1 : -1);
                    return Errno.None;
                case multicast or unicast:
                    return Errno.EOPNOTSUPP;
                default:
                    return Errno.EINVAL;
            }
        }

        static void Count(NetworkInterface one, int type, int change)
        {
            one.PromiscuousCount += type == promiscuous ? change : 0;
            one.AllMulticastCount += type == allMulticast ? change : 0;
        }
    }

    // PACKET_ADD_MEMBERSHIP: the interfaces and types. Guarded by the stack's lock.
    private readonly List<(NetworkInterface Interface, int Type)> _memberships = [];

    private void LeaveAll()
    {
        Span<byte> request = stackalloc byte[16];
        while (true)
        {
            using (Stack.Enter())
            {
                if (_memberships.Count == 0)
                {
                    return;
                }

                BitConverter.TryWriteBytes(request, _memberships[0].Interface.Index);
                BitConverter.TryWriteBytes(request[4..], (ushort)_memberships[0].Type);
            }

            if (ChangeMembership(request, add: false) != Errno.None)
            {
                return;
            }
        }
    }

    public override long GetOption(ICaller caller, int level, int name, Span<byte> value)
    {
        if (level != Socket.SOL_PACKET)
        {
            return level == Socket.SOL_SOCKET ? base.GetOption(caller, level, name, value) : -(long)Errno.ENOPROTOOPT;
        }

        switch (name)
        {
            case Socket.PACKET_STATISTICS:
                (uint received, uint dropped, uint freezes) = _endpoint.TakeStatistics();
                Span<uint> statistics = [received, dropped, freezes];
                return Put(value, MemoryMarshal.AsBytes(_version == BlockVersion ? statistics : statistics[..2]));
            case Socket.PACKET_AUXDATA:
                return Put(value, _wantsAuxiliary ? 1 : 0);
            case Socket.PACKET_ORIGDEV:
                return Put(value, _wantsOrigin ? 1 : 0);
            case Socket.PACKET_IGNORE_OUTGOING:
                return Put(value, _endpoint.IgnoresOutgoing ? 1 : 0);
            case Socket.PACKET_HDRLEN:
                return value.Length < 4 || PacketRing.HeaderSize(MemoryMarshal.Read<int>(value)) is not (> 0 and var size) ? -(long)Errno.EINVAL : Put(value, size);
            case Socket.PACKET_FANOUT:
                return Put(value, unchecked((int)(_endpoint.Fanout?.Value ?? 0)));
            case Socket.PACKET_VERSION:
                return Put(value, _version);
            case Socket.PACKET_RESERVE:
                return Put(value, _reserve);
            default:
                return -(long)Errno.ENOPROTOOPT;
        }
    }
}
