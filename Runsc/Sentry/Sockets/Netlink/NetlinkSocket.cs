using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack.Transport;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets.Netfilter;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>A socket of AF_NETLINK (netlink(7)): requests are answered at once, and the answers wait in its queue.</summary>
internal sealed class NetlinkSocket : SocketDescription, IEndpointEvents
{
    public const int AddressSize = 12;

    private const int Request = 1;
    private const int Acknowledge = 4;
    private const int Dump = 0x300;
    private const int MaximumRequest = 65536;

    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly Queue<(byte[] Data, int Group)> _queue = new();
    private int _queuedBytes;
    private bool _overrun;
    private uint _port;
    private ulong _groups;

    // NETLINK_* options that are flags: a bit each, by number.
    private volatile int _options;

    // Wakes readers of notifications, which come under the stack's lock.
    private readonly EndpointNotifier _notifier;

    private NetlinkSocket(NetNamespace network, ICaller creator, int type, int protocol, int flags)
        : base(network, creator, Socket.AF_NETLINK, type, protocol, flags)
    {
        _notifier = new EndpointNotifier(network.Inet.Stack) { Listener = this };
        network.Add(this);
    }

    /// <summary>nl_pid; 0 before bind.</summary>
    public uint Port
    {
        get
        {
            lock (_mu)
            {
                return _port;
            }
        }
    }

    /// <summary>Bytes in the queue, for /proc/net/netlink.</summary>
    public int QueuedBytes => _queuedBytes;

    /// <summary>Groups it is a member of: a bit each.</summary>
    public ulong Groups => Volatile.Read(ref _groups);

    public void OnEvents(NetEvents events) => Events.Notify(EventMask.Readable);

    protected override Errno OnFilterChanged(SocketFilter? filter) => Errno.None;

    public override WaitQueue Events { get; } = new();

    public override bool PassesCredentials => true;

    /// <summary>EPROTONOSUPPORT for families that are not there.</summary>
    public static Errno Create(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket)
    {
        socket = null;
        if (type is not (Socket.SOCK_RAW or Socket.SOCK_DGRAM))
        {
            return Errno.ESOCKTNOSUPPORT;
        }

        if (protocol is not (Socket.NETLINK_ROUTE or Socket.NETLINK_SOCK_DIAG or Socket.NETLINK_KOBJECT_UEVENT or Socket.NETLINK_GENERIC
            or Socket.NETLINK_NETFILTER))
        {
            return Errno.EPROTONOSUPPORT;
        }

        socket = new NetlinkSocket(network, caller, type, protocol, flags);
        return Errno.None;
    }

    public override Errno Bind(ICaller caller, ReadOnlySpan<byte> address)
    {
        if (address.Length < AddressSize || BitConverter.ToUInt16(address) != Socket.AF_NETLINK)
        {
            return Errno.EINVAL;
        }

        uint port = BitConverter.ToUInt32(address[4..]);
        Errno error;
        lock (_mu)
        {
            if (_port != 0 && port != _port)
            {
                return Errno.EINVAL;
            }

            error = _port != 0 ? Errno.None : TakePortLocked(caller, port);
            if (error == Errno.None)
            {
                _groups = (_groups & 0xffff_ffff_0000_0000) | BitConverter.ToUInt32(address[8..]);
            }
        }

        Network.NetlinkGroupsChanged();
        return error;
    }

    private Errno TakePortLocked(ICaller caller, uint port)
    {
        uint given = Network.TakeNetlinkPort(Protocol, port, unchecked((uint)caller.ProcessId));
        if (given == 0)
        {
            return Errno.EADDRINUSE;
        }

        _port = given;
        return Errno.None;
    }

    // Only the kernel can be talked to.
    public override Errno Connect(ICaller caller, ReadOnlySpan<byte> address)
    {
        if (address.Length < 2)
        {
            return Errno.EINVAL;
        }

        if (BitConverter.ToUInt16(address) == Socket.AF_UNSPEC)
        {
            return Errno.None;
        }

        if (address.Length < AddressSize || BitConverter.ToUInt16(address) != Socket.AF_NETLINK)
        {
            return Errno.EINVAL;
        }

        if (BitConverter.ToUInt32(address[4..]) != 0)
        {
            return caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, Network.Owner) ? Errno.ECONNREFUSED : Errno.EPERM;
        }

