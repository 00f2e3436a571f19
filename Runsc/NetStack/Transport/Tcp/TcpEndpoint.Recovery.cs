using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What the sender concludes from loss and marks: fast recovery (RFC 6675, RFC 6937), time-outs (RFC 5681), F-RTO (RFC 5682), and undoing what was wrong (RFC 4015).</summary>
/// <remarks>
/// States and arrows (<see cref="CongestionState"/>):
/// Open → Disorder: SACK or a duplicate acknowledgement. Open, Disorder → Reduced: an ECN mark. Open, Disorder, Reduced → Recovery: a segment is
/// believed lost. Any → Loss: time-out. Reduced, Recovery, Loss → Open: all that was out then (<see cref="_highSeq"/>) is acknowledged, or it was undone.
/// </remarks>
internal sealed partial class TcpEndpoint
{
    private CongestionState _congestionState;
    private SeqNum _highSeq;

    // Packets out, and of these: SACKed, believed lost, sent again.
    private int _packetsOut;
    private int _sackedOut;
    private int _lostOut;
    private int _retransOut;

    private int _reordering = 3;
    private int _reorderingSeen;

    // Proportional rate reduction: delivered and sent since it began.
    private int _prrDelivered;
    private int _prrOut;

    // What to go back to: 0 if nothing.
    private int _priorThreshold;

    // A reduction may still turn out to be wrong: nothing below the marker was lost, and so many retransmissions are unexplained.
    private bool _canUndo;
    private SeqNum _undoMarker;
    private int _undoRetransmits;

    // When the first retransmission of this episode went out, and the timestamp it had.
    private long _retransStamp;
    private uint _retransTimestamp;

    private bool _frto;

    // Where the current measure of the window's use ends.
    private SeqNum _usageEdge;

    private int InFlight => _packetsOut - _sackedOut - _lostOut + _retransOut;

    private bool InReduction => _congestionState is CongestionState.Reduced or CongestionState.Recovery;

    private void ResetScoreboard()
    {
        _congestionState = CongestionState.Open;
        _packetsOut = _sackedOut = _lostOut = _retransOut = 0;
        _reordering = _protocol.Parameters.Reordering;
        _reorderingSeen = 0;
        _prrDelivered = _prrOut = 0;
        _priorThreshold = 0;
        _canUndo = false;
        _undoRetransmits = 0;
        _retransStamp = 0;
        _retransmits = 0;
        _backoff = 0;
        _frto = false;
        _highestSacked = null;
        _highestSackedSeq = null;
        _lastBlockCount = 0;
        _highSeq = _sndUna;
        _usageEdge = _sndUna;
        _window.MaxOut = 0;
        _window.IsLimited = false;
        ResetRack();
    }

    /// <summary>The heart of recovery: called for each acknowledgement that is not plain progress.</summary>
    private void ActOnLoss(AckFlags flags, int duplicates, SeqNum priorUna, out Resend resend)
    {
        resend = Resend.No;
        bool advanced = (flags & AckFlags.UnaAdvanced) != 0;
        if (_packetsOut == 0)
        {
            _sackedOut = 0;
        }

        if ((flags & AckFlags.CongestionEcho) != 0)
        {
            _priorThreshold = 0;
        }

        if (CheckReneging(advanced))
        {
            return;
        }

        if (_congestionState == CongestionState.Open)
        {
            if (_retransOut == 0)
            {
                _retransStamp = 0;
            }
        }
        else if (_sndUna >= _highSeq && EndEpisode())
        {
            return;
        }

        switch (_congestionState)
        {
            case CongestionState.Recovery:
                if (!advanced)
                {
                    AddRenoSack(duplicates);
                }
                else if (TryUndoPartial(priorUna))
                {
                    return;
                }

                if (TryUndoByDuplicates())
                {
                    TryOpen(flags);
                }

                IdentifyLoss(duplicates, advanced);
                if (_congestionState == CongestionState.Recovery)
                {
                    break;
                }

                if (_lostOut == 0)
                {
                    return;
                }

                EnterRecovery((flags & AckFlags.CongestionEcho) != 0);
                break;
            case CongestionState.Loss:
                ProcessLoss(flags, duplicates, out resend);
                IdentifyLoss(duplicates, advanced);
                if (_congestionState != CongestionState.Open)
                {
                    return;
                }

                goto default;
            default:
                if (!_sackOk)
                {
                    if (advanced)
                    {
                        _sackedOut = 0;
                    }

                    AddRenoSack(duplicates);
                }

                if (_congestionState <= CongestionState.Disorder)
                {
                    TryUndoByDuplicates();
                }

                IdentifyLoss(duplicates, advanced);
                if (_lostOut == 0)
                {
                    TryOpen(flags);
                    return;
                }

                EnterRecovery((flags & AckFlags.CongestionEcho) != 0);
                break;
        }

        resend = Resend.Lost;
    }

