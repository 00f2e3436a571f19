using Runsc.NetStack.Buffers;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Data that come: in order, out of order, urgent, and the end of the stream.</summary>
internal sealed partial class TcpEndpoint
{
    private UrgentState _urgent;
    private byte _urgentByte;
    private SeqNum _urgentSeq;

    // The peer's FIN came, perhaps ahead of data: its sequence number.
    private bool _finKnown;
    private SeqNum _finSeq;

    /// <summary>Queues the payload; takes the packet.</summary>
    private void QueueData(ref TcpSegment segment)
    {
        PacketBuffer packet = segment.Packet;
        SeqNum end = segment.Seq + segment.Length;
        if (segment.IsFin && (!_finKnown || end == _finSeq))
        {
            _finKnown = true;
            _finSeq = end;
        }

        if ((segment.Flags & TcpFlags.Psh) != 0)
        {
            _sawPush = true;
        }

        if (segment.Length == 0)
        {
            packet.Release();
            if (_finKnown && _finSeq == _rcvNxt)
            {
                OnFin();
            }
            else
            {
                // A FIN again, or ahead of data.
                _ackPending = true;
                _ackNow = true;
            }

            return;
        }

        SeqNum windowEnd = _rcvNxt + CurrentReceiveWindow;
        if (segment.Seq <= _rcvNxt && end > _rcvNxt)
        {
            if (CurrentReceiveWindow == 0)
            {
                // A probe of the closed window.
                _ackPending = true;
                _ackNow = true;
                packet.Release();
                return;
            }

            QueueInOrder(ref segment, end);
            return;
        }

        if (end <= _rcvNxt)
        {
            // All of it is here: our acknowledgement was lost, or theirs was too early.
            _protocol.Statistics.DsackOldSent++;
            ReportDuplicate(segment.Seq, end);
            EnterQuickAck(MaximumQuickAcks);
            _ackPending = true;
            _ackNow = true;
            packet.Release();
            return;
        }

        if (segment.Seq >= windowEnd)
        {
            _ackPending = true;
            _ackNow = true;
            packet.Release();
            return;
        }

        QueueAhead(ref segment);
    }

    private void QueueInOrder(ref TcpSegment segment, SeqNum end)
    {
        PacketBuffer packet = segment.Packet;
        if (segment.Seq < _rcvNxt)
        {
            ReportDuplicate(segment.Seq, _rcvNxt);
            _protocol.Statistics.DsackOldSent++;
            packet.TrimFront(_rcvNxt - segment.Seq);
        }

        if (!MakeRoom(packet.Footprint))
        {
            _protocol.Statistics.RcvPruned++;
            _ackPending = true;
            _ackNow = true;
            packet.Release();
            return;
        }

        // The packet may be merged into the last one, so what is needed of it is read first.
        OnDataReceived(segment);
        bool hadGap = !_ahead.IsEmpty;
        _bytesReceived += packet.Length;
        _rcvNxt = end;
        _receive.Append(packet);
        if (hadGap)
        {
            SeqNum before = _rcvNxt;
            _rcvNxt = _ahead.TakeInOrder(_rcvNxt, _receive);
            _bytesReceived += _rcvNxt - before;
            // A gap was filled: the sender should know at once (RFC 5681, 4.2).
            _ackNow = true;
        }

        if (_finKnown && _finSeq == _rcvNxt)
        {
            OnFin();
        }

        if (IsReadableLocked())
        {
            Notifier.Raise(NetEvents.Readable);
        }
    }

    private void QueueAhead(ref TcpSegment segment)
    {
        PacketBuffer packet = segment.Packet;
        _ackPending = true;
        _ackNow = true;
        NoteCongestionMark(segment);
        if (!MakeRoom(packet.Footprint))
        {
            _protocol.Statistics.OfoDrop++;
            packet.Release();
            return;
        }

        _protocol.Statistics.OfoQueue++;
        _lastReceived = _stack.Now;
        MeasureReceiveMss(segment);
        if (_ackDelay == 0)
        {
            RaiseQuickAcks(MaximumQuickAcks);
            _ackDelay = DelayMinimum;
        }

        _ahead.Insert(packet, segment.Seq, out SackBlock duplicate);
        if (duplicate.Start != duplicate.End)
        {
            _protocol.Statistics.DsackOfoSent++;
            ReportDuplicate(new SeqNum(duplicate.Start), new SeqNum(duplicate.End));
        }
    }