        lock (_mu)
        {
            return _port != 0 ? Errno.None : TakePortLocked(caller, 0);
        }
    }

    public override int GetName(Span<byte> address)
    {
        lock (_mu)
        {
            WriteAddress(address, _port, unchecked((uint)_groups));
        }

        return AddressSize;
    }

    public override int GetPeerName(Span<byte> address)
    {
        WriteAddress(address, 0, 0);
        return AddressSize;
    }

    private static void WriteAddress(Span<byte> address, uint port, uint groups)
    {
        Span<byte> whole = stackalloc byte[AddressSize];
        whole.Clear();
        BitConverter.TryWriteBytes(whole, (ushort)Socket.AF_NETLINK);
        BitConverter.TryWriteBytes(whole[4..], port);
        BitConverter.TryWriteBytes(whole[8..], groups);
        whole[..Math.Min(address.Length, AddressSize)].CopyTo(address);
    }

    public override bool CanShutDown => false;

    public override long Send(ICaller caller, ref IoBuffer data, ref SendRequest request)
    {
        if ((request.Flags & Socket.MSG_OOB) != 0)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        if (!request.Address.IsEmpty && (request.Address.Length < AddressSize || BitConverter.ToUInt16(request.Address) != Socket.AF_NETLINK))
        {
            return -(long)Errno.EINVAL;
        }

        if (!request.Address.IsEmpty && (BitConverter.ToUInt32(request.Address[4..]) != 0 || BitConverter.ToUInt32(request.Address[8..]) != 0))
        {
            // Other processes and groups: not for everybody (netlink(7)), and nobody of them can be reached.
            return -(long)(caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, Network.Owner) ? Errno.ECONNREFUSED : Errno.EPERM);
        }

        if (data.Remaining > Math.Max(MaximumRequest, SendBuffer))
        {
            return -(long)Errno.EMSGSIZE;
        }

        byte[] bytes = new byte[data.Remaining];
        if (data.CopyIn(bytes) < bytes.Length)
        {
            return -(long)Errno.EFAULT;
        }

        uint port;
        lock (_mu)
        {
            if (_port == 0)
            {
                Errno error = TakePortLocked(caller, 0);
                if (error != Errno.None)
                {
                    return -(long)error;
                }
            }

            port = _port;
        }

        if (Protocol == Socket.NETLINK_NETFILTER && NetfilterFamily.IsBatch(bytes))
        {
            AnswerBatch(caller, bytes, port);
            return bytes.Length;
        }

        ReadOnlySpan<byte> rest = bytes;
        while (NetlinkRequest.TryRead(ref rest, out NetlinkRequest message))
        {
            Answer(caller, message, port);
        }

        return bytes.Length;
    }

    // Each message of a batch has a result of its own.
    private void AnswerBatch(ICaller caller, byte[] bytes, uint port)
    {
        foreach (NetfilterResult result in NetfilterFamily.RunBatch(caller, Network, bytes))
        {
            ReadOnlySpan<byte> at = bytes.AsSpan(result.Offset);
            if (NetlinkRequest.TryRead(ref at, out NetlinkRequest message) && (result.Error != Errno.None || (message.Flags & Acknowledge) != 0))
            {
                NetlinkWriter writer = new(message.Sequence, port);
                WriteResult(message, result.Error, writer, result.BadAttribute);
                Enqueue(writer);
            }
        }
    }

    private void Answer(ICaller caller, in NetlinkRequest message, uint port)
    {
        const int firstRouteType = 16;
        if ((message.Flags & Request) == 0)
        {
            return;
        }

        NetlinkWriter writer = new(message.Sequence, port);
        if (message.Type < firstRouteType)
        {
            // Control messages say nothing, but may be acknowledged.
            if ((message.Flags & Acknowledge) != 0)
            {
                WriteResult(message, Errno.None, writer);
                Enqueue(writer);
            }

            return;
        }

        bool isDump = (message.Flags & Dump) == Dump;
        Errno error = Protocol switch
        {
            Socket.NETLINK_ROUTE => RouteFamily.Answer(caller, Network, message, isDump, HasOption(Socket.NETLINK_GET_STRICT_CHK), writer),
            Socket.NETLINK_SOCK_DIAG => DiagFamily.Answer(Network, message, isDump, writer),
            Socket.NETLINK_NETFILTER => NetfilterFamily.Answer(caller, Network, message, isDump, writer),
            Socket.NETLINK_GENERIC => GenericFamily.Answer(message, isDump, writer),
            _ => Errno.EOPNOTSUPP,
        };
        if (error == Errno.None && isDump)
        {
            writer.Begin(NetlinkWriter.Done, NetlinkWriter.Multi);
            writer.Add(0u);
            writer.End();
        }
        else if (error != Errno.None || (message.Flags & Acknowledge) != 0)
        {
            WriteResult(message, error, writer);
        }

        Enqueue(writer);
    }

    // An error carries the request back, an acknowledgement its header; NETLINK_CAP_ACK caps both. A datagram of its own.
    // NETLINK_EXT_ACK adds where in the request the attribute is that the error is about.
    private void WriteResult(in NetlinkRequest message, Errno error, NetlinkWriter writer, int badAttribute = 0)
    {
        const int capped = 0x100, hasAttributes = 0x200, offsetAttribute = 2;
        bool tells = badAttribute != 0 && HasOption(Socket.NETLINK_EXT_ACK);
        bool whole = error != Errno.None && !HasOption(Socket.NETLINK_CAP_ACK);
        writer.Flush();
        writer.Begin(NetlinkWriter.Error, (whole ? 0 : capped) | (tells ? hasAttributes : 0));
        writer.Add(unchecked((uint)-(int)error));
        writer.Padded(whole ? message.Whole : message.Whole[..NetlinkWriter.HeaderSize]);
        if (tells)
        {
            writer.Attribute(offsetAttribute, (uint)badAttribute);
        }

        writer.End();
    }

    private void Enqueue(NetlinkWriter writer)
    {
        writer.Flush();
        lock (_mu)
        {
            // A dump is as long as what it lists, so one may go over the limit, but none begins beyond it.
            bool isFull = _queuedBytes > 0 && _queuedBytes >= ReceiveBuffer;
            _overrun |= isFull && !HasOption(Socket.NETLINK_NO_ENOBUFS);
            foreach (byte[] datagram in writer.Datagrams)
            {
                if (!isFull)
                {
                    EnqueueLocked(datagram, 0);
                }
            }
        }

        Events.Notify(EventMask.Readable);
    }

    private void EnqueueLocked(byte[] datagram, int group)
    {
        int kept = Filter?.Run(datagram) ?? datagram.Length;
        if (kept == 0)
        {
            return;
        }

        if (group != 0 && _queuedBytes + datagram.Length > ReceiveBuffer)
        {
            _overrun |= !HasOption(Socket.NETLINK_NO_ENOBUFS);
            return;
        }

        datagram = kept < datagram.Length ? datagram[..kept] : datagram;
        _queue.Enqueue((datagram, group));
        _queuedBytes += datagram.Length;
    }

    /// <summary>Messages of a group, if it is a member. Called under the stack's lock.</summary>
    public void Tell(int group, List<byte[]> datagrams)
    {
        if ((Groups & (1UL << (group - 1))) == 0)
        {
            return;
        }

        lock (_mu)
        {
            foreach (byte[] datagram in datagrams)
            {
                EnqueueLocked(datagram, group);
            }
        }

        _notifier.Raise(NetEvents.Readable);
    }

    private bool HasOption(int name) => (_options & (1 << name)) != 0;

    public override long Receive(ICaller caller, ref IoBuffer data, ref ReceiveRequest request)
    {
        if ((request.Flags & Socket.MSG_OOB) != 0)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        byte[] datagram;
        int group;
        lock (_mu)
        {
            if (_overrun)
            {
                _overrun = false;
                return -(long)Errno.ENOBUFS;
            }

            if (_queue.Count == 0)
            {
                return -(long)Errno.EAGAIN;
            }

            bool peek = (request.Flags & Socket.MSG_PEEK) != 0;
            (datagram, group) = peek ? _queue.Peek() : _queue.Dequeue();
            _queuedBytes -= peek ? 0 : datagram.Length;
        }

        int length = (int)Math.Min(datagram.Length, data.Remaining);
        if (length > 0 && data.CopyOut(datagram.AsSpan(0, length)) < length)
        {
            return -(long)Errno.EFAULT;
        }

        request.ResultFlags |= length < datagram.Length ? Socket.MSG_TRUNC : 0;
        request.IsComplete = true;
        if (!request.Address.IsEmpty)
        {
            WriteAddress(request.Address, 0, group is > 0 and <= 32 ? 1u << (group - 1) : 0);
            request.AddressLength = AddressSize;
        }

        if (!request.IsPlainRead && Has(SocketFlags.PassCredentials))
        {
            request.Control.Add(Socket.SOL_SOCKET, Socket.SCM_CREDENTIALS, default(UserCredentials));
        }

        if (!request.IsPlainRead && HasOption(Socket.NETLINK_PKTINFO))
        {
            request.Control.Add(Socket.SOL_NETLINK, Socket.NETLINK_PKTINFO, group);
        }

        return (request.Flags & Socket.MSG_TRUNC) != 0 ? datagram.Length : length;
    }

    public override EventMask Readiness(EventMask mask)
    {
        lock (_mu)
        {
            EventMask events = EventMask.Writable | EventMask.WriteBand;
            events |= _queue.Count > 0 ? EventMask.Readable : EventMask.None;
            events |= _overrun ? EventMask.Err : EventMask.None;
            return events & (mask | EventMask.Unmaskable);
        }
    }

    protected override Errno TakeError()
    {
        lock (_mu)
        {
            Errno error = _overrun ? Errno.ENOBUFS : Errno.None;
            _overrun = false;
            return error;
        }
    }

    protected override void OnSocketRelease()
    {
        Network.Remove(this);
        Network.NetlinkGroupsChanged();
        Network.ReleaseNetlinkPort(Protocol, _port);
    }

    // The highest group of each family.
    private int MaximumGroup => Protocol == Socket.NETLINK_ROUTE ? 64 : 32;

    public override long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        if (level != Socket.SOL_NETLINK)
        {
            return level == Socket.SOL_SOCKET ? base.SetOption(caller, level, name, value) : -(long)Errno.ENOPROTOOPT;
        }

        if (value.Length < 4)
        {
            return -(long)Errno.EINVAL;
        }

        int number = MemoryMarshal.Read<int>(value);
        switch (name)
        {
            case Socket.NETLINK_ADD_MEMBERSHIP or Socket.NETLINK_DROP_MEMBERSHIP:
                if (number < 1 || number > MaximumGroup)
                {
                    return -(long)Errno.EINVAL;
                }

                lock (_mu)
                {
                    ulong bit = 1UL << (number - 1);
                    _groups = name == Socket.NETLINK_ADD_MEMBERSHIP ? _groups | bit : _groups & ~bit;
                }

                Network.NetlinkGroupsChanged();
                return 0;
            case Socket.NETLINK_PKTINFO or Socket.NETLINK_BROADCAST_ERROR or Socket.NETLINK_NO_ENOBUFS or Socket.NETLINK_CAP_ACK or Socket.NETLINK_EXT_ACK
                or Socket.NETLINK_GET_STRICT_CHK:
                // NETLINK_EXT_ACK is of WriteResult. NETLINK_BROADCAST_ERROR is of who sends to groups, and nobody may.
                _options = number != 0 ? _options | (1 << name) : _options & ~(1 << name);
                return 0;
            default:
                return -(long)Errno.ENOPROTOOPT;
        }
    }

    public override long GetOption(ICaller caller, int level, int name, Span<byte> value)
    {
        if (level != Socket.SOL_NETLINK)
        {
            return level == Socket.SOL_SOCKET ? base.GetOption(caller, level, name, value) : -(long)Errno.ENOPROTOOPT;
        }

        switch (name)
        {
            case Socket.NETLINK_PKTINFO or Socket.NETLINK_BROADCAST_ERROR or Socket.NETLINK_NO_ENOBUFS or Socket.NETLINK_CAP_ACK or Socket.NETLINK_EXT_ACK
                or Socket.NETLINK_GET_STRICT_CHK:
                return value.Length < 4 ? -(long)Errno.EINVAL : Put(value, HasOption(name) ? 1 : 0);
            case Socket.NETLINK_LIST_MEMBERSHIPS:
                ulong groups = Groups;
                return Put(value[..Math.Min(value.Length & ~3, MaximumGroup / 8)], groups);
            default:
                return -(long)Errno.ENOPROTOOPT;
        }
    }
}
