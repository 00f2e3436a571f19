using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>The active opening, simultaneous opening, and what both sides agree on (RFC 9293, 3.5; RFC 7323; RFC 7413).</summary>
internal sealed partial class TcpEndpoint
{
    // The connection in TIME-WAIT that this one replaces: sequence numbers and times must go on from there.
    private TimeWaitSuccessor _predecessor;

    // Opened by data in the SYN: data may flow before the handshake is done.
    private bool _isFastOpen;
    private bool _asksFastOpen;
    private int _synData;

    /// <summary>Chooses the first sequence number and announces ourselves. The addresses are set.</summary>
    private void StartConnection()
    {
        long now = _stack.Now;
        _timestampOffset = _protocol.Isn.TimestampOffset(LocalAddress, RemoteAddress);
        _iss = _protocol.Isn.Next(LocalAddress, LocalPort, RemoteAddress, RemotePort, now);
        _tsRecent = 0;
        if (_predecessor.IsSet)
        {
            _iss = _predecessor.Sequence;
            _tsRecent = _predecessor.TsRecent;
            _tsRecentAt = _predecessor.TsRecentAt;
            _timestampOffset = _predecessor.TimestampOffset;
        }

        ResetConnection();
        PrepareBuffers();
        ComputeAdvertisedMss();
        _mssClamp = Settings.MaximumSegment != 0 ? Math.Max(Settings.MaximumSegment, MinimumMssClamp) : 65535;
        _maxWindow = 0;
        SyncMss();
        _rcvWnd = InitialWindow();
        _rcvScale = _protocol.Parameters.WindowScaling ? ScaleFor(_protocol.Parameters.MaximumReceiveBuffer) : (byte)0;
        _rcvNxt = _rcvAcked = _copied = default;
        _state = TcpState.SynSent;
        _protocol.Flows.Add(this);
        _protocol.Statistics.ActiveOpens++;
    }

    private NetError SendConnectLocked()
    {
        _asksFastOpen = (_protocol.Parameters.FastOpen & 1) != 0 && (Settings.FastOpenConnect || _send.Length > 0);
        _synData = Math.Min(_send.Length, Math.Max(0, _mssCache - TcpHeader.MaxOptions));
        TxSegment syn = _flight.Add(_iss, _iss + 1 + _synData);
        syn.IsSyn = true;
        syn.Count = 1;
        _sndNxt = syn.End;
        NoteSent(syn);
        _packetsOut = 1;
        _retransStamp = _stack.Now;
        _retransTimestamp = TimestampNow;
        Emit(_iss, _synData, TcpFlags.Syn, Math.Max(_mssCache, 1), isNew: false);
        SetTimer(PendingTimer.Retransmit, _stack.Now + (_rto * Microsecond));
        return NetError.InProgress;
    }

    private void ResetConnection()
    {
        _sndUna = _iss;
        _sndNxt = _iss + 1;
        _sndUp = _iss;
        _sndSmall = _iss;
        _pushEnd = _iss + 1;
        _send.Reset(_iss + 1);
        _sndWnd = 0;
        _finQueued = _sendsUrgent = false;
        _urgent = UrgentState.None;
        _finKnown = false;
        _sackOk = _timestampsOk = _scaleOk = _ecnOk = false;
        _ackDelay = 0;
        _quickAcks = 0;
        _pingPong = false;
        _lastReceived = _lastSent = _lastAckAt = 0;
        _receiveRtt = 0;
        _receiveRttStart = -1;
        _blackHoleMss = 0;
        _isFastOpen = _asksFastOpen = false;
        _softError = NetError.None;
        _probesOut = 0;
        _rtt.Reset(InitialRto, MinimumRto, MaximumRto);
        _rto = InitialRto;
        ResetScoreboard();
        _window.Size = CongestionWindowStart;
        _window.Threshold = int.MaxValue;
    }

