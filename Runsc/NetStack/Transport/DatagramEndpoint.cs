using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport;

/// <summary>What UDP, ping and raw endpoints share: addresses, route, queues. Guarded by the stack's lock, which the public members take unless they say otherwise.</summary>
/// <remarks>
/// A sender fills a packet (headroom <see cref="PacketBuffer.Headroom"/>) with user data first and calls <see cref="Send"/>; a reader gets the packet and copies
/// after the call. Every datagram that waits counts with its memory against the receive buffer; a full one drops, as Linux does.
/// </remarks>
internal abstract class DatagramEndpoint
{
    /// <summary>What an entry of the error queue counts with beside its payload.</summary>
    private const int ErrorFootprint = 256;

    private readonly Queue<ReceivedDatagram> _queue = new();
    private readonly Queue<QueuedError> _errors = new();
    private readonly Route _route = new();
    private int _queuedMemory;
    private int _errorMemory;
    private NetError _pendingError;
    private IpEndpoint _routeDestination;
    private IpAddress _routeSource;
    private int _routeInterface;
    private uint _routeMark;

    protected DatagramEndpoint(NetworkStack stack, bool isV4, byte protocol)
    {
        Stack = stack;
        Groups = new GroupMemberships(stack);
        IsV4 = isV4;
        Protocol = protocol;
        Notifier = new EndpointNotifier(stack);
        Local = new IpEndpoint(isV4 ? IpAddress.AnyV4 : IpAddress.AnyV6, 0);
        Remote = Local;
        Options.ReceiveBuffer = stack.Parameters.DefaultReceiveBuffer;
        Options.SendBuffer = stack.Parameters.DefaultSendBuffer;
        Options.V6Only = !isV4 && stack.Parameters.BindV6Only;
    }

    public NetworkStack Stack { get; }

    /// <summary>An AF_INET socket; an AF_INET6 one speaks IPv4 too, by mapped addresses, unless it is IPV6_V6ONLY.</summary>
    public bool IsV4 { get; }

    public byte Protocol { get; }

    public EndpointNotifier Notifier { get; }

    public GroupMemberships Groups { get; }

    public EndpointOptions Options { get; } = new();

    public IDatagramFilter? Filter { get; set; }

    /// <summary>The bound address; of a connected socket, the source of its packets. No lock: for show.</summary>
    public IpEndpoint Local { get; protected set; }

    public IpEndpoint Remote { get; protected set; }

    public bool IsConnected { get; protected set; }

    public bool IsClosed { get; private set; }

    /// <summary>shutdown(2).</summary>
    public bool IsReadShut { get; private set; }

    public bool IsWriteShut { get; private set; }

    /// <summary>Datagrams dropped, most for want of room (SO_RXQ_OVFL, the drops column of /proc/net/udp).</summary>
    public uint Drops { get; private set; }

    /// <summary>Memory of the queue, for SO_MEMINFO and /proc/net/udp.</summary>
    public int QueuedMemory => _queuedMemory;

    /// <summary>bind(2) chose the address.</summary>
    public bool HasBoundAddress { get; protected set; }

    public NetEvents Readiness
    {
        get
        {
            using (Stack.Enter())
            {
                NetEvents events = IsWriteShut && IsReadShut ? NetEvents.Hangup : NetEvents.None;
                events |= NetEvents.Writable;
                events |= _queue.Count > 0 || IsReadShut ? NetEvents.Readable : 0;
                events |= IsReadShut ? NetEvents.ReadHangup : 0;
                events |= _pendingError != NetError.None || _errors.Count > 0 ? NetEvents.Error : 0;
                return events;
            }
        }
    }

    /// <summary>Bytes of the first datagram (FIONREAD), or 0; -1 if there is none.</summary>
    public int FirstLength
    {
        get
        {
            using (Stack.Enter())
            {
                return _queue.Count > 0 ? _queue.Peek().Packet.Length : -1;
            }
        }
    }

    /// <summary>Takes the first datagram. With <paramref name="peek"/> it stays and the result is a copy of its headers sharing its data.</summary>
    /// <remarks>WouldBlock when nothing is there; the pending error comes first, as in Linux. At the end of a shut endpoint the result is NotConnected with no packet.</remarks>
    public NetError Receive(bool peek, out ReceivedDatagram datagram)
    {
        datagram = default;
        using (Stack.Enter())
        {
            if (_pendingError != NetError.None)
            {
                return TakePendingLocked();
            }

            if (_queue.Count == 0)
            {
                return IsReadShut ? NetError.NotConnected : NetError.WouldBlock;
            }

            datagram = _queue.Peek();
            if (peek)
            {
                datagram.Packet = datagram.Packet.TryClone()!;
                return datagram.Packet is null ? NetError.NoBufferSpace : NetError.None;
            }

            _queue.Dequeue();
            _queuedMemory -= datagram.Packet.Footprint;
            return NetError.None;
        }
    }