    /// <summary>All that was out when the episode began is acknowledged; true if nothing is left to do.</summary>
    private bool EndEpisode()
    {
        switch (_congestionState)
        {
            case CongestionState.Reduced:
                // One acknowledgement beyond the edge, so that marks of the same round trip do not reduce twice.
                if (_sndUna != _highSeq)
                {
                    EndReduction();
                    _congestionState = CongestionState.Open;
                }

                return false;
            case CongestionState.Recovery:
                if (!_sackOk)
                {
                    _sackedOut = 0;
                }

                if (TryUndoRecovery())
                {
                    return true;
                }

                EndReduction();
                return false;
            default:
                return false;
        }
    }

    /// <summary>Marks what is lost by RACK, or by the count of duplicates where there is no SACK.</summary>
    private void IdentifyLoss(int duplicates, bool advanced)
    {
        if (_sackOk)
        {
            MarkLostByRack();
            return;
        }

        // NewReno: the third duplicate, or a partial acknowledgement in recovery, says that the first segment is lost.
        bool inRecovery = _congestionState == CongestionState.Recovery;
        if ((!inRecovery && duplicates > 0 && _sackedOut >= _reordering) || (inRecovery && advanced))
        {
            if (_flight.First is { } head && !head.IsLost)
            {
                if (head.Count > 1 && head.DataLength > _mssCache)
                {
                    SplitSegment(head, head.DataStart + _mssCache, _mssCache);
                }

                MarkLost(head);
            }
        }
    }

    private void MarkLost(TxSegment segment)
    {
        if (segment.IsSacked)
        {
            return;
        }

        if (!segment.IsLost)
        {
            segment.IsLost = true;
            _lostOut += segment.Count;
            _lost += segment.Count;
        }
        else if (segment.IsRetransmitted)
        {
            _lost += segment.Count;
        }

        if (segment.IsRetransmitted)
        {
            segment.IsRetransmitted = false;
            _retransOut -= segment.Count;
        }

        _flight.RemoveFromTimeOrder(segment);
    }

    private void EnterRecovery(bool byMark)
    {
        if (_sackOk)
        {
            _protocol.Statistics.SackRecovery++;
        }
        else
        {
            _protocol.Statistics.RenoRecovery++;
        }

        _priorThreshold = 0;
        BeginUndo();
        if (!InReduction)
        {
            if (!byMark)
            {
                _priorThreshold = _window.CurrentThreshold(_congestionState);
            }

            BeginReduction();
        }

        _congestionState = CongestionState.Recovery;
        _highSeq = _sndNxt;
    }

    private void BeginUndo()
    {
        _canUndo = true;
        _undoMarker = _sndUna;
        _undoRetransmits = _retransOut > 0 ? _retransOut : -1;
    }

    private void BeginReduction()
    {
        _highSeq = _sndNxt;
        _tlpIsOut = false;
        _window.ResetFraction();
        _window.PriorSize = _window.Size;
        _prrDelivered = 0;
        _prrOut = 0;
        _window.Threshold = _congestion.ThresholdAfterLoss();
        _ecnSendCwr = true;
    }