    private int CongestionWindowStart =>
        _route.InitialCongestionWindow > 0 ? _route.InitialCongestionWindow : Congestion.CongestionWindow.Initial;

    private void PrepareBuffers()
    {
        if (!Settings.ReceiveBufferLocked)
        {
            Settings.ReceiveBuffer = _protocol.Parameters.DefaultReceiveBuffer;
        }

        if (!Settings.SendBufferLocked)
        {
            Settings.SendBuffer = _protocol.Parameters.DefaultSendBuffer;
        }
    }

    /// <summary>The first window, that a SYN can say without a scale.</summary>
    private int InitialWindow()
    {
        int window = Math.Min(WindowFrom(Settings.ReceiveBuffer), 65535);
        if (Settings.WindowClamp > 0)
        {
            window = Math.Min(window, Settings.WindowClamp);
            _windowClamp = Settings.WindowClamp;
        }

        if (window > _advertisedMss)
        {
            window = window / _advertisedMss * _advertisedMss;
        }

        return window;
    }

    /// <summary>The shift with which the largest buffer can be said.</summary>
    internal static byte ScaleFor(int space)
    {
        byte scale = 0;
        while (space > 65535 && scale < 14)
        {
            space >>= 1;
            scale++;
        }

        return scale;
    }

    private ushort SynWindow() => (ushort)Math.Min(_rcvWnd, 65535);

    private void FillSynOptions(ref TcpOptions options, bool isAnswer)
    {
        TcpParameters parameters = _protocol.Parameters;
        options.Mss = (ushort)_advertisedMss;
        if (isAnswer ? _timestampsOk : parameters.Timestamps)
        {
            options.HasTimestamps = true;
            options.TimestampValue = TimestampNow;
            options.TimestampEcho = isAnswer ? _tsRecent : 0;
        }

        options.SackPermitted = isAnswer ? _sackOk : parameters.Sack;
        if (isAnswer ? _scaleOk : parameters.WindowScaling)
        {
            options.HasWindowScale = true;
            options.WindowScale = _rcvScale;
        }

        if (!isAnswer && _asksFastOpen && _retransmits == 0)
        {
            _protocol.FillFastOpen(RemoteAddress, ref options);
        }
    }

    /// <summary>Takes what a SYN or SYN-ACK says of the peer, within what we offer ourselves.</summary>
    private void AgreeOptions(in TcpOptions options)
    {
        TcpParameters parameters = _protocol.Parameters;
        _timestampsOk = parameters.Timestamps && options.HasTimestamps;
        if (_timestampsOk)
        {
            _tsRecent = options.TimestampValue;
            _tsRecentAt = _stack.Now;
        }

        _sackOk = parameters.Sack && options.SackPermitted;
        _scaleOk = parameters.WindowScaling && options.HasWindowScale;
        _sndScale = _scaleOk ? options.WindowScale : (byte)0;
        if (!_scaleOk)
        {
            _rcvScale = 0;
        }

        TakePeerMss(options.Mss);
    }

    /// <summary>SYN-SENT (RFC 9293, 3.10.7.3). Takes the packet.</summary>
    private void ReceiveSynSent(ref TcpSegment segment)
    {
        if (segment.IsAck)
        {
            // The SYN, or the SYN and a part of its data, must be what is acknowledged.
            if (segment.Ack <= _sndUna || segment.Ack > _sndNxt)
            {
                Refuse(ref segment);
                return;
            }

            if (segment.Options.HasTimestamps && segment.Options.TimestampEcho != 0
                && unchecked((int)(TimestampNow - segment.Options.TimestampEcho)) < 0)
            {
                Refuse(ref segment);
                return;
            }

            if (segment.IsRst)
            {
                segment.Packet.Release();
                Fail(NetError.ConnectionRefused);
                return;
            }

            if (!segment.IsSyn)
            {
                segment.Packet.Release();
                return;
            }

            CompleteActiveOpen(ref segment);
            return;
        }

        if (segment.IsRst || !segment.IsSyn)
        {
            segment.Packet.Release();
            return;
        }

        // Both have sent a SYN: ours goes out again with an acknowledgement.
        AgreeOptions(segment.Options);
        TakePeerSequence(segment);
        _sndWnd = segment.Window;
        _maxWindow = _sndWnd;
        _sndWl1 = segment.Seq;
        _ecnOk = false;
        SyncMss();
        _state = TcpState.SynReceived;
        if (_flight.First is { } syn)
        {
            Retransmit(syn, 1);
        }

        segment.Packet.Release();
    }