    /// <summary>Takes an entry of the error queue.</summary>
    public bool TryTakeQueuedError(out QueuedError error)
    {
        using (Stack.Enter())
        {
            if (!_errors.TryDequeue(out error))
            {
                return false;
            }

            _errorMemory -= (error.Payload?.Footprint ?? 0) + ErrorFootprint;

            // The pending error is that of the queue's front, of those that messages brought (Linux: sock_dequeue_err_skb).
            if (_errors.TryPeek(out QueuedError next) && !next.Error.IsOwn)
            {
                _pendingError = next.Error.Error;
            }
            else if (!error.Error.IsOwn)
            {
                _pendingError = NetError.None;
            }

            return true;
        }
    }

    /// <summary>SO_ERROR.</summary>
    public NetError TakeError()
    {
        using (Stack.Enter())
        {
            return TakePendingLocked();
        }
    }

    /// <summary>Sends a datagram; takes the payload whatever the result. A pending error is reported first, once.</summary>
    public NetError Send(PacketBuffer payload, in DatagramSend send)
    {
        using (Stack.Enter())
        {
            NetError error = IsClosed ? NetError.NotConnected : IsWriteShut ? NetError.BrokenPipe : TakePendingLocked();
            if (error != NetError.None)
            {
                payload.Release();
                return error;
            }

            return SendLocked(payload, send);
        }
    }

    /// <summary>The answer to more data than a packet holds, which never becomes one; the error queue is told as of any that does not fit.</summary>
    public NetError RefuseTooLong(in DatagramSend send, long length)
    {
        using (Stack.Enter())
        {
            NetError error = IsClosed ? NetError.NotConnected : IsWriteShut ? NetError.BrokenPipe : TakePendingLocked();
            if (error != NetError.None)
            {
                return error;
            }

            // Such a length is refused before there is a route to tell of (Linux: udp_sendmsg, raw_sendmsg, ping_common_sendmsg).
            bool v4 = (send.HasDestination ? send.Destination : Remote).Address.IsV4;
            if (length > ushort.MaxValue && (v4 || this is PingEndpoint))
            {
                return NetError.MessageTooLong;
            }

            error = RouteLocked(send, out Route route, out IpEndpoint destination);
            if (error == NetError.None)
            {
                ReportTooLongLocked(route, route.Mtu, destination.Port);
                error = NetError.MessageTooLong;
            }

            return error;
        }
    }

    public abstract NetError Bind(IpEndpoint local);

    /// <summary>Sets the peer: packets of others are no longer received.</summary>
    public abstract NetError Connect(IpEndpoint remote);

    /// <summary>connect(2) with AF_UNSPEC.</summary>
    public abstract void Disconnect();

    public NetError Shutdown(bool read, bool write)
    {
        using (Stack.Enter())
        {
            if (!IsConnected)
            {
                return NetError.NotConnected;
            }

            IsReadShut |= read;
            IsWriteShut |= write;
            Notifier.Raise((read ? NetEvents.Readable | NetEvents.ReadHangup : 0) | NetEvents.Writable | (IsReadShut && IsWriteShut ? NetEvents.Hangup : 0));
            return NetError.None;
        }
    }

    public void Close()
    {
        using (Stack.Enter())
        {
            if (IsClosed)
            {
                return;
            }

            IsClosed = true;
            Unlink();
            Groups.LeaveAllLocked();
            while (_queue.TryDequeue(out ReceivedDatagram datagram))
            {
                datagram.Packet.Release();
            }

            while (_errors.TryDequeue(out QueuedError error))
            {
                error.Payload?.Release();
            }

            _queuedMemory = _errorMemory = 0;
        }
    }

    protected abstract NetError SendLocked(PacketBuffer payload, in DatagramSend send);

    /// <summary>Takes the endpoint out of its protocol's tables. Under the lock.</summary>
    protected abstract void Unlink();

