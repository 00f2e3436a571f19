using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Acknowledgements that come (RFC 9293, 3.10.7.4, fifth): the window, what leaves the retransmission queue, round trips.</summary>
internal sealed partial class TcpEndpoint
{
    private long _lastAckAt;

    /// <summary>False if the segment must be dropped: its acknowledgement is nonsense or far too old.</summary>
    private bool ProcessAck(ref TcpSegment segment)
    {
        SeqNum ack = segment.Ack;
        SeqNum priorUna = _sndUna;
        if (ack > _sndNxt)
        {
            SendChallenge();
            return false;
        }

        if (ack < _sndUna)
        {
            if (ack < _sndUna - _maxWindow)
            {
                // RFC 5961, 5.2.
                SendChallenge();
                return false;
            }

            if (_sackOk && segment.Options.SackCount > 0)
            {
                AckFlags oldFlags = ProcessSack(segment, priorUna);
                ActOnLoss(oldFlags, 0, priorUna, out Resend oldResend);
                ResendAfterAck(oldResend);
            }

            return true;
        }

        AckFlags flags = AckFlags.None;
        if (ack > _sndUna)
        {
            flags |= AckFlags.UnaAdvanced;
            _retransmits = 0;
        }

        int priorPackets = _packetsOut;
        TakeTimestamp(segment);
        if (segment.Length > 0 || segment.IsFin)
        {
            flags |= AckFlags.HasData;
        }

        flags |= UpdateSendWindow(segment);
        long delivered = _delivered;
        long lost = _lost;
        BeginRate();
        if (_ecnOk && (segment.Flags & TcpFlags.Ece) != 0 && !segment.IsSyn)
        {
            flags |= AckFlags.CongestionEcho;
        }

        _rackAdvanced = false;
        _waitsForReordering = false;
        _sackSentAt = 0;
        _lastEcho = _timestampsOk && segment.Options.HasTimestamps ? segment.Options.TimestampEcho : 0;
        if (_sackOk && segment.Options.SackCount > 0)
        {
            flags |= ProcessSack(segment, priorUna);
        }

        _lastAckAt = _stack.Now;
        _probesOut = 0;
        _softError = NetError.None;
        if (priorPackets == 0)
        {
            if ((flags & AckFlags.Duplicate) != 0)
            {
                // The proof that a retransmission was needless may come when all is done.
                ActOnLoss(flags, 0, priorUna, out _);
            }

            AfterProbeAck();
            _sndUna = ack;
            return true;
        }

        flags |= CleanFlight(segment, ack, priorUna, flags);
        UpdateReorderingWindow(flags);
        if (_tlpIsOut)
        {
            ProcessLossProbeAck(ack, flags);
        }

        Resend resend = Resend.No;
        bool dubious = (flags & AckFlags.NotDuplicate) == 0 || (flags & (AckFlags.DataSacked | AckFlags.CongestionEcho | AckFlags.Duplicate)) != 0
            || _congestionState != CongestionState.Open;
        if (dubious)
        {
            bool isDuplicate = (flags & (AckFlags.UnaAdvanced | AckFlags.NotDuplicate | AckFlags.Duplicate)) == 0;
            ActOnLoss(flags, isDuplicate ? 1 : 0, priorUna, out resend);
        }

        if ((flags & AckFlags.SetTimer) != 0 && !_waitsForReordering)
        {
            ScheduleRetransmitOrProbe();
        }

        FinishRate((int)(_delivered - delivered), (int)(_lost - lost));
        ControlWindow((int)(_delivered - delivered), (int)(_lost - lost), flags);
        ResendAfterAck(resend);
        return _state != TcpState.Closed;
    }

    private void TakeTimestamp(in TcpSegment segment)
    {
        if (!_timestampsOk || !segment.Options.HasTimestamps || segment.Seq > _rcvAcked)
        {
            return;
        }

        // Only from a segment at the edge, or an echo would be of a segment that was lost (RFC 7323, 4.3).
        if (unchecked((int)(segment.Options.TimestampValue - _tsRecent)) >= 0 || _stack.Now - _tsRecentAt > 24L * 24 * 3600 * Second)
        {
            _tsRecent = segment.Options.TimestampValue;
            _tsRecentAt = _stack.Now;
        }
    }

