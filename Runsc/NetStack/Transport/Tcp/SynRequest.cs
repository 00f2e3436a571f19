using System;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>A SYN that was answered, in the little that is kept until the handshake is done: SYN-RECEIVED of a listener (Linux's request_sock). Guarded by the stack's lock.</summary>
internal sealed class SynRequest : TcpFlow
{
    private readonly TcpProtocol _protocol;
    private readonly TcpEndpoint _listener;
    private readonly Timer _timer;
    private SynRequest? _next;
    private SynRequest? _previous;
    private bool _counted;
    private bool _acknowledged;
    private int _timeouts;
    private long _lastAnswer = long.MinValue / 2;

    private SynRequest(TcpProtocol protocol, TcpEndpoint listener)
    {
        _protocol = protocol;
        _listener = listener;
        _timer = new Timer(this);
    }

    public override TcpState State => TcpState.SynReceived;

    public SeqNum Iss { get; private set; }

    public SeqNum Irs { get; private set; }

    public int PeerMss { get; private set; }

    public int PeerWindow { get; private set; }

    public int AdvertisedMss { get; private set; }

    /// <summary>The window that the SYN-ACK announces.</summary>
    public int Window { get; private set; }

    public byte ReceiveScale { get; private set; }

    public byte SendScale { get; private set; }

    public bool ScaleOk { get; private set; }

    public bool TimestampsOk { get; private set; }

    public bool SackOk { get; private set; }

    public bool EcnOk { get; private set; }

    public uint TsRecent { get; private set; }

    public uint TimestampOffset { get; private set; }

    public int Retransmits { get; private set; }

    /// <summary>When the SYN-ACK was first sent.</summary>
    public long SentAt { get; private set; }

    /// <summary>The interface of a peer whose address has a scope, or 0.</summary>
    public int Interface { get; private set; }

    /// <summary>The SYN-ACK has a cookie for fast open.</summary>
    public bool GivesCookie { get; set; }

    public bool IsOrphaned => _listener.State != TcpState.Listen;

    /// <summary>From a SYN; null if there is no way back. With <paramref name="cookie"/> the sequence number and the timestamp hold all that must be remembered.</summary>
    public static SynRequest? Create(TcpProtocol protocol, TcpEndpoint listener, in TcpSegment syn, SeqNum? iss, bool cookie)
    {
        TcpParameters parameters = protocol.Parameters;
        SynRequest request = new(protocol, listener)
        {
            LocalAddress = syn.Ip.Destination,
            LocalPort = syn.DestinationPort,
            RemoteAddress = syn.Ip.Source,
            RemotePort = syn.SourcePort,
            Irs = syn.Seq,
            PeerMss = syn.Options.Mss,
            PeerWindow = syn.Window,
            TimestampsOk = parameters.Timestamps && syn.Options.HasTimestamps,
            SackOk = parameters.Sack && syn.Options.SackPermitted,
            ScaleOk = parameters.WindowScaling && syn.Options.HasWindowScale,
            EcnOk = parameters.Ecn != 0 && (syn.Flags & (TcpFlags.Ece | TcpFlags.Cwr)) == (TcpFlags.Ece | TcpFlags.Cwr),
            TsRecent = syn.Options.TimestampValue,
            Interface = syn.Ip.Source.NeedsScope ? syn.Ip.Interface : 0,
        };
        if (!request.Prepare())
        {
            return null;
        }

        if (cookie && !request.TimestampsOk)
        {
            // Nothing would hold them until the acknowledgement comes.
            request.SackOk = request.ScaleOk = request.EcnOk = false;
        }

        request.SendScale = request.ScaleOk ? syn.Options.WindowScale : (byte)0;
        request.ReceiveScale = request.ScaleOk ? TcpEndpoint.ScaleFor(parameters.MaximumReceiveBuffer) : (byte)0;
        request.Iss = cookie
            ? SynCookies.Sequence(protocol, syn)
            : iss ?? protocol.Isn.Next(request.LocalAddress, request.LocalPort, request.RemoteAddress, request.RemotePort, protocol.Stack.Now);
        if (cookie)
        {
            request._isCookie = true;
        }

        return request;
    }

    // The request lives in its sequence number only.
    private bool _isCookie;

    /// <summary>From the acknowledgement of a cookie.</summary>
    public static SynRequest? FromCookie(TcpProtocol protocol, TcpEndpoint listener, in TcpSegment ack, int mss, in SynCookies.Kept kept)
    {
        SynRequest request = new(protocol, listener)
        {
            LocalAddress = ack.Ip.Destination,
            LocalPort = ack.DestinationPort,
            RemoteAddress = ack.Ip.Source,
            RemotePort = ack.SourcePort,
            Irs = ack.Seq - 1,
            Iss = ack.Ack - 1,
            PeerMss = mss,
            PeerWindow = ack.Window,
            TimestampsOk = kept.Timestamps,
            SackOk = kept.Sack,
            ScaleOk = kept.HasScale,
            SendScale = kept.Scale,
            EcnOk = kept.Ecn,
            TsRecent = ack.Options.TimestampValue,
            Interface = ack.Ip.Source.NeedsScope ? ack.Ip.Interface : 0,
            Retransmits = 1,
        };
        request.ReceiveScale = kept.HasScale ? TcpEndpoint.ScaleFor(protocol.Parameters.MaximumReceiveBuffer) : (byte)0;
        return request.Prepare() ? request : null;
    }

    /// <summary>Answers the SYN and waits for the rest of the handshake.</summary>
    public void Start()
    {
        AcceptQueue queue = _listener.Queue;
        _next = queue.FirstRequest;
        if (_next is not null)
        {
            _next._previous = this;
        }

        queue.FirstRequest = this;
        queue.Requests++;
        _counted = true;
        _protocol.Flows.Add(this);
        SentAt = _protocol.Stack.Now;
        SendSynAck();
        _protocol.Stack.Schedule(_timer, SentAt + (TcpEndpoint.InitialRto * TcpEndpoint.Microsecond));
    }

    /// <summary>Forgets the request.</summary>
    public void End(AcceptQueue queue)
    {
        _protocol.Flows.Remove(this);
        _protocol.Stack.Cancel(_timer);
        if (!_counted)
        {
            return;
        }

        _counted = false;
        queue.Requests--;
        if (_previous is null)
        {
            queue.FirstRequest = _next;
        }
        else
        {
            _previous._next = _next;
        }

        if (_next is not null)
        {
            _next._previous = _previous;
        }

        _next = _previous = null;
    }

    public void SendSynAck()
    {
        TcpOptions options = new()
        {
            Mss = (ushort)AdvertisedMss,
            HasTimestamps = TimestampsOk,
            TimestampEcho = TsRecent,
            SackPermitted = SackOk,
            HasWindowScale = ScaleOk,
            WindowScale = ReceiveScale,
        };
        if (TimestampsOk)
        {
            uint clock = unchecked((uint)(_protocol.Stack.Now / TcpEndpoint.Millisecond));
            options.TimestampValue = _isCookie
                ? SynCookies.Timestamp(unchecked(clock + TimestampOffset), this)
                : unchecked(clock + TimestampOffset);
        }

        if (GivesCookie)
        {
            _protocol.WriteFastOpenCookie(RemoteAddress, LocalAddress, ref options);
        }

        TcpFlags flags = TcpFlags.Syn | TcpFlags.Ack | (EcnOk ? TcpFlags.Ece : 0);
        TcpReply reply = new()
        {
            Local = LocalAddress,
            LocalPort = LocalPort,
            Remote = RemoteAddress,
            RemotePort = RemotePort,
            Interface = Interface,
            Seq = Iss,
            Ack = Irs + 1,
            Flags = flags,
            Window = (ushort)Math.Min(Window, 65535),
            Mark = _listener.Settings.Mark,
            TrafficClass = _listener.Settings.TrafficClass,
        };
        if (_isCookie)
        {
            _protocol.Statistics.SyncookiesSent++;
        }

        _protocol.Reply(reply, options);
    }

    /// <summary>Segments between the SYN and the end of the handshake (RFC 9293, 3.10.7.4). Takes the packet.</summary>
    public override void Receive(ref TcpSegment segment)
    {
        if (IsOrphaned)
        {
            _protocol.Flows.Remove(this);
            segment.Packet.Release();
            return;
        }

        bool old = TimestampsOk && segment.Options.HasTimestamps && !segment.IsRst
            && unchecked((int)(segment.Options.TimestampValue - TsRecent)) < 0;
        if (segment.Seq == Irs && segment.IsSyn && !segment.IsAck && !segment.IsRst && !old)
        {
            // The SYN again: the SYN-ACK was lost.
            if (MayAnswer())
            {
                SendSynAck();
            }

            segment.Packet.Release();
            return;
        }

        SeqNum next = Irs + 1;
        bool inWindow = segment.Seq == next || (segment.End > next && segment.Seq < next + Window);
        if (old || !inWindow)
        {
            if (!segment.IsRst && MayAnswer())
            {
                _protocol.ReplyAck(this, segment);
            }

            segment.Packet.Release();
            return;
        }

        if (segment.IsRst || segment.IsSyn)
        {
            // RFC 5961, 3.2: a reset must hit the edge.
            if (segment.IsSyn && !segment.IsRst)
            {
                _protocol.ReplyReset(segment);
            }

            if (segment.IsSyn || segment.Seq == next)
            {
                _protocol.Statistics.AttemptFails++;
                End(_listener.Queue);
            }

            segment.Packet.Release();
            return;
        }

        if (!segment.IsAck)
        {
            segment.Packet.Release();
            return;
        }

        if (segment.Ack != Iss + 1)
        {
            _protocol.ReplyReset(segment);
            segment.Packet.Release();
            return;
        }

        if (TimestampsOk && segment.Options.HasTimestamps)
        {
            TsRecent = segment.Options.TimestampValue;
        }

        if (_listener.Settings.DeferAccept > 0 && segment.End == next && _timeouts < DeferTimeouts())
        {
            // TCP_DEFER_ACCEPT: the connection comes into being with its first data.
            _acknowledged = true;
            segment.Packet.Release();
            return;
        }

        Complete(ref segment);
    }

    /// <summary>The handshake is done: makes the connection and gives it the segment. Takes the packet.</summary>
    public void Complete(ref TcpSegment segment)
    {
        AcceptQueue queue = _listener.Queue;
        if (queue.IsFull)
        {
            _protocol.Statistics.ListenOverflows++;
            if (_protocol.Parameters.AbortOnOverflow)
            {
                _protocol.ReplyReset(segment);
                End(queue);
            }
            else
            {
                _acknowledged = true;
            }

            segment.Packet.Release();
            return;
        }

        End(queue);
        TcpEndpoint child = TcpEndpoint.CreateChild(_listener, this);
        _protocol.Flows.Add(child);
        child.Receive(ref segment);
        if (child.State != TcpState.SynReceived)
        {
            _listener.AddToAccept(child);
        }
        else
        {
            child.Discard();
        }
    }

    public override void OnIcmp(in IcmpError error, SeqNum seq)
    {
        if (seq == Iss && error.IsFatal && !IsOrphaned)
        {
            _protocol.Statistics.AttemptFails++;
            End(_listener.Queue);
        }
    }

    private bool Prepare()
    {
        Route route = _protocol.ScratchRoute;
        RouteQuery query = new()
        {
            Destination = RemoteAddress,
            Source = LocalAddress,
            Interface = Interface,
            Mark = _listener.Settings.Mark,
        };
        if (_protocol.Stack.Ip.FindRoute(query, route) != NetError.None)
        {
            return false;
        }

        TcpParameters parameters = _protocol.Parameters;
        int headers = TcpHeader.Size + TcpHeader.IpHeaderSize(RemoteAddress);
        int mss = route.AdvertisedMss != 0 ? route.AdvertisedMss : route.Mtu - headers;
        if (_listener.Settings.MaximumSegment != 0)
        {
            mss = Math.Min(mss, _listener.Settings.MaximumSegment);
        }

        AdvertisedMss = Math.Clamp(mss, 48, 65535 - headers);
        int buffer = _listener.Settings.ReceiveBufferLocked ? _listener.Settings.ReceiveBuffer : parameters.DefaultReceiveBuffer;
        int window = Math.Min(buffer / 2, 65535);
        if (_listener.Settings.WindowClamp > 0)
        {
            window = Math.Min(window, _listener.Settings.WindowClamp);
        }

        int full = AdvertisedMss - (TimestampsOk ? TcpOptions.TimestampSize : 0);
        Window = window > full ? window / full * full : window;
        TimestampOffset = _protocol.Isn.TimestampOffset(LocalAddress, RemoteAddress);
        return true;
    }

    private bool MayAnswer()
    {
        long now = _protocol.Stack.Now;
        if (now - _lastAnswer < _protocol.Parameters.InvalidRateLimit * TcpEndpoint.Millisecond)
        {
            return false;
        }

        _lastAnswer = now;
        return true;
    }

    /// <summary>TCP_DEFER_ACCEPT in seconds as a number of SYN-ACK time-outs.</summary>
    private int DeferTimeouts()
    {
        int count = 0;
        for (int seconds = 0, step = 1; seconds < _listener.Settings.DeferAccept; step = Math.Min(step * 2, 120))
        {
            seconds += step;
            count++;
        }

        return count;
    }

    private void OnTimer()
    {
        if (IsOrphaned)
        {
            _protocol.Flows.Remove(this);
            return;
        }

        _timeouts++;
        int limit = _listener.Settings.SynRetries != 0 ? _listener.Settings.SynRetries : _protocol.Parameters.SynAckRetries;
        bool deferring = _acknowledged && _listener.Settings.DeferAccept > 0;
        if (_timeouts > (deferring ? Math.Max(limit, DeferTimeouts()) : limit))
        {
            _protocol.Statistics.AttemptFails++;
            End(_listener.Queue);
            return;
        }

        // One that is acknowledged and only waits for data is asked again when its time is over.
        if (!deferring || _timeouts >= DeferTimeouts())
        {
            Retransmits++;
            _protocol.Statistics.RetransSegs++;
            SendSynAck();
        }

        long wait = TcpEndpoint.InitialRto * TcpEndpoint.Microsecond << Math.Min(_timeouts, 7);
        _protocol.Stack.Schedule(_timer, _protocol.Stack.Now + Math.Min(wait, TcpEndpoint.MaximumRto * TcpEndpoint.Microsecond));
    }

    private sealed class Timer(SynRequest request) : NetTimer
    {
        public override void Fire() => request.OnTimer();
    }
}
