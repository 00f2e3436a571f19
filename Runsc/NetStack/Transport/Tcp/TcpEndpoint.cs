using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport.Tcp.Congestion;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>A TCP socket as the stack sees it: unconnected, listening or a connection (RFC 9293). Linux's struct tcp_sock.</summary>
/// <remarks>
/// All fields are guarded by the stack's lock. Methods of the socket's side (Bind, Connect, Send, Receive, Shutdown, Close and the
/// options) take the lock; everything else is called under it. No method waits: what cannot be done now is WouldBlock, and
/// <see cref="Notifier"/> tells when to look again.
/// The files: Open, Close, Send, Receive (the socket's side); Input, Handshake, Acks, Sack, Recovery, Rack (segments that come);
/// Output, Window, Timers, Mtu (segments that go); Info.
/// </remarks>
internal sealed partial class TcpEndpoint : TcpFlow
{
    internal const long Microsecond = 1000;
    internal const long Millisecond = 1_000_000;
    internal const long Second = 1_000_000_000;

    private readonly TcpProtocol _protocol;
    private readonly NetworkStack _stack;
    private readonly PortReservation _port = new(TcpHeader.Protocol);
    private readonly Route _route = new();
    private readonly SendBuffer _send = new();
    private readonly RetransmitQueue _flight;
    private readonly ReceiveQueue _receive = new();
    private readonly OutOfOrderQueue _ahead = new();
    private readonly CongestionWindow _window = new();

    private CongestionControl _congestion;
    private TcpState _state = TcpState.Closed;
    private NetError _error;
    private NetError _softError;

    // shutdown(2): the reader wants no more or the peer's FIN came; the writer sends no more.
    private bool _receiveShut;
    private bool _sendShut;

    /// <summary>What shutdown has closed: 1 receiving, 2 sending. No lock: for show.</summary>
    public byte ShutdownMask => (byte)((_receiveShut ? 1 : 0) | (_sendShut ? 2 : 0));

    // No application holds it any more.
    private bool _orphaned;

    // Memory that the queues hold as it is counted in the protocol's total.
    private int _charged;

    internal TcpEndpoint(TcpProtocol protocol, bool isV6, TcpSettings settings)
    {
        _protocol = protocol;
        _stack = protocol.Stack;
        _flight = new RetransmitQueue(protocol.Segments);
        Notifier = new EndpointNotifier(_stack);
        Settings = settings;
        IsV6 = isV6;
        LocalAddress = isV6 ? IpAddress.AnyV6 : IpAddress.AnyV4;
        RemoteAddress = LocalAddress;
        UseCongestion(CongestionControl.Create(protocol.Parameters.CongestionControl, _window) ?? new Cubic(_window));
        _transmitTimer = new TransmitTimer(this);
        _ackTimer = new AckTimer(this);
        _keepAliveTimer = new KeepAliveTimer(this);
        _rtt.Reset(InitialRto, MinimumRto, MaximumRto);
    }

    /// <summary>A socket of AF_INET6; connections over IPv4 have mapped addresses.</summary>
    public bool IsV6 { get; }

    public override TcpState State => _state;

    public EndpointNotifier Notifier { get; }

    /// <summary>See the remarks there on how to change them.</summary>
    public TcpSettings Settings { get; private set; }

    public NetworkStack Stack => _stack;

    /// <summary>getsockname(2).</summary>
    public IpEndpoint Local => new(LocalAddress, LocalPort, LocalAddress.NeedsScope ? _port.Interface : 0);

    /// <summary>getpeername(2); meaningful when <see cref="IsConnected"/>.</summary>
    public IpEndpoint Remote => new(RemoteAddress, RemotePort, RemoteAddress.NeedsScope ? _port.Interface : 0);

    public bool IsConnected => _state is not (TcpState.Closed or TcpState.Listen or TcpState.SynSent);

    /// <summary>What <see cref="Bind"/> will hold: SO_REUSEADDR, SO_REUSEPORT, IPV6_V6ONLY and SO_BINDTODEVICE are set here.</summary>
    public PortReservation Port => _port;

    /// <summary>Takes the lock and answers what poll(2) asks.</summary>
    public NetEvents Readiness
    {
        get
        {
            using (_stack.Enter())
            {
                return ReadinessLocked();
            }
        }
    }

    /// <summary>SO_ERROR: the pending error, which is then forgotten.</summary>
    public NetError TakeError()
    {
        using (_stack.Enter())
        {
            return TakeErrorLocked();
        }
    }

    private bool IsSynchronized => _state is not (TcpState.Closed or TcpState.Listen or TcpState.SynSent or TcpState.SynReceived);

    /// <summary>The peer may still send data.</summary>
    private bool MayReceive => _state is TcpState.Established or TcpState.FinWait1 or TcpState.FinWait2;

    private NetError TakeErrorLocked()
    {
        NetError error = _error;
        _error = NetError.None;
        return error;
    }

    private NetEvents ReadinessLocked()
    {
        if (_state == TcpState.Listen)
        {
            return _acceptQueue is { Count: > 0 } ? NetEvents.Readable : NetEvents.None;
        }

        NetEvents events = NetEvents.None;
        if ((_receiveShut && _sendShut) || _state == TcpState.Closed)
        {
            events |= NetEvents.Hangup;
        }

        if (_receiveShut)
        {
            events |= NetEvents.Readable | NetEvents.ReadHangup;
        }

        bool inHandshake = _state == TcpState.SynSent || (_state == TcpState.SynReceived && !_isFastOpen);
        if (!inHandshake)
        {
            if (IsReadableLocked())
            {
                events |= NetEvents.Readable;
            }

            if (_sendShut || HasSendRoom)
            {
                events |= NetEvents.Writable;
            }
            else
            {
                // Whoever looks may sleep on it, without a write that was refused.
                _writerWaits = true;
            }

            if (_urgent == UrgentState.Valid)
            {
                events |= NetEvents.Urgent;
            }
        }
        else if (_state == TcpState.SynSent && _deferredConnect)
        {
            events |= NetEvents.Writable;
        }

        if (_error != NetError.None)
        {
            events |= NetEvents.Error;
        }

        return events;
    }

    private bool IsReadableLocked()
    {
        int available = ReadableBytes;
        return available > 0 && (available >= Settings.ReceiveLowWater || _receiveShut || ReceiveIsFull);
    }

    /// <summary>Brings the protocol's total up to date after the queues have changed.</summary>
    private void Recharge()
    {
        int now = _send.Charged + _receive.Footprint + _ahead.Footprint;
        _protocol.MemoryUsed += now - _charged;
        _charged = now;
    }

    private IpSendOptions IpOptions(bool isEcnCapable)
    {
        return new IpSendOptions
        {
            Protocol = TcpHeader.Protocol,
            TrafficClass = (byte)((Settings.TrafficClass & ~3) | (isEcnCapable ? 2 : 0)),
            HopLimit = Settings.HopLimit,
            PathMtu = Settings.PathMtu,
            FlowLabel = Settings.FlowLabel,
        };
    }

    /// <summary>Looks the route up again if it is stale; an error leaves the old one.</summary>
    private NetError Reroute()
    {
        if (_route.IsValid)
        {
            return NetError.None;
        }

        RouteQuery query = new()
        {
            Destination = RemoteAddress,
            Source = LocalAddress,
            Interface = _port.Interface,
            Mark = Settings.Mark,
            TrafficClass = Settings.TrafficClass,
            OnLinkOnly = Settings.OnLinkOnly,
            AnySource = Settings.AnySource,
        };
        return _stack.Ip.FindRoute(query, _route);
    }
}