    private void Refuse(ref TcpSegment segment)
    {
        if (!segment.IsRst)
        {
            _protocol.ReplyReset(segment);
        }

        segment.Packet.Release();
    }

    private void TakePeerSequence(in TcpSegment segment)
    {
        _irs = segment.Seq;
        _rcvNxt = segment.Seq + 1;
        _rcvAcked = _rcvNxt;
        _copied = _rcvNxt;
        _spaceSeq = _rcvNxt;
    }

    private void CompleteActiveOpen(ref TcpSegment segment)
    {
        bool ece = (segment.Flags & (TcpFlags.Ece | TcpFlags.Cwr)) == TcpFlags.Ece;
        _ecnOk = ece && _protocol.Parameters.Ecn == 1;
        AgreeOptions(segment.Options);
        TakePeerSequence(segment);
        _sndWnd = segment.Window;
        _maxWindow = _sndWnd;
        _sndWl1 = segment.Seq;
        int sentWithSyn = _synData;
        bool resent = _flight.First is { WasRetransmitted: true };
        AcknowledgeSyn(segment.Ack);
        SyncMss();
        if (_asksFastOpen)
        {
            _protocol.TakeFastOpen(RemoteAddress, segment.Options, sentWithSyn > 0 && segment.Ack == _iss + 1 && resent);
            if (sentWithSyn > 0)
            {
                bool taken = segment.Ack == _iss + 1 + sentWithSyn;
                _protocol.Statistics.FastOpenActive += taken ? 1 : 0;
                _protocol.Statistics.FastOpenActiveFail += taken ? 0 : 1;
                if (!taken)
                {
                    // The data of the SYN were not taken: they go again, now.
                    _sndNxt = segment.Ack;
                }
            }
        }

        EnterEstablished();
        bool hold = HasUnsent || Settings.DeferAccept != 0 || _pingPong;
        if (hold && !HasUnsent)
        {
            _ackPending = true;
            EnterQuickAck(MaximumQuickAcks);
            _stack.Schedule(_ackTimer, _stack.Now + DelayMaximum);
        }
        else
        {
            _ackPending = true;
            Push(CurrentMss());
            if (_ackPending)
            {
                SendAck();
            }
        }

        segment.Packet.Release();
    }

    /// <summary>The SYN is acknowledged, and perhaps data in it: samples the round trip.</summary>
    private void AcknowledgeSyn(SeqNum ack)
    {
        if (_flight.First is { IsSyn: true } syn)
        {
            if (!syn.WasRetransmitted)
            {
                TakeHandshakeSample((_stack.Now - syn.SentAt) / Microsecond, ack);
            }
            else if (_timestampsOk)
            {
                _window.Size = 1;
            }

            _packetsOut -= syn.Count;
            if (syn.IsRetransmitted)
            {
                _retransOut -= syn.Count;
            }

            if (syn.IsLost)
            {
                _lostOut -= syn.Count;
            }

            _flight.Remove(syn);
            _congestionState = CongestionState.Open;
            _canUndo = false;
        }

        _sndUna = ack;
        _send.ReleaseTo(ack);
        _retransmits = 0;
        _retransStamp = 0;
        _backoff = 0;
        _lastAckAt = _stack.Now;
        StopTransmitTimer();
    }