    private void EndReduction()
    {
        if (!_isRateBased && _window.Threshold < int.MaxValue && (_congestionState == CongestionState.Reduced || _canUndo))
        {
            _window.Size = _window.Threshold;
        }
    }

    private void EnterReduced()
    {
        _priorThreshold = 0;
        if (_congestionState < CongestionState.Reduced)
        {
            _canUndo = false;
            BeginReduction();
            _congestionState = CongestionState.Reduced;
        }
    }

    /// <summary>Nothing is lost: Open, or Disorder while something is SACKed; an ECN mark reduces.</summary>
    private void TryOpen(AckFlags flags)
    {
        if (_retransOut == 0)
        {
            _retransStamp = 0;
        }

        if ((flags & AckFlags.CongestionEcho) != 0)
        {
            EnterReduced();
        }

        if (_congestionState != CongestionState.Reduced)
        {
            bool ordered = _sackedOut == 0 && _lostOut == 0 && _retransOut == 0 && _flight.First is not { WasRetransmitted: true };
            CongestionState state = ordered ? CongestionState.Open : CongestionState.Disorder;
            if (_congestionState != state)
            {
                _congestionState = state;
                _highSeq = _sndNxt;
            }
        }
    }

    /// <summary>The receiver has dropped what it had SACKed (RFC 2018, 8): forget the marks, as after a time-out.</summary>
    private bool CheckReneging(bool advanced)
    {
        if (!advanced || !_sackOk || _flight.First is not { IsSacked: true })
        {
            return false;
        }

        _protocol.Statistics.SackReneging++;
        SetTimer(PendingTimer.Retransmit, _stack.Now + Math.Max(_rtt.Smoothed * Microsecond / 2, 10 * Millisecond));
        return true;
    }

    /// <summary>The time-out expired: everything is lost but what was SACKed, and the window starts again.</summary>
    private void EnterLoss()
    {
        bool fresh = _congestionState < CongestionState.Recovery;
        bool reneged = _flight.First is { IsSacked: true };
        for (TxSegment? segment = _flight.First; segment is not null; segment = segment.Next)
        {
            if (reneged && segment.IsSacked)
            {
                segment.IsSacked = false;
                _sackedOut -= segment.Count;
            }

            MarkLost(segment);
        }

        if (reneged || !_sackOk)
        {
            _sackedOut = 0;
            _highestSacked = null;
            _highestSackedSeq = null;
            _lastBlockCount = 0;
        }

        if (_congestionState <= CongestionState.Disorder || _sndUna >= _highSeq
            || (_congestionState == CongestionState.Loss && _retransmits == 0))
        {
            _priorThreshold = _window.CurrentThreshold(_congestionState);
            _window.PriorSize = _window.Size;
            _window.Threshold = _congestion.ThresholdAfterLoss();
            BeginUndo();
        }

        _window.Size = InFlight + 1;
        _window.ResetFraction();
        _congestion.OnTimeout();
        if (_congestionState <= CongestionState.Disorder && _sackedOut >= _protocol.Parameters.Reordering)
        {
            // Real reordering would not have led here.
            _reordering = Math.Min(_reordering, _protocol.Parameters.Reordering);
        }

        _congestionState = CongestionState.Loss;
        _highSeq = _sndNxt;
        _ecnSendCwr = _ecnOk;
        _frto = (fresh || _retransmits > 0) && _sackOk;
    }

    /// <summary>Acknowledgements after a time-out (RFC 5682, 3).</summary>
    private void ProcessLoss(AckFlags flags, int duplicates, out Resend resend)
    {
        resend = Resend.No;
        bool recovered = _sndUna >= _highSeq;
        bool advanced = (flags & AckFlags.UnaAdvanced) != 0;
        if (advanced && TryUndoLoss(spurious: false))
        {
            return;
        }

        if (_frto)
        {
            if ((flags & AckFlags.OriginalAcked) != 0 && TryUndoLoss(spurious: true))
            {
                return;
            }

            if (_sndNxt > _highSeq)
            {
                if ((flags & AckFlags.DataSacked) != 0 || duplicates > 0)
                {
                    // The new data did not help: the loss was real.
                    _frto = false;
                }
            }
            else if (advanced && !recovered)
            {
                _highSeq = _sndNxt;
                if (HasUnsent && _sndNxt < WindowEnd)
                {
                    resend = Resend.New;
                    return;
                }

                _frto = false;
            }
        }

        if (recovered)
        {
            TryUndoRecovery();
            return;
        }

        if (!_sackOk)
        {
            if (_sndNxt > _highSeq && duplicates > 0)
            {
                AddRenoSack(duplicates);
            }
            else if (advanced)
            {
                _sackedOut = 0;
            }
        }

        resend = Resend.Lost;
    }

