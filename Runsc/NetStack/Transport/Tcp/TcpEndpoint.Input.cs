using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Segments of a connection (RFC 9293, 3.10.7), with the defences of RFC 5961 and RFC 7323.</summary>
internal sealed partial class TcpEndpoint
{
    // Answers to segments that are out of window: one in a while.
    private long _lastInvalidAnswer = long.MinValue / 2;

    /// <summary>A segment for this endpoint; takes the packet.</summary>
    public override void Receive(ref TcpSegment segment)
    {
        switch (_state)
        {
            case TcpState.Listen:
                ReceiveListen(ref segment);
                return;
            case TcpState.SynSent:
                ReceiveSynSent(ref segment);
                Recharge();
                return;
            case TcpState.Closed:
                segment.Packet.Release();
                return;
        }

        _segmentsIn += segment.Count;
        if (segment.Length > 0)
        {
            _dataSegmentsIn += segment.Count;
        }

        ReceiveSynchronized(ref segment);
        Recharge();
    }

    private void ReceiveSynchronized(ref TcpSegment segment)
    {
        if (!Validate(ref segment))
        {
            segment.Packet.Release();
            return;
        }

        if (!segment.IsAck)
        {
            segment.Packet.Release();
            return;
        }

        if (_state == TcpState.SynReceived && !FinishHandshake(ref segment))
        {
            segment.Packet.Release();
            return;
        }

        if (!ProcessAck(ref segment))
        {
            segment.Packet.Release();
            return;
        }

        if (!AdvanceClosing(ref segment))
        {
            // Closed, or TIME-WAIT took over.
            segment.Packet.Release();
            return;
        }

        ProcessUrgent(segment);
        bool acked = false;
        if (segment.Length > 0 || segment.IsFin)
        {
            switch (_state)
            {
                case TcpState.Established:
                case TcpState.FinWait1:
                case TcpState.FinWait2:
                    // Nobody reads any more: the peer must learn that its data are lost (RFC 9293, 3.10.4).
                    if (_orphaned && segment.Length > 0 && segment.End - (segment.IsFin ? 1 : 0) > _rcvNxt)
                    {
                        _protocol.Statistics.AbortOnData++;
                        segment.Packet.Release();
                        AbortLocked();
                        return;
                    }

                    QueueData(ref segment);
                    acked = true;
                    break;
                default:
                    // Everything was received: a repetition is acknowledged.
                    _ackPending = true;
                    _ackNow = true;
                    segment.Packet.Release();
                    break;
            }
        }
        else
        {
            segment.Packet.Release();
        }

        if (_state == TcpState.Closed)
        {
            return;
        }

        if (HasUnsent)
        {
            Push(CurrentMss());
        }

        if (acked || _ackPending)
        {
            CheckAck();
        }

        RaiseWritable();
    }

    /// <summary>Sequence number, timestamps, RST and SYN; false if the segment goes no further. The packet stays the caller's.</summary>
    private bool Validate(ref TcpSegment segment)
    {
        long now = _stack.Now;
        if (_timestampsOk && segment.Options.HasTimestamps && IsOldTimestamp(segment, now))
        {
            if (!segment.IsRst)
            {
                _protocol.Statistics.PawsEstab++;
                if (segment.IsSyn)
                {
                    SendChallenge();
                    return false;
                }

                AnswerInvalid(segment);
                return false;
            }
        }

        if (!IsInWindow(segment.Seq, segment.End))
        {
            if (!segment.IsRst)
            {
                if (segment.IsSyn)
                {
                    SendChallenge();
                }
                else
                {
                    AnswerInvalid(segment);
                }
            }
            else if (IsResetBehindFin(segment))
            {
                OnReset();
            }

            return false;
        }

        if (segment.IsRst)
        {
            // RFC 5961, 3.2: exactly the next byte, or the end of what was received beyond gaps; anything else must be confirmed.
            if (segment.Seq == _rcvNxt || IsResetBehindFin(segment) || (_sackOk && !_ahead.IsEmpty && segment.Seq == _ahead.End))
            {
                OnReset();
            }
            else
            {
                SendChallenge();
            }

            return false;
        }

        if (segment.IsSyn)
        {
            // A simultaneous opening's SYN-ACK is welcome; else RFC 5961, 4.
            if (_state == TcpState.SynReceived && segment.IsAck && segment.Seq == _irs && segment.Length == 0)
            {
                segment.Flags &= ~TcpFlags.Syn;
                segment.Seq += 1;
                return true;
            }

            SendChallenge();
            return false;
        }

        return true;
    }

    private bool IsInWindow(SeqNum seq, SeqNum end) => end >= _rcvAcked && seq <= _rcvNxt + CurrentReceiveWindow;