    /// <summary>Room for a packet: what is beyond gaps goes first. False if there is none.</summary>
    private bool MakeRoom(int footprint)
    {
        // A packet that is in the announced window is taken even if it costs more memory than it was thought to, up to twice the buffer.
        long limit = 2L * Settings.ReceiveBuffer;
        if (_receive.Footprint + (long)_ahead.Footprint + footprint <= limit && !_protocol.IsOutOfMemory)
        {
            return true;
        }

        while (_ahead.DropLast())
        {
            _protocol.Statistics.OfoPruned++;
            if (_receive.Footprint + (long)_ahead.Footprint + footprint <= limit && !_protocol.IsOutOfMemory)
            {
                return true;
            }
        }

        // The one packet that an empty queue lacks is let in whatever the total is: else nobody could free anything.
        return _receive.Length == 0 && _receive.Footprint + (long)footprint <= limit;
    }

    private void ReportDuplicate(SeqNum start, SeqNum end)
    {
        if (_sackOk && _protocol.Parameters.DuplicateSack && !_reportDuplicate)
        {
            _reportDuplicate = true;
            _duplicateStart = start;
            _duplicateEnd = end;
        }
    }

    /// <summary>The peer's FIN is next in order (RFC 9293, 3.10.7.4, eighth).</summary>
    private void OnFin()
    {
        _rcvNxt += 1;
        _receiveShut = true;
        _ackPending = true;
        switch (_state)
        {
            case TcpState.SynReceived:
            case TcpState.Established:
                SetState(TcpState.CloseWait);
                _pingPong = true;
                break;
            case TcpState.FinWait1:
                // Both have sent a FIN and ours is not acknowledged.
                SetState(TcpState.Closing);
                SendAck();
                break;
            case TcpState.FinWait2:
                SendAck();
                EnterTimeWait();
                return;
        }

        _ahead.Clear();
        Notifier.Raise(NetEvents.Readable | NetEvents.ReadHangup | (_sendShut ? NetEvents.Hangup : NetEvents.None));
        if (_sendShut && _state == TcpState.CloseWait)
        {
            _ackNow = true;
        }
    }

    /// <summary>The urgent pointer (RFC 9293, 3.8.5), as BSD and Linux read it: it points behind the urgent byte.</summary>
    private void ProcessUrgent(in TcpSegment segment)
    {
        if ((segment.Flags & TcpFlags.Urg) != 0 && !_receiveShut)
        {
            AnnounceUrgent(segment);
        }

        if (_urgent == UrgentState.NotYet && _urgentSeq.IsIn(segment.Seq, segment.Seq + segment.Length))
        {
            System.Span<byte> value = stackalloc byte[1];
            if (segment.Packet.CopyTo(_urgentSeq - segment.Seq, value) == 1)
            {
                _urgentByte = value[0];
                _urgent = UrgentState.Valid;
                Notifier.Raise(NetEvents.Urgent | NetEvents.Readable);
            }
        }
    }

    private void AnnounceUrgent(in TcpSegment segment)
    {
        SeqNum seq = segment.Seq + segment.Urgent - (segment.Urgent != 0 ? 1 : 0);
        if (_copied > seq || seq < _rcvNxt || (_urgent != UrgentState.None && seq <= _urgentSeq))
        {
            return;
        }

        // The signal SIGURG is the socket's affair.
        Notifier.Raise(NetEvents.Urgent);
        if (_urgentSeq == _copied && _urgent != UrgentState.None && !Settings.OobInline && _copied != _rcvNxt)
        {
            // A second mark while the reader is at the first: the first byte becomes part of the stream that is passed over.
            ConsumeUrgent();
        }

        _urgent = UrgentState.NotYet;
        _urgentSeq = seq;
    }

    private void ConsumeUrgent()
    {
        if (_receive.Length > 0 && !_reading)
        {
            _receive.Consume(1);
            _copied += 1;
        }
    }

    /// <summary>A router's mark must be echoed until the peer says it has heard (RFC 3168, 6.1.3).</summary>
    private void NoteCongestionMark(in TcpSegment segment)
    {
        if (!_ecnOk)
        {
            return;
        }

        if ((segment.Flags & TcpFlags.Cwr) != 0)
        {
            _ecnEcho = false;
        }

        if (segment.IsCongestionMarked)
        {
            if (!_ecnEcho)
            {
                EnterQuickAck(2);
            }

            _ecnEcho = true;
        }
    }
}