    private bool MayUndo() => _canUndo && (_undoRetransmits == 0 || WasOnlyDelayed());

    /// <summary>The echo is older than the first retransmission: the original arrived (Eifel, RFC 3522).</summary>
    private bool WasOnlyDelayed() =>
        _retransStamp != 0 && _timestampsOk && _lastEcho != 0 && unchecked((int)(_lastEcho - _retransTimestamp)) < 0;

    private void UndoReduction(bool unmarkLost)
    {
        if (unmarkLost)
        {
            for (TxSegment? segment = _flight.First; segment is not null; segment = segment.Next)
            {
                if (segment.IsLost)
                {
                    segment.IsLost = false;
                    _lostOut -= segment.Count;
                    _flight.MoveToNewest(segment);
                }
            }
        }

        if (_priorThreshold != 0)
        {
            _window.Size = _congestion.WindowAfterUndo();
            if (_priorThreshold > _window.Threshold)
            {
                _window.Threshold = _priorThreshold;
                _ecnSendCwr = false;
            }
        }

        _canUndo = false;
        _rackAdvanced = true;
    }

    private bool TryUndoRecovery()
    {
        if (MayUndo())
        {
            UndoReduction(unmarkLost: false);
            if (_congestionState == CongestionState.Loss)
            {
                _protocol.Statistics.LossUndo++;
            }
            else
            {
                _protocol.Statistics.FullUndo++;
            }
        }

        if (_sndUna == _highSeq && !_sackOk)
        {
            // Without SACK, duplicates of the last retransmissions must not start another recovery.
            if (_retransOut == 0)
            {
                _retransStamp = 0;
            }

            return true;
        }

        _congestionState = CongestionState.Open;
        return false;
    }

    private bool TryUndoByDuplicates()
    {
        if (_canUndo && _undoRetransmits == 0)
        {
            _protocol.Statistics.DsackUndo++;
            UndoReduction(unmarkLost: false);
            return true;
        }

        return false;
    }

    private bool TryUndoLoss(bool spurious)
    {
        if (!spurious && !MayUndo())
        {
            return false;
        }

        UndoReduction(unmarkLost: true);
        _protocol.Statistics.LossUndo++;
        _retransmits = 0;
        _frto = false;
        if (spurious || _sackOk)
        {
            _congestionState = CongestionState.Open;
        }

        return true;
    }

    /// <summary>A partial acknowledgement whose echo shows that the original was only late.</summary>
    private bool TryUndoPartial(SeqNum priorUna)
    {
        if (!_canUndo || !WasOnlyDelayed())
        {
            return false;
        }

        NoteReordering(priorUna);
        if (_retransOut > 0)
        {
            // Wait: what is still out of the retransmissions would be taken for new.
            return true;
        }

        _retransStamp = 0;
        UndoReduction(unmarkLost: true);
        _protocol.Statistics.PartialUndo++;
        _congestionState = CongestionState.Open;
        return true;
    }

    /// <summary>After an acknowledgement: reduces the window at the rate of delivery, or lets the algorithm grow it.</summary>
    private void ControlWindow(int delivered, int lost, AckFlags flags)
    {
        if (_isRateBased)
        {
            _congestion.OnRate(_rate);
            UpdatePacing();
        }
        else if (InReduction)
        {
            ReduceWindow(delivered, lost, flags);
        }
        else if ((flags & (_reordering > _protocol.Parameters.Reordering ? AckFlags.ForwardProgress : AckFlags.DataAcked)) != 0
            && (_window.InSlowStart ? _window.Size < 2 * _window.MaxOut : _window.IsLimited))
        {
            _congestion.Grow(delivered, _stack.Now);
        }
    }

