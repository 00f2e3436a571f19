using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>RACK and tail loss probes (RFC 8985): a segment is lost if one that was sent sufficiently later has arrived.</summary>
internal sealed partial class TcpEndpoint
{
    // Of the newest sent segment that is known to have arrived: time, end, round trip (microseconds).
    private long _rackSentAt;
    private SeqNum _rackEnd;
    private long _rackRtt;
    private bool _rackAdvanced;

    // This acknowledgement has set the timer for reordered segments.
    private bool _waitsForReordering;

    // The window for reordering: steps of a quarter of the smallest round trip, how many recoveries they persist, and its round.
    private int _rackSteps = 1;
    private int _rackPersist;
    private bool _rackDuplicateSeen;
    private SeqNum _rackRoundEnd;

    // The probe that is out: the edge it proves, and whether it was a retransmission.
    private bool _tlpIsOut;
    private bool _tlpRetransmitted;
    private SeqNum _tlpHighSeq;

    // The echo of the acknowledgement that is being processed, or 0.
    private uint _lastEcho;

    private void ResetRack()
    {
        _rackSentAt = 0;
        _rackRtt = 0;
        _rackAdvanced = false;
        _rackSteps = 1;
        _rackPersist = 0;
        _rackDuplicateSeen = false;
        _tlpIsOut = false;
    }

    private static bool IsSentAfter(long time, SeqNum end, long otherTime, SeqNum otherEnd) =>
        time > otherTime || (time == otherTime && end > otherEnd);

    /// <summary>A segment was delivered.</summary>
    private void AdvanceRack(TxSegment segment, long now)
    {
        long rtt = (now - segment.SentAt) / Microsecond;
        if (segment.WasRetransmitted && rtt < _rtt.MinimumRtt && _rtt.MinimumRtt != long.MaxValue)
        {
            // Too soon to be an answer to the retransmission.
            return;
        }

        _rackAdvanced = true;
        _rackRtt = rtt;
        if (IsSentAfter(segment.SentAt, segment.End, _rackSentAt, _rackEnd))
        {
            _rackSentAt = segment.SentAt;
            _rackEnd = segment.End;
        }
    }

    private long ReorderingWindow()
    {
        if (_reorderingSeen == 0)
        {
            // No reordering was ever seen: three duplicates are enough, and in recovery nothing waits.
            if (_congestionState >= CongestionState.Recovery || _sackedOut >= _reordering)
            {
                return 0;
            }
        }

        long minimum = _rtt.MinimumRtt == long.MaxValue ? _rtt.Smoothed : _rtt.MinimumRtt;
        return Math.Min((minimum >> 2) * _rackSteps, _rtt.Smoothed);
    }

    private void MarkLostByRack()
    {
        if (!_rackAdvanced)
        {
            return;
        }

        _rackAdvanced = false;
        long wait = DetectLoss();
        if (wait > 0)
        {
            _waitsForReordering = true;
            SetTimer(PendingTimer.Reordering, _stack.Now + (wait * Microsecond) + Millisecond);
        }
    }

    /// <summary>Marks what is lost by now; returns the microseconds until more may be, or 0.</summary>
    private long DetectLoss()
    {
        long now = _stack.Now;
        long window = ReorderingWindow();
        long wait = 0;
        TxSegment? next;
        for (TxSegment? segment = _flight.Oldest; segment is not null; segment = next)
        {
            next = segment.Newer;
            if (segment.IsLost && !segment.IsRetransmitted)
            {
                continue;
            }

            if (!IsSentAfter(_rackSentAt, _rackEnd, segment.SentAt, segment.End))
            {
                break;
            }

            long remaining = ((segment.SentAt - now) / Microsecond) + _rackRtt + window;
            if (remaining <= 0)
            {
                MarkLost(segment);
            }
            else
            {
                wait = Math.Max(wait, remaining);
            }
        }

        return wait;
    }

    private void OnReorderingTimeout()
    {
        int before = InFlight;
        DetectLoss();
        if (before != InFlight)
        {
            if (_congestionState != CongestionState.Recovery)
            {
                if (_congestionState != CongestionState.Loss)
                {
                    EnterRecovery(byMark: false);
                }

                ReduceWindow(1, 1, AckFlags.None);
            }

            RetransmitLost();
        }

        if (_pendingTimer != PendingTimer.Retransmit)
        {
            _pendingTimer = PendingTimer.Reordering;
            RearmRetransmit();
        }
    }

