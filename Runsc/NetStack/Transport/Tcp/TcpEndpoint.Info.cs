using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What applications can ask: TCP_INFO, TCP_CONGESTION, TCP_MAXSEG, queue lengths.</summary>
internal sealed partial class TcpEndpoint
{
    private long _segmentsOut;
    private long _dataSegmentsOut;
    private long _segmentsIn;
    private long _dataSegmentsIn;
    private long _bytesSent;
    private long _bytesRetransmitted;
    private long _bytesReceived;
    private long _bytesAcked;
    private long _totalRetransmits;

    /// <summary>SIOCOUTQ: bytes written and not acknowledged.</summary>
    public int UnackedBytes => Math.Max(0, WriteEnd - SeqNum.Max(_sndUna, _iss + 1));

    /// <summary>SIOCOUTQNSD.</summary>
    public int UnsentBytes => Math.Max(0, WriteEnd - _sndNxt);

    /// <summary>For /proc/net/tcp: of a listener the connections to accept and the backlog.</summary>
    public (int Receive, int Send) QueueLengths => _state == TcpState.Listen
        ? (_acceptQueue!.Count, _acceptQueue.Backlog)
        : (_receive.Length, UnackedBytes);

    /// <summary>TCP_MAXSEG as getsockopt(2) gives it.</summary>
    public int MaximumSegment => _state is TcpState.Closed or TcpState.Listen && Settings.MaximumSegment != 0 ? Settings.MaximumSegment : _mssCache;

    public string CongestionName => _congestion.Name;

    /// <summary>The path MTU of the connection, for IP_MTU; 0 if there is none.</summary>
    public int PathMtu => _mtuOfCache;

    internal bool IsOrphaned => _orphaned;

    /// <summary>TCP_CONGESTION. ENOENT if there is no algorithm of that name.</summary>
    public NetError SetCongestion(string name)
    {
        using (_stack.Enter())
        {
            if (Congestion.CongestionControl.Create(name, _window) is not { } congestion)
            {
                return NetError.NotFound;
            }

            UseCongestion(congestion);
            if (IsSynchronized)
            {
                BeginCongestion();
            }

            return NetError.None;
        }
    }

    /// <summary>Bytes a second; without an algorithm that paces, what would not slow the window down.</summary>
    private ulong PacingRate
    {
        get
        {
            if (_isRateBased || !_rtt.HasSample)
            {
                return _pacingRate != 0 ? (ulong)_pacingRate : ulong.MaxValue;
            }

            double ahead = _window.Size < _window.Threshold / 2 ? 2 : 1.2;
            ulong limit = _maximumPacing == 0 ? ulong.MaxValue : (ulong)_maximumPacing;
            return Math.Min(limit, (ulong)(ahead * _mssCache * Math.Max(_window.Size, _packetsOut) * 1e6 / Math.Max(1, _rtt.Smoothed)));
        }
    }

    /// <summary>What BBR has found out, for TCP_CC_INFO; false with another algorithm. Bytes a second, microseconds.</summary>
    public bool TryGetBbr(out long bandwidth, out long minimumRtt, out double pacingGain, out double windowGain)
    {
        using (_stack.Enter())
        {
            Congestion.Bbr? bbr = _congestion as Congestion.Bbr;
            (bandwidth, minimumRtt, pacingGain, windowGain) = bbr is null ? default : (bbr.Bandwidth, bbr.MinimumRtt, bbr.PacingGain, bbr.CurrentWindowGain);
            return bbr is not null;
        }
    }

    public TcpInfo GetInfo()
    {
        using (_stack.Enter())
        {
            long now = _stack.Now;
            return unchecked(new TcpInfo
            {
                State = _state,
                CongestionState = _congestionState,
                Retransmits = (byte)Math.Min(_retransmits, 255),
                Probes = (byte)Math.Min(_probesOut, 255),
                Backoff = (byte)_backoff,
                Timestamps = _timestampsOk,
                Sack = _sackOk,
                WindowScale = _scaleOk,
                Ecn = _ecnOk,
                SynData = _synData > 0,
                SendScale = _sndScale,
                ReceiveScale = _rcvScale,
                Rto = (uint)_rto,
                Ato = (uint)(_ackDelay / Microsecond),
                SendMss = (uint)_mssCache,
                ReceiveMss = (uint)_receiveMss,
                Unacked = (uint)(_state == TcpState.Listen ? _acceptQueue!.Count : _packetsOut),
                Sacked = (uint)(_state == TcpState.Listen ? _acceptQueue!.Backlog : _sackedOut),
                Lost = (uint)_lostOut,
                Retrans = (uint)_retransOut,
                LastDataSent = Since(_lastSent, now),
                LastDataReceived = Since(_lastReceived, now),
                LastAckReceived = Since(_lastAckAt, now),
                PathMtu = (uint)_mtuOfCache,
                ReceiveThreshold = (uint)WindowFrom(Settings.ReceiveBuffer),
                Rtt = (uint)_rtt.Smoothed,
                RttVariation = (uint)_rtt.Variation,
                SendThreshold = (uint)_window.Threshold,
                SendWindow = (uint)_window.Size,
                AdvertisedMss = (uint)_advertisedMss,
                Reordering = (uint)_reordering,
                ReceiveRtt = (uint)_receiveRtt,
                ReceiveSpace = (uint)_spaceBytes,
                TotalRetransmits = (uint)_totalRetransmits,
                BytesAcked = (ulong)_bytesAcked,
                BytesReceived = (ulong)_bytesReceived,
                SegmentsOut = (uint)_segmentsOut,
                SegmentsIn = (uint)_segmentsIn,
                NotSentBytes = (uint)UnsentBytes,
                MinimumRtt = _rtt.MinimumRtt == long.MaxValue ? uint.MaxValue : (uint)_rtt.MinimumRtt,
                DataSegmentsIn = (uint)_dataSegmentsIn,
                DataSegmentsOut = (uint)_dataSegmentsOut,
                Delivered = (uint)_delivered,
                BytesSent = (ulong)_bytesSent,
                BytesRetransmitted = (ulong)_bytesRetransmitted,
                DuplicateSacks = (uint)_dsacksReceived,
                ReorderingSeen = (uint)_reorderingSeen,
                DeliveryRate = _shownInterval == 0 ? 0 : (ulong)(_shownDelivered * 1e6 * _mssCache / _shownInterval),
                IsDeliveryAppLimited = _shownAppLimited,
                PacingRate = PacingRate,
                MaximumPacingRate = _maximumPacing == 0 ? ulong.MaxValue : (ulong)_maximumPacing,
                PeerWindow = (uint)_sndWnd,
                ReceiveWindow = (uint)_rcvWnd,
            });
        }
    }

    private static uint Since(long then, long now) => then == 0 ? 0 : (uint)Math.Min((now - then) / Millisecond, uint.MaxValue);
}