    private void EnterEstablished()
    {
        _state = TcpState.Established;
        _isFastOpen = false;
        if (!_rtt.HasSample)
        {
            _rto = InitialRto;
        }

        BeginCongestion();
        GrowSendBuffer();
        _spaceBytes = Math.Min(_rcvWnd, 10 * _advertisedMss);
        _spaceTime = _stack.Now;
        _receiveMss = Math.Max(1, Math.Min(Math.Min(_advertisedMss, _mssCache), Math.Max(_rcvWnd / 2, 88)));
        _receiveMss = Math.Min(_receiveMss, 536);
        _lastReceived = _stack.Now;
        if (Settings.KeepAlive)
        {
            _stack.Schedule(_keepAliveTimer, _stack.Now + KeepAliveIdle);
        }

        Recharge();
        _writerWaits = false;
        Notifier.Raise(NetEvents.Writable);
    }

    /// <summary>A SYN with data went unanswered: the path may drop such, so the next one goes bare.</summary>
    private void AbandonFastOpen()
    {
        if (_synData == 0 || _flight.First is not { IsSyn: true } syn)
        {
            return;
        }

        _protocol.ForgetFastOpen(RemoteAddress);
        syn.End = _iss + 1;
        _sndNxt = syn.End;
        _synData = 0;
    }

    /// <summary>A connection that a peer's handshake made: the request becomes it (RFC 9293, 3.10.7.4, SYN-RECEIVED).</summary>
    internal static TcpEndpoint CreateChild(TcpEndpoint listener, SynRequest request)
    {
        TcpProtocol protocol = listener._protocol;
        TcpEndpoint child = new(protocol, listener.IsV6, listener.Settings.Clone())
        {
            LocalAddress = request.LocalAddress,
            LocalPort = request.LocalPort,
            RemoteAddress = request.RemoteAddress,
            RemotePort = request.RemotePort,
        };
        child._port.Address = request.LocalAddress;
        child._port.Interface = listener._port.Interface != 0 ? listener._port.Interface : request.Interface;
        child._port.V6Only = listener._port.V6Only;
        child._port.ReuseAddress = listener._port.ReuseAddress;
        child._port.ReusePort = listener._port.ReusePort;
        child._port.User = listener._port.User;
        child._isBound = false;
        child._maximumPacing = listener._maximumPacing;
        if (Congestion.CongestionControl.Create(listener._congestion.Name, child._window) is { } congestion)
        {
            child.UseCongestion(congestion);
        }

        child.Reroute();
        child._iss = request.Iss;
        child.ResetConnection();
        child.PrepareBuffers();
        child._timestampOffset = request.TimestampOffset;
        child._advertisedMss = request.AdvertisedMss;
        child._rcvWnd = request.Window;
        child._rcvScale = request.ReceiveScale;
        child._windowClamp = listener.Settings.WindowClamp;
        child._irs = request.Irs;
        child._rcvNxt = child._rcvAcked = child._copied = child._spaceSeq = request.Irs + 1;
        child._timestampsOk = request.TimestampsOk;
        child._tsRecent = request.TsRecent;
        child._tsRecentAt = protocol.Stack.Now;
        child._sackOk = request.SackOk;
        child._scaleOk = request.ScaleOk;
        child._sndScale = request.SendScale;
        child._ecnOk = request.EcnOk;
        child._sndWnd = request.PeerWindow;
        child._maxWindow = request.PeerWindow;
        child._sndWl1 = request.Irs;
        child.TakePeerMss(request.PeerMss);
        child.SyncMss();
        child._state = TcpState.SynReceived;
        child._synAckAt = request.Retransmits == 0 ? request.SentAt : 0;
        if (request.Retransmits > 1)
        {
            child._window.Size = 1;
        }

        protocol.Stack.Ports.Share(child._port, request.LocalPort);
        return child;
    }

    // When the SYN-ACK of the request was sent, or 0 if a sample of it would be ambiguous.
    private long _synAckAt;
}