    /// <summary>A reset by a peer that has sent its FIN and counts it not.</summary>
    private bool IsResetBehindFin(in TcpSegment segment) =>
        segment.Seq == _rcvNxt - 1 && _state is TcpState.CloseWait or TcpState.LastAck or TcpState.Closing;

    /// <summary>PAWS (RFC 7323, 5): older than what was seen, unless that is ancient or this is a pure duplicate acknowledgement.</summary>
    private bool IsOldTimestamp(in TcpSegment segment, long now)
    {
        const long Ancient = 24L * 24 * 3600 * Second;
        int difference = unchecked((int)(segment.Options.TimestampValue - _tsRecent));
        if (difference >= 0 || now - _tsRecentAt > Ancient)
        {
            return false;
        }

        // Reordered acknowledgements with the same edge are no danger.
        bool harmless = segment.IsAck && segment.Length == 0 && !segment.IsFin && !segment.IsSyn && segment.Seq == _rcvNxt && segment.Ack == _sndUna
            && -(long)difference <= _rto * 1024 / 1000 / 1000 + 1;
        return !harmless;
    }

    /// <summary>Old data or data beyond the window: the acknowledgement tells the peer where we are; a repetition of data is reported by D-SACK.</summary>
    private void AnswerInvalid(in TcpSegment segment)
    {
        if (segment.Length > 0 && segment.Seq < _rcvNxt)
        {
            EnterQuickAck(MaximumQuickAcks);
            if (_sackOk && _protocol.Parameters.DuplicateSack)
            {
                _protocol.Statistics.DsackOldSent++;
                ReportDuplicate(segment.Seq, SeqNum.Min(segment.End, _rcvNxt));
            }
        }
        else
        {
            long now = _stack.Now;
            if (segment.Length == 0 && now - _lastInvalidAnswer < _protocol.Parameters.InvalidRateLimit * Millisecond)
            {
                return;
            }

            _lastInvalidAnswer = now;
        }

        SendAck();
    }

    /// <summary>An acknowledgement that a genuine peer answers with the right reset (RFC 5961): at a rate for the connection and one for all.</summary>
    private void SendChallenge()
    {
        long now = _stack.Now;
        if (now - _lastInvalidAnswer < _protocol.Parameters.InvalidRateLimit * Millisecond || !_protocol.MayChallenge())
        {
            return;
        }

        _lastInvalidAnswer = now;
        _protocol.Statistics.ChallengeAck++;
        SendAck();
    }

    private void OnReset()
    {
        NetError error = _state switch
        {
            TcpState.CloseWait => NetError.BrokenPipe,
            TcpState.SynReceived => NetError.ConnectionRefused,
            _ => NetError.ConnectionReset,
        };
        Fail(error);
    }

    /// <summary>SYN-RECEIVED: our SYN must be acknowledged; false after a reset was sent for a wrong one.</summary>
    private bool FinishHandshake(ref TcpSegment segment)
    {
        if (segment.Ack <= _sndUna || segment.Ack > _sndNxt)
        {
            _protocol.ReplyReset(segment);
            return false;
        }

        bool wasFastOpen = _isFastOpen;
        if (_synAckAt != 0)
        {
            TakeHandshakeSample((_stack.Now - _synAckAt) / Microsecond, segment.Ack);
        }

        if (_flight.First is { IsSyn: true })
        {
            AcknowledgeSyn(_iss + 1);
        }
        else
        {
            _sndUna = _iss + 1;
        }

        if (wasFastOpen)
        {
            EndFastOpen(failed: false);
        }

        _sndWnd = segment.Window << _sndScale;
        _sndWl1 = segment.Seq;
        _maxWindow = _sndWnd;
        SyncMss();
        EnterEstablished();
        return true;
    }

    /// <summary>What an acknowledgement of our FIN changes; false if the connection is over.</summary>
    private bool AdvanceClosing(ref TcpSegment segment)
    {
        bool finAcked = _finQueued && _sndUna == WriteEnd && _sndNxt == WriteEnd;
        switch (_state)
        {
            case TcpState.FinWait1 when finAcked:
                SetState(TcpState.FinWait2);
                Notifier.Raise(NetEvents.Writable);
                if (_orphaned)
                {
                    // Data that nobody will read: reset at once.
                    if (segment.Length > 0 && segment.End - (segment.IsFin ? 1 : 0) > _rcvNxt)
                    {
                        _protocol.Statistics.AbortOnData++;
                        AbortLocked();
                        return false;
                    }

                    StartFinWait2();
                    return _state != TcpState.Closed;
                }

                return true;
            case TcpState.Closing when finAcked:
                EnterTimeWait();
                return false;
            case TcpState.LastAck when finAcked:
                Finish();
                return false;
            case TcpState.Closed:
                return false;
            default:
                return true;
        }
    }

    /// <summary>Gives up a connection that was never in anyone's hands.</summary>
    internal void Discard()
    {
        _orphaned = true;
        Finish();
    }
}