    /// <summary>Puts a datagram into the queue; takes the packet. False if there was no room. Under the lock.</summary>
    protected bool EnqueueLocked(PacketBuffer packet, in IpPacketInfo info, ushort sourcePort, ushort destinationPort, int gsoSize = 0)
    {
        if (IsReadShut || info.HopLimit < Options.MinTtl)
        {
            packet.Release();
            return true;
        }

        int memory = packet.Footprint;
        if (_queuedMemory + memory > Options.ReceiveBuffer)
        {
            DropLocked(packet);
            return false;
        }

        _queuedMemory += memory;
        if (packet.Timestamp == 0)
        {
            packet.Timestamp = Stack.Clock.RealTime;
        }

        _queue.Enqueue(new ReceivedDatagram
        {
            Packet = packet,
            Source = new IpEndpoint(info.Source, sourcePort, info.Source.IsLinkLocal && info.Source.IsV6 ? info.Interface : 0),
            Destination = info.Destination,
            DestinationPort = destinationPort,
            Interface = info.Interface,
            HopLimit = info.HopLimit,
            TrafficClass = info.TrafficClass,
            FlowLabel = info.FlowLabel,
            Timestamp = packet.Timestamp,
            GsoSize = gsoSize,
            FragmentSize = info.FragmentSize,
        });
        Notifier.Raise(NetEvents.Readable);
        return true;
    }

    /// <summary>Releases a packet that the endpoint does not take, and counts it. Under the lock.</summary>
    protected void DropLocked(PacketBuffer packet)
    {
        Drops = unchecked(Drops + 1);
        packet.Release();
    }

    /// <summary>An error about a packet of this endpoint. Under the lock. The quoted payload's front is behind the transport header.</summary>
    protected void ReportLocked(in IcmpError error, ushort remotePort, PacketBuffer? quotedPayload)
    {
        bool wants = error.Remote.IsV4 ? Options.ReceiveErrors || (!IsV4 && Options.ReceiveErrorsV6) : Options.ReceiveErrorsV6;
        if (error.Kind == IcmpErrorKind.PacketTooBig)
        {
            _route.Invalidate();
            PathMtuMode mode = error.Remote.IsV4 ? Options.PathMtu : Options.PathMtuV6;
            if (mode == PathMtuMode.Dont && !wants)
            {
                return;
            }
        }

        if (wants)
        {
            PacketBuffer? payload = quotedPayload?.TryClone();
            int memory = (payload?.Footprint ?? 0) + ErrorFootprint;
            if (_errorMemory + memory <= Options.ReceiveBuffer)
            {
                _errorMemory += memory;
                _errors.Enqueue(new QueuedError
                {
                    Error = error,
                    Destination = new IpEndpoint(error.Remote, remotePort, error.Remote.NeedsScope ? error.Interface : 0),
                    Payload = payload,
                    Timestamp = Stack.Clock.RealTime,
                });
            }
            else
            {
                payload?.Release();
            }
        }
        else if (!(error.IsFatal && IsConnected))
        {
            return;
        }

        _pendingError = error.Error;
        Notifier.Raise(NetEvents.Error | NetEvents.Readable | NetEvents.Writable);
    }

    /// <summary>Hands a packet with its transport header to IP; takes it. The error queue is told of one that is too big for the path (Linux: ip_local_error). Under the lock.</summary>
    protected NetError OutputLocked(Route route, PacketBuffer packet, in IpSendOptions options, ushort port = 0)
    {
        NetError error = Stack.Ip.Send(route, packet, options);
        if (error == NetError.MessageTooLong)
        {
            ReportTooLongLocked(route, IpOutput.MtuOf(route, options.PathMtu), port);
        }

        return error;
    }

    /// <summary>Queues EMSGSIZE and the MTU for a reader who wants errors. The call itself fails, so none is pending. Under the lock.</summary>
    protected void ReportTooLongLocked(Route route, int mtu, ushort port = 0)
    {
        bool v4 = route.Destination.IsV4;
        if (!(v4 ? Options.ReceiveErrors : Options.ReceiveErrorsV6) || _errorMemory + ErrorFootprint > Options.ReceiveBuffer)
        {
            return;
        }

        _errorMemory += ErrorFootprint;
        _errors.Enqueue(new QueuedError
        {
            Error = new IcmpError
            {
                Kind = IcmpErrorKind.PacketTooBig,
                Error = NetError.MessageTooLong,
                Local = route.Source,
                Remote = route.Destination,
                Offender = route.Destination.AnyOfFamily,
                Info = (uint)mtu,
                IsOwn = true,
            },

            // With IPv4, Linux tells the port of a connected peer only.
            Destination = new IpEndpoint(route.Destination, !v4 ? port : IsConnected ? Remote.Port : (ushort)0, route.Destination.NeedsScope ? route.Interface!.Index : 0),
            Timestamp = Stack.Clock.RealTime,
        });
        Notifier.Raise(NetEvents.Error);
    }

