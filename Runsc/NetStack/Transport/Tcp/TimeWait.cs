using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>A connection in TIME-WAIT (RFC 9293, 3.6.1), in the little that is left of it. Guarded by the stack's lock.</summary>
internal sealed class TimeWait : TcpFlow
{
    private readonly TcpProtocol _protocol;
    private readonly SeqNum _sndNxt;
    private readonly int _window;
    private readonly uint _timestampOffset;
    private readonly bool _timestampsOk;
    private readonly int _interface;
    private readonly byte _trafficClass;
    private SeqNum _rcvNxt;
    private uint _tsRecent;
    private long _tsRecentAt;
    private long _lastAnswer = long.MinValue / 2;
    private PortReservation? _port;

    internal TimeWait(TcpProtocol protocol, in TimeWaitState state)
    {
        _protocol = protocol;
        LocalAddress = state.Local;
        LocalPort = state.LocalPort;
        RemoteAddress = state.Remote;
        RemotePort = state.RemotePort;
        _sndNxt = state.SndNxt;
        _rcvNxt = state.RcvNxt;
        _window = state.Window;
        _timestampsOk = state.TimestampsOk;
        _timestampOffset = state.TimestampOffset;
        _tsRecent = state.TsRecent;
        _tsRecentAt = state.TsRecentAt;
        _interface = state.Interface;
        _trafficClass = state.TrafficClass;
    }

    public override TcpState State => TcpState.TimeWait;

    /// <summary>When it is over.</summary>
    public long Expires { get; internal set; }

    internal TimeWait? Next { get; set; }

    internal TimeWait? Previous { get; set; }

    internal bool IsQueued { get; set; }

    /// <summary>What a connection that takes its place must begin with.</summary>
    public TimeWaitSuccessor Successor => new()
    {
        IsSet = true,
        Sequence = _sndNxt + 65535 + 2,
        TsRecent = _tsRecent,
        TsRecentAt = _tsRecentAt,
        TimestampOffset = _timestampOffset,
    };

    /// <summary>A new connection from here may take over (tcp_tw_reuse): timestamps keep the two apart.</summary>
    public bool MayBeReplaced(bool isLoopback)
    {
        int reuse = _protocol.Parameters.TimeWaitReuse;
        return _timestampsOk && (reuse == 1 || (reuse == 2 && isLoopback)) && _protocol.Stack.Now - _tsRecentAt > TcpEndpoint.Second;
    }

    /// <summary>Takes over the place in the tables and the port.</summary>
    public void Start(PortReservation port)
    {
        PortReservation own = new(TcpHeader.Protocol)
        {
            Address = port.Address,
            Interface = port.Interface,
            V6Only = port.V6Only,
            ReuseAddress = port.ReuseAddress,
            ReusePort = port.ReusePort,
            User = port.User,
        };
        if (port.Port != 0)
        {
            _protocol.Stack.Ports.Share(own, port.Port);
            own.IsAutomatic = port.IsAutomatic;
        }

        _port = own;
        _protocol.Flows.Add(this);
        _protocol.TimeWaits.Restart(this);
        _protocol.Statistics.TimeWaited++;
    }

    /// <summary>It is over, or a new connection takes its place.</summary>
    public void End()
    {
        _protocol.Flows.Remove(this);
        _protocol.TimeWaits.Remove(this);
        if (_port is not null)
        {
            _protocol.Stack.Ports.Release(_port);
            _port = null;
        }
    }

    public override void Receive(ref TcpSegment segment)
    {
        bool old = _timestampsOk && segment.Options.HasTimestamps && unchecked((int)(segment.Options.TimestampValue - _tsRecent)) < 0
            && !segment.IsRst;
        if (!old && segment.Seq == _rcvNxt && (segment.Seq == segment.End || segment.IsRst))
        {
            if (segment.IsRst)
            {
                End();
            }
            else if (segment.Options.HasTimestamps && _timestampsOk)
            {
                _tsRecent = segment.Options.TimestampValue;
                _tsRecentAt = _protocol.Stack.Now;
            }

            segment.Packet.Release();
            return;
        }

        bool isNewer = segment.Seq > _rcvNxt
            || (_timestampsOk && segment.Options.HasTimestamps && unchecked((int)(segment.Options.TimestampValue - _tsRecent)) > 0);
        if (segment.IsSyn && !segment.IsRst && !segment.IsAck && !old && isNewer
            && _protocol.FindListener(LocalAddress, LocalPort, segment) is { } listener)
        {
            // A new connection of the same addresses; its numbers are beyond ours (RFC 9293, 3.10.7.4).
            SeqNum iss = Successor.Sequence;
            End();
            _protocol.Statistics.TimeWaitRecycled++;
            listener.OnSyn(ref segment, iss);
            segment.Packet.Release();
            return;
        }

        if (!segment.IsRst)
        {
            if (segment.IsAck || old)
            {
                _protocol.TimeWaits.Restart(this);
            }

            long now = _protocol.Stack.Now;
            if (segment.Length > 0 || segment.IsFin || now - _lastAnswer >= _protocol.Parameters.InvalidRateLimit * TcpEndpoint.Millisecond)
            {
                _lastAnswer = now;
                Answer(segment.Ip.Interface);
            }
        }

        segment.Packet.Release();
    }

    public override void OnIcmp(in IcmpError error, SeqNum seq)
    {
    }

    private void Answer(int fromInterface)
    {
        TcpOptions options = default;
        if (_timestampsOk)
        {
            options.HasTimestamps = true;
            options.TimestampValue = unchecked((uint)(_protocol.Stack.Now / TcpEndpoint.Millisecond) + _timestampOffset);
            options.TimestampEcho = _tsRecent;
        }

        TcpReply reply = new()
        {
            Local = LocalAddress,
            LocalPort = LocalPort,
            Remote = RemoteAddress,
            RemotePort = RemotePort,
            Interface = _interface != 0 ? _interface : RemoteAddress.NeedsScope ? fromInterface : 0,
            Seq = _sndNxt,
            Ack = _rcvNxt,
            Flags = TcpFlags.Ack,
            Window = (ushort)_window,
            TrafficClass = _trafficClass,
        };
        _protocol.Reply(reply, options);
    }
}