    /// <summary>PRR (RFC 6937) with the conservative bound while more is being lost.</summary>
    private void ReduceWindow(int delivered, int lost, AckFlags flags)
    {
        if (delivered <= 0 || _window.PriorSize == 0 || _isRateBased)
        {
            return;
        }

        int room = _window.Threshold - InFlight;
        _prrDelivered += delivered;
        int send;
        if (room < 0)
        {
            long share = ((long)_window.Threshold * _prrDelivered) + _window.PriorSize - 1;
            send = (int)(share / _window.PriorSize) - _prrOut;
        }
        else
        {
            send = Math.Max(_prrDelivered - _prrOut, delivered);
            if ((flags & AckFlags.UnaAdvanced) != 0 && lost == 0)
            {
                send++;
            }

            send = Math.Min(room, send);
        }

        // The first retransmission of an episode always goes.
        send = Math.Max(send, _prrOut == 0 ? 1 : 0);
        _window.Size = Math.Max(1, InFlight + send);
    }

    private void ResendAfterAck(Resend resend)
    {
        switch (resend)
        {
            case Resend.No:
                return;
            case Resend.New:
                Push(CurrentMss(), forceSmall: true);
                if (_sndNxt <= _highSeq)
                {
                    _frto = false;
                    RetransmitLost();
                }

                return;
            default:
                RetransmitLost();
                return;
        }
    }

    /// <summary>Sends again what is marked lost, as far as the window allows.</summary>
    private void RetransmitLost()
    {
        if (_packetsOut == 0 || _lostOut == 0)
        {
            return;
        }

        bool sentHead = false;
        for (TxSegment? segment = _flight.First; segment is not null; segment = segment.Next)
        {
            int quota = _window.Size - InFlight;
            if (quota <= 0 || (_pacingRate != 0 && IsPaced()))
            {
                break;
            }

            if (!segment.IsLost || segment.IsSacked || segment.IsRetransmitted)
            {
                continue;
            }

            if (!Retransmit(segment, _pacingRate == 0 ? quota : Math.Min(quota, PaceQuantum)))
            {
                break;
            }

            if (_congestionState == CongestionState.Loss)
            {
                _protocol.Statistics.SlowStartRetrans++;
            }
            else
            {
                _protocol.Statistics.FastRetrans++;
            }

            if (InReduction)
            {
                _prrOut += segment.Count;
            }

            sentHead |= segment == _flight.First;
        }

        if (sentHead && _pendingTimer != PendingTimer.Reordering)
        {
            _pendingTimer = PendingTimer.Retransmit;
            RearmRetransmit();
        }
    }

    /// <summary>How much of the window is used: one that is not filled must not grow.</summary>
    private void ValidateWindow(bool limited)
    {
        if (_sndUna >= _usageEdge || limited || (!_window.IsLimited && _packetsOut > _window.MaxOut))
        {
            _window.IsLimited = limited;
            _window.MaxOut = _packetsOut;
            _usageEdge = _sndNxt;
        }
    }

    /// <summary>After a pause nobody knows the network: the window shrinks by half for each time-out that passed (RFC 2861).</summary>
    private void RestartAfterIdle(long now)
    {
        long idle = now - _lastSent;
        long timeout = _rto * Microsecond;
        if (!_protocol.Parameters.SlowStartAfterIdle || _isRateBased || _packetsOut > 0 || _lastSent == 0 || idle <= timeout)
        {
            return;
        }

        _window.Threshold = _window.CurrentThreshold(_congestionState);
        int restart = Math.Min(CongestionWindowStart, _window.Size);
        int size = _window.Size;
        while ((idle -= timeout) > 0 && size > restart)
        {
            size >>= 1;
        }

        _window.Size = Math.Max(size, restart);
        _window.ResetFraction();
    }
}