    /// <summary>Each D-SACK in a round trip widens the window for reordering; after 16 quiet recoveries it shrinks back.</summary>
    private void UpdateReorderingWindow(AckFlags flags)
    {
        if ((flags & AckFlags.Duplicate) != 0 && _rackDuplicateSeen && _sndUna >= _rackRoundEnd)
        {
            _rackSteps = Math.Min(0xff, _rackSteps + 1);
            _rackRoundEnd = _sndNxt;
            _rackPersist = 16;
        }
        else if (_rackPersist > 0 && _congestionState >= CongestionState.Recovery && _sndUna >= _highSeq)
        {
            _rackPersist--;
            if (_rackPersist == 0)
            {
                _rackSteps = 1;
            }
        }

        _rackDuplicateSeen = false;
    }

    private void ScheduleRetransmitOrProbe()
    {
        if (!ScheduleLossProbe(advancing: true))
        {
            RearmRetransmit();
        }
    }

    /// <summary>Two round trips without a sign: the tail may be lost. False if no probe is due.</summary>
    private bool ScheduleLossProbe(bool advancing)
    {
        if (_packetsOut == 0 || !_sackOk || !IsSynchronized || _congestionState is not (CongestionState.Open or CongestionState.Reduced))
        {
            return false;
        }

        long timeout = InitialRto;
        if (_rtt.HasSample)
        {
            // The last segment may be acknowledged late.
            timeout = (2 * _rtt.Smoothed) + (_packetsOut == 1 ? MinimumRto : 2000);
        }

        long now = _stack.Now;
        long remaining = _rto;
        if (!advancing && _flight.First is { } head)
        {
            remaining = Math.Max(1, ((head.SentAt - now) / Microsecond) + _rto);
        }

        timeout = Math.Min(timeout, remaining);
        SetTimer(PendingTimer.LossProbe, now + (timeout * Microsecond));
        return true;
    }

    /// <summary>The probe: new data if there are, else the last segment again.</summary>
    private void SendLossProbe()
    {
        if (_tlpIsOut || _flight.Last is null)
        {
            _pendingTimer = PendingTimer.LossProbe;
            RearmRetransmit();
            return;
        }

        bool sent = false;
        bool retransmitted = false;
        int mss = CurrentMss();
        if (HasUnsent && WindowEnd - _sndNxt > 0 && CanSendData)
        {
            int before = _packetsOut;
            Push(mss, one: true);
            sent = _packetsOut > before;
        }

        if (!sent && _flight.Last is { IsSacked: false } last)
        {
            if (last.DataLength > mss)
            {
                SplitSegment(last, last.DataStart + ((last.DataLength - 1) / mss * mss), mss);
                last = _flight.Last!;
            }

            sent = Retransmit(last, 1);
            retransmitted = sent;
        }

        if (sent)
        {
            _tlpIsOut = true;
            _tlpRetransmitted = retransmitted;
            _tlpHighSeq = _sndNxt;
            _protocol.Statistics.LossProbes++;
        }

        _pendingTimer = PendingTimer.None;
        RearmRetransmit();
    }

    private void ProcessLossProbeAck(SeqNum ack, AckFlags flags)
    {
        if (ack < _tlpHighSeq)
        {
            return;
        }

        if (!_tlpRetransmitted)
        {
            _tlpIsOut = false;
        }
        else if ((flags & AckFlags.ProbeDuplicate) != 0)
        {
            // Both copies arrived: nothing was lost.
            _tlpIsOut = false;
        }
        else if (ack > _tlpHighSeq)
        {
            // The probe repaired a loss: that is a sign of congestion like any other.
            _tlpIsOut = false;
            BeginReduction();
            _canUndo = false;
            _congestionState = CongestionState.Reduced;
            EndReduction();
            _congestionState = CongestionState.Open;
            _protocol.Statistics.LossProbeRecovery++;
        }
        else if ((flags & (AckFlags.UnaAdvanced | AckFlags.NotDuplicate | AckFlags.DataSacked)) == 0)
        {
            _tlpIsOut = false;
        }
    }
}