    private AckFlags UpdateSendWindow(in TcpSegment segment)
    {
        AckFlags flags = AckFlags.None;
        int window = segment.Window << _sndScale;
        if (segment.Ack > _sndUna || segment.Seq > _sndWl1 || (segment.Seq == _sndWl1 && (window > _sndWnd || window == 0)))
        {
            _sndWl1 = segment.Seq;
            if (window != _sndWnd)
            {
                flags |= AckFlags.WindowUpdate;
                _sndWnd = window;
                if (window > _maxWindow)
                {
                    _maxWindow = window;
                    SyncMss();
                }
            }
        }

        return flags;
    }

    /// <summary>An answer while nothing is out: to a window probe or a keep-alive.</summary>
    private void AfterProbeAck()
    {
        if (_pendingTimer != PendingTimer.WindowProbe || !HasUnsent)
        {
            return;
        }

        if (_sndNxt < WindowEnd && (WindowEnd - _sndNxt >= Math.Min(_send.End - _sndNxt, CurrentMss()) || _sndNxt == _send.End))
        {
            _backoff = 0;
            StopTransmitTimer();
        }
        else
        {
            long when = Math.Min(Math.Max(_rtt.Rto, MinimumRto) << Math.Min(_backoff, 20), MaximumRto);
            SetTimer(PendingTimer.WindowProbe, ClampToUserTimeout(_stack.Now + (when * Microsecond), _probesStart));
        }
    }

    /// <summary>Takes what is acknowledged out of the queue and samples the round trip.</summary>
    private AckFlags CleanFlight(in TcpSegment packet, SeqNum ack, SeqNum priorUna, AckFlags before)
    {
        AckFlags flags = AckFlags.None;
        long now = _stack.Now;
        long firstAcked = 0;
        long lastAcked = 0;
        SeqNum lowest = _sndNxt;
        bool foundLowest = false;
        int packetsAcked = 0;
        _sndUna = ack;
        while (_flight.First is { } segment && segment.Seq < ack)
        {
            int acked;
            bool whole = segment.End <= ack;
            if (whole)
            {
                acked = segment.Count;
            }
            else
            {
                acked = TrimAcked(segment);
                if (acked == 0)
                {
                    break;
                }
            }

            if (segment.WasRetransmitted)
            {
                if (segment.IsRetransmitted && whole)
                {
                    _retransOut -= acked;
                }

                flags |= AckFlags.RetransmittedAcked;
            }
            else if (!segment.IsSacked)
            {
                lastAcked = segment.SentAt;
                firstAcked = firstAcked == 0 ? segment.SentAt : firstAcked;
                if (!foundLowest || segment.Seq < lowest)
                {
                    lowest = segment.Seq;
                    foundLowest = true;
                }

                if (segment.End <= _highSeq)
                {
                    flags |= AckFlags.OriginalAcked;
                }
            }

            if (segment.IsSacked)
            {
                _sackedOut -= whole ? acked : 0;
            }
            else
            {
                CountDelivered(segment, acked, now);
                if (_sackOk)
                {
                    AdvanceRack(segment, now);
                }
            }

            if (segment.IsLost && whole)
            {
                _lostOut -= acked;
            }

            packetsAcked += acked;
            flags |= segment.IsSyn ? AckFlags.SynAcked : AckFlags.DataAcked;
            if (!whole)
            {
                break;
            }

            _packetsOut -= acked;
            if (_highestSacked == segment)
            {
                _highestSacked = null;
            }

            _flight.Remove(segment);
        }

        if (packetsAcked == 0)
        {
            return flags;
        }

        _bytesAcked += ack - priorUna;
        _send.ReleaseTo(ack);
        if (_sndUp < ack)
        {
            _sndUp = ack;
            _sendsUrgent = false;
        }

        flags |= AckFlags.SetTimer;
        long sample = -1;
        if (firstAcked != 0 && (flags & AckFlags.RetransmittedAcked) == 0)
        {
            sample = (now - firstAcked) / Microsecond;
            long recent = (now - lastAcked) / Microsecond;
            _rate.Rtt = recent;
            _rate.IsAckDelayed = packetsAcked == 1 && ack - priorUna < _mssCache && _sackSentAt == 0;
            _rtt.UpdateMinimum(recent, now);
            _congestion.OnSample(recent, _sndUna, _sndNxt, now);
        }
        else if (_sackSentAt != 0)
        {
            _rate.Rtt = (now - _sackSentAt) / Microsecond;
            sample = (now - _sackSentAt) / Microsecond;
            _rtt.UpdateMinimum(sample, now);
        }

        if (sample < 0 && _timestampsOk && packet.Options.HasTimestamps && packet.Options.TimestampEcho != 0)
        {
            int ticks = unchecked((int)(TimestampNow - packet.Options.TimestampEcho));
            if (ticks is >= 0 and < 1 << 21)
            {
                sample = Math.Max(ticks, 1) * 1000L;
            }
        }

        if (sample >= 0)
        {
            TakeRttSample(sample, ack);
        }
        else if ((flags & AckFlags.DataAcked) != 0 && _backoff > 0 && (flags & AckFlags.RetransmittedAcked) == 0)
        {
            _backoff = 0;
            _rto = _rtt.Rto;
        }

        if (!_sackOk)
        {
            RemoveRenoSacks(packetsAcked);
        }
        else if (foundLowest && _highestSackedSeq is { } high && lowest < high && (before & AckFlags.Duplicate) == 0)
        {
            NoteReordering(lowest);
        }

        if (_flight.IsEmpty)
        {
            _highestSackedSeq = null;
        }

        GrowSendBuffer();
        return flags;
    }

