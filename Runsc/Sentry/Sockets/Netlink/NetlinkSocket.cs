using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>A socket of AF_NETLINK (netlink(7)): requests are answered at once, and the answers wait in its queue.</summary>
internal sealed class NetlinkSocket : SocketDescription
{
    public const int AddressSize = 12;

    private const int Request = 1;
    private const int Acknowledge = 4;
    private const int Dump = 0x300;
    private const int MaximumRequest = 65536;

    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly Queue<byte[]> _queue = new();
    private int _queuedBytes;
    private bool _overrun;
    private uint _port;
    private uint _groups;

    private NetlinkSocket(NetNamespace network, ICaller creator, int type, int protocol, int flags)
        : base(network, creator, Socket.AF_NETLINK, type, protocol, flags)
    {
    }

    public override WaitQueue Events { get; } = new();

    public override bool PassesCredentials => true;

    /// <summary>EPROTONOSUPPORT for families that are not there.</summary>
    public static Errno Create(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket)
    {
        const int route = 0, events = 15;
        socket = null;
        if (type is not (Socket.SOCK_RAW or Socket.SOCK_DGRAM))
        {
            return Errno.ESOCKTNOSUPPORT;
        }

        if (protocol is not (route or events))
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
        lock (_mu)
        {
            if (_port != 0 && port != 0 && port != _port)
            {
                return Errno.EINVAL;
            }

            _groups = BitConverter.ToUInt32(address[8..]);
            return _port != 0 ? Errno.None : TakePortLocked(caller, port);
        }
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
            return Errno.ECONNREFUSED;
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
            WriteAddress(address, _port, _groups);
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
            // Other processes and groups: nobody of them can be reached.
            return -(long)Errno.ECONNREFUSED;
        }

        if (data.Remaining > MaximumRequest)
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

        ReadOnlySpan<byte> rest = bytes;
        while (NetlinkRequest.TryRead(ref rest, out NetlinkRequest message))
        {
            Answer(caller, message, port);
        }

        return bytes.Length;
    }

    private void Answer(ICaller caller, in NetlinkRequest message, uint port)
    {
        const int firstRouteType = 16;
        if ((message.Flags & Request) == 0 || message.Type < firstRouteType)
        {
            return;
        }

        NetlinkWriter writer = new(message.Sequence, port);
        bool isDump = (message.Flags & Dump) == Dump;
        Errno error = Protocol == 0 ? RouteFamily.Answer(caller, Network, message, isDump, writer) : Errno.EOPNOTSUPP;
        if (error == Errno.None && isDump)
        {
            writer.Begin(NetlinkWriter.Done, NetlinkWriter.Multi);
            writer.Add(0u);
            writer.End();
        }
        else if (error != Errno.None || (message.Flags & Acknowledge) != 0)
        {
            // An error carries the request back, an acknowledgement its header.
            writer.Begin(NetlinkWriter.Error, 0);
            writer.Add(unchecked((uint)-(int)error));
            writer.Add(error != Errno.None ? message.Whole : message.Whole[..NetlinkWriter.HeaderSize]);
            writer.End();
        }

        writer.Flush();
        lock (_mu)
        {
            foreach (byte[] datagram in writer.Datagrams)
            {
                if (_queuedBytes + datagram.Length > ReceiveBuffer)
                {
                    _overrun = true;
                    break;
                }

                _queue.Enqueue(datagram);
                _queuedBytes += datagram.Length;
            }
        }

        Events.Notify(EventMask.Readable);
    }

    public override long Receive(ICaller caller, ref IoBuffer data, ref ReceiveRequest request)
    {
        if ((request.Flags & Socket.MSG_OOB) != 0)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        byte[] datagram;
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
            datagram = peek ? _queue.Peek() : _queue.Dequeue();
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
            WriteAddress(request.Address, 0, 0);
            request.AddressLength = AddressSize;
        }

        if (!request.IsPlainRead && Has(SocketFlags.PassCredentials))
        {
            request.Control.Add(Socket.SOL_SOCKET, Socket.SCM_CREDENTIALS, default(UserCredentials));
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

    protected override void OnRelease() => Network.ReleaseNetlinkPort(Protocol, _port);

    public override long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        const int addMembership = 1, dropMembership = 2, packetInfo = 3, noBuffers = 5, capAck = 10, extendedAck = 11, strict = 12;
        if (level != Socket.SOL_NETLINK)
        {
            return base.SetOption(caller, level, name, value);
        }

        if (value.Length < 4)
        {
            return -(long)Errno.EINVAL;
        }

        int number = BitConverter.ToInt32(value);
        switch (name)
        {
            case addMembership or dropMembership when number is >= 1 and <= 32:
                lock (_mu)
                {
                    _groups = name == addMembership ? _groups | (1u << (number - 1)) : _groups & ~(1u << (number - 1));
                }

                return 0;
            case addMembership or dropMembership:
                return -(long)Errno.EINVAL;
            case packetInfo or noBuffers or capAck or extendedAck or strict:
                // They change how much an answer says; ours say the least that is allowed.
                return 0;
            default:
                return -(long)Errno.ENOPROTOOPT;
        }
    }
}