    /// <summary>The route for a datagram, kept while it does not change. Under the lock.</summary>
    protected NetError RouteLocked(in DatagramSend send, out Route route, out IpEndpoint destination)
    {
        route = _route;
        destination = send.HasDestination ? send.Destination : Remote;
        if (!send.HasDestination && !IsConnected)
        {
            return NetError.DestinationRequired;
        }

        IpAddress target = destination.Address;
        if (IsV4 && !target.IsV4)
        {
            return NetError.FamilyNotSupported;
        }

        if (target.IsV4 && !IsV4 && Options.V6Only)
        {
            return NetError.NetworkUnreachable;
        }

        bool v4 = target.IsV4;
        bool group = target.IsMulticast || target.IsLimitedBroadcast;
        IpAddress source = !send.Source.IsUnspecified ? send.Source : Local.Address;
        int output = Options.BoundInterface != 0 ? Options.BoundInterface
            : send.Interface != 0 ? send.Interface
            : destination.Scope != 0 && target.NeedsScope ? destination.Scope
            : group ? (v4 ? Options.MulticastInterface : Options.MulticastInterfaceV6) : 0;
        if (output == 0 && Local.Scope != 0 && target.NeedsScope)
        {
            output = Local.Scope;
        }

        if (group && v4 && source.IsUnspecified)
        {
            source = Options.MulticastSource;
        }

        if (source.IsUnspecified || source.IsMulticast || source.IsV4 != v4)
        {
            if (!source.IsUnspecified && source.IsV4 != v4 && !source.IsMulticast)
            {
                return NetError.NetworkUnreachable;
            }

            source = target.AnyOfFamily;
        }

        uint mark = send.HasMark ? send.Mark : Options.Mark;
        if (_route.IsValid && _routeDestination.Address == target && _routeSource == source && _routeInterface == output && _routeMark == mark)
        {
            return CheckBroadcast();
        }

        RouteQuery query = new()
        {
            Destination = target,
            Source = source,
            Interface = output,
            Mark = mark,
            TrafficClass = (byte)(v4 ? Options.Tos & 0x1e : Options.TrafficClass),
            OnLinkOnly = send.OnLinkOnly || Options.DontRoute,
            AnySource = Options.FreeBind,
        };
        NetError error = Stack.Ip.FindRoute(query, _route);
        if (error != NetError.None)
        {
            return error;
        }

        _routeDestination = destination;
        _routeSource = source;
        _routeInterface = output;
        _routeMark = mark;
        if (query.OnLinkOnly)
        {
            _routeDestination = default;
        }

        return CheckBroadcast();
    }

    /// <summary>Fills what the IP header gets from options and control messages. Under the lock.</summary>
    protected IpSendOptions HeaderLocked(Route route, in DatagramSend send)
    {
        bool v4 = route.Destination.IsV4;
        bool group = route.Kind == RouteKind.Multicast;
        byte hops = send.HopLimit != 0 ? send.HopLimit
            : v4 ? (group ? Options.MulticastTtl : Options.Ttl) : (group ? Options.MulticastHops : Options.UnicastHops);
        PathMtuMode mode = send.PathMtu ?? (v4 ? Options.PathMtu : Options.DontFragmentV6 ? PathMtuMode.Do : Options.PathMtuV6);
        return new IpSendOptions
        {
            Protocol = Protocol,
            TrafficClass = send.TrafficClass >= 0 ? (byte)send.TrafficClass : v4 ? Options.Tos : Options.TrafficClass,
            HopLimit = hops,
            PathMtu = mode,
            FlowLabel = Options.FlowLabel,
            Options = v4 ? send.Options ?? Options.Ipv4Options : null,
            IsMulticastLooped = v4 ? Options.MulticastLoop : Options.MulticastLoopV6,
        };
    }

    /// <summary>Whether a packet's addresses are those of this endpoint, by family, interface, local and remote address. Under the lock.</summary>
    protected bool MatchesLocked(in IpPacketInfo info)
    {
        bool v4 = info.Source.IsV4;
        if (v4 != IsV4 && (!v4 || Options.V6Only))
        {
            return false;
        }

        if (Options.BoundInterface != 0 && Options.BoundInterface != info.Interface)
        {
            return false;
        }

        if (HasLocalAddress && Local.Address != info.Destination)
        {
            return false;
        }

        if (Local.Scope != 0 && Local.Address.NeedsScope && Local.Scope != info.Interface && HasLocalAddress)
        {
            return false;
        }

        return !IsConnected || Remote.Address == info.Source;
    }

    protected bool HasLocalAddress => !Local.Address.IsUnspecified;

    protected NetError TakePendingLocked()
    {
        NetError error = _pendingError;
        _pendingError = NetError.None;
        return error;
    }

    protected void InvalidateRouteLocked() => _route.Invalidate();

    private NetError CheckBroadcast() => _route.Kind == RouteKind.Broadcast && !Options.Broadcast ? NetError.AccessDenied : NetError.None;
}