    private void TakeHandshakeSample(long sample, SeqNum una)
    {
        TakeRttSample(sample, una);
        _rtt.UpdateMinimum(sample, _stack.Now);
    }

    private void TakeRttSample(long sample, SeqNum una)
    {
        _rtt.Sample(sample, una, _sndNxt);
        _rto = _rtt.Rto;
        _backoff = 0;
        SampleReceiveRtt(sample, isUpperBound: false);
    }

    /// <summary>Drops the acknowledged packets in front of a segment of several; returns how many.</summary>
    private int TrimAcked(TxSegment segment)
    {
        if (_sndUna <= segment.Seq || segment.Count <= 1)
        {
            if (_sndUna > segment.Seq && _sndUna < segment.End)
            {
                segment.Seq = _sndUna;
            }

            return 0;
        }

        int mss = Math.Max(1, (segment.DataLength + segment.Count - 1) / segment.Count);
        segment.Seq = _sndUna;
        int count = Math.Max(1, SegmentCount(segment.DataLength, mss));
        int acked = segment.Count - count;
        if (acked > 0)
        {
            AdjustCount(segment, -acked);
        }

        return acked;
    }

    /// <summary>Changes how many packets a segment counts for, in all the sums that it is in.</summary>
    private void AdjustCount(TxSegment segment, int change)
    {
        segment.Count += change;
        _packetsOut += change;
        if (segment.IsSacked)
        {
            _sackedOut += change;
        }

        if (segment.IsRetransmitted)
        {
            _retransOut += change;
        }

        if (segment.IsLost)
        {
            _lostOut += change;
        }
    }

    private void SplitSegment(TxSegment segment, SeqNum at, int mss)
    {
        int before = segment.Count;
        TxSegment rest = _flight.Split(segment, at);
        int first = SegmentCount(segment.DataLength, mss);
        int second = SegmentCount(rest.DataLength, mss);

        // The new one has the same marks, so the sums change by the difference of the whole.
        rest.Count = 0;
        AdjustCount(segment, first - before);
        AdjustCount(rest, second);
        if (_highestSacked == segment)
        {
            _highestSacked = rest;
        }
    }
}
