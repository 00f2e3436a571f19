using System;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Segments that go out (RFC 9293, 3.8).</summary>
internal sealed partial class TcpEndpoint
{
    /// <summary>Payload up to this size is copied behind the header instead of shared: the receiver then can put small ones together.</summary>
    private const int CopyLimit = 512;

    /// <summary>The most that one packet may carry, headers included, for devices that cut it.</summary>
    private const int MaximumPacket = 65535;

    // The oldest byte that is not acknowledged; the next to be sent; the peer's window, which segment set it, and its largest.
    private SeqNum _iss;
    private SeqNum _sndUna;
    private SeqNum _sndNxt;
    private int _sndWnd;
    private SeqNum _sndWl1;
    private int _maxWindow;
    private byte _sndScale;

    // End of the last small segment sent (Minshall's variant of Nagle).
    private SeqNum _sndSmall;

    // End of the last write: the segment that has it is pushed.
    private SeqNum _pushEnd;

    private SeqNum _sndUp;
    private bool _sendsUrgent;
    private bool _finQueued;

    // Negotiated.
    private bool _sackOk;
    private bool _timestampsOk;
    private bool _scaleOk;
    private uint _timestampOffset;
    private uint _tsRecent;
    private long _tsRecentAt;

    // ECN (RFC 3168): agreed; we must say CWR; we must echo.
    private bool _ecnOk;
    private bool _ecnSendCwr;
    private bool _ecnEcho;

    private SeqNum _duplicateStart;
    private SeqNum _duplicateEnd;
    private bool _reportDuplicate;

    /// <summary>Behind everything that was written, and the FIN.</summary>
    private SeqNum WriteEnd => _send.End + (_finQueued ? 1 : 0);

    private bool HasUnsent => _sndNxt < WriteEnd;

    private SeqNum WindowEnd => _sndUna + _sndWnd;

    private uint TimestampNow => unchecked((uint)(_stack.Now / Millisecond) + _timestampOffset);

    /// <summary>Sends what the windows and Nagle allow; <paramref name="forceSmall"/> is for data that must not wait (a FIN, a push, a lost cork).</summary>
    /// <returns>True if something is unsent and nothing is out, so that only a timer will go on.</returns>
    private bool Push(int mss, bool forceSmall = false, bool one = false)
    {
        int sentPackets = 0;
        bool windowLimited = false, paced = false;
        RestartAfterIdle(_stack.Now);
        while (HasUnsent && CanSendData)
        {
            int quota = one ? 1 : _window.Size - InFlight;
            if (quota <= 0)
            {
                windowLimited = true;
                break;
            }

            if (_pacingRate != 0 && !one)
            {
                if (IsPaced())
                {
                    paced = true;
                    break;
                }

                quota = Math.Min(quota, PaceQuantum);
            }

            int length = NextLength(mss, quota, forceSmall || one);
            if (length < 0)
            {
                break;
            }

            if (!TransmitNew(length, mss))
            {
                break;
            }

            sentPackets += SegmentCount(length, mss);
            if (one)
            {
                break;
            }
        }

        if (sentPackets > 0)
        {
            if (InReduction)
            {
                _prrOut += sentPackets;
            }

            if (!one)
            {
                ScheduleLossProbe(advancing: false);
            }

            windowLimited |= InFlight >= _window.Size;
            ValidateWindow(windowLimited);
            return false;
        }

        if (_packetsOut == 0 && HasUnsent && !paced)
        {
            ArmWindowProbe();
            return true;
        }

        return false;
    }

    /// <summary>Data of the next segment, 0 for a FIN alone, or -1 if nothing may go.</summary>
    private int NextLength(int mss, int quota, bool forceSmall)
    {
        int left = _send.End - _sndNxt;
        int room = WindowEnd - _sndNxt;
        if (room <= 0)
        {
            return -1;
        }

        if (left <= mss)
        {
            // All of it must fit; a shorter piece would be a silly window's.
            if (left + (_finQueued ? 1 : 0) > room && !(left > 0 && left <= room && _finQueued))
            {
                return -1;
            }

            bool mayGo = forceSmall || left == mss || _finQueued || (_sendsUrgent && _sndUp > _sndNxt) || !HoldsSmall();
            return mayGo ? left : -1;
        }

        if (room < mss)
        {
            return -1;
        }

        int most = (int)Math.Min((long)quota * mss, MaximumData(mss));
        int length = Math.Min(Math.Min(left, room), most);
        int partial = length % mss;
        if (partial != 0 && (length < left || (!forceSmall && !_finQueued && HoldsSmall())))
        {
            length -= partial;
        }

        return length;
    }

    /// <summary>Nagle, Minshall's variant, and cork: a small segment waits (RFC 9293, 3.7.4).</summary>
    private bool HoldsSmall()
    {
        if (Settings.Cork || _moreToCome)
        {
            return true;
        }

        return !Settings.NoDelay && _packetsOut > 0 && _sndSmall > _sndUna && _sndSmall <= _sndNxt;
    }

    /// <summary>The most data that one packet may carry on this route, in whole segments.</summary>
    private int MaximumData(int mss)
    {
        int packet = Math.Min(_route.MaxGsoPacket, MaximumPacket);
        int data = packet - TcpHeader.MaxSize - TcpHeader.IpHeaderSize(RemoteAddress);
        return data <= mss ? mss : data / mss * mss;
    }

    private bool TransmitNew(int length, int mss)
    {
        SeqNum seq = _sndNxt;
        bool last = seq + length == _send.End;
        bool fin = last && _finQueued && seq + length + 1 <= SeqNum.Max(WindowEnd, seq + 1);
        TcpFlags flags = TcpFlags.Ack | (fin ? TcpFlags.Fin : 0);
        if (length > 0 && (last || _pushEnd.IsIn(seq + 1, seq + length + 1)))
        {
            flags |= TcpFlags.Psh;
        }

        if (!Emit(seq, length, flags, mss, isNew: true))
        {
            return false;
        }

        TxSegment segment = _flight.Add(seq, seq + length + (fin ? 1 : 0));
        segment.IsFin = fin;
        segment.Count = SegmentCount(length, mss);
        NoteSent(segment);
        if (length % mss != 0)
        {
            _sndSmall = segment.End;
        }

        bool first = _packetsOut == 0;
        _sndNxt = segment.End;
        _packetsOut += segment.Count;
        if (first || _pendingTimer == PendingTimer.LossProbe)
        {
            RearmRetransmit();
        }

        OnDataSent(first);
        return true;
    }

    /// <summary>Puts the time and the delivery state on a segment that goes out.</summary>
    private void NoteSent(TxSegment segment)
    {
        long now = _stack.Now;
        if (_packetsOut == 0)
        {
            _firstSentAt = _deliveredAt = now;
        }

        segment.SentAt = now;
        segment.FirstSentAt = _firstSentAt;
        segment.DeliveredAt = _deliveredAt;
        segment.Delivered = _delivered;
        segment.IsAppLimited = _appLimited != 0;
    }

    private void OnDataSent(bool first)
    {
        long now = _stack.Now;
        if (first)
        {
            _congestion.WasAppLimited = _appLimited != 0;
            _congestion.OnRestart(_lastSent == 0 ? 0 : now - _lastSent, now);
        }

        // A reply: acknowledgements ride on our data.
        if (now - _lastReceived < _ackDelay)
        {
            _pingPong = true;
        }

        _lastSent = now;
    }

    /// <summary>Sends a segment again, the first <paramref name="maximum"/> packets of it; false if it cannot go now.</summary>
    private bool Retransmit(TxSegment segment, int maximum)
    {
        int mss = CurrentMss();
        if (segment.Seq < _sndUna && !segment.IsSyn)
        {
            TrimAcked(segment);
        }

        // The peer has shrunk its window: only the oldest may go, as a probe.
        if (segment.Seq >= WindowEnd && segment.Seq != _sndUna)
        {
            return false;
        }

        int limit = Math.Max(mss * Math.Max(maximum, 1), mss);
        if (WindowEnd > segment.Seq)
        {
            limit = Math.Min(limit, Math.Max(mss, WindowEnd - segment.Seq));
        }

        limit = Math.Min(limit, MaximumData(mss));
        if (segment.DataLength > limit)
        {
            SplitSegment(segment, segment.DataStart + limit, mss);
        }

        TcpFlags flags = TcpFlags.Ack | (segment.IsFin ? TcpFlags.Fin : 0);
        if (segment.IsSyn)
        {
            flags = TcpFlags.Syn | (_state == TcpState.SynSent ? 0 : TcpFlags.Ack);
        }
        else if (segment.DataLength > 0)
        {
            flags |= TcpFlags.Psh;
        }

        int count = SegmentCount(segment.DataLength, mss);
        if (count != segment.Count)
        {
            AdjustCount(segment, count - segment.Count);
        }

        if (!Emit(segment.Seq, segment.DataLength, flags, mss, isNew: false))
        {
            return false;
        }

        _protocol.Statistics.RetransSegs += segment.Count;
        _totalRetransmits += segment.Count;
        if (!segment.IsRetransmitted)
        {
            segment.IsRetransmitted = true;
            _retransOut += segment.Count;
        }

        segment.WasRetransmitted = true;
        if (_retransStamp == 0)
        {
            _retransStamp = _stack.Now;
            _retransTimestamp = TimestampNow;
        }

        if (_undoRetransmits < 0)
        {
            _undoRetransmits = 0;
        }

        _undoRetransmits += segment.Count;
        NoteSent(segment);
        _flight.MoveToNewest(segment);
        return true;
    }

    private static int SegmentCount(int length, int mss) => length <= mss ? 1 : (length + mss - 1) / mss;

    /// <summary>An acknowledgement and nothing else.</summary>
    private void SendAck()
    {
        if (_state is TcpState.Closed or TcpState.Listen)
        {
            return;
        }

        if (!Emit(AcceptableSequence(), 0, TcpFlags.Ack, 1, isNew: false))
        {
            // No memory for a header: try again soon.
            _ackPending = true;
            _stack.Schedule(_ackTimer, _stack.Now + DelayMaximum);
        }
    }

    private void SendReset()
    {
        Emit(AcceptableSequence(), 0, TcpFlags.Rst | TcpFlags.Ack, 1, isNew: false);
        _protocol.Statistics.OutRsts++;
    }

    /// <summary>A sequence number that the peer surely takes: within its window even if it has shrunk it.</summary>
    private SeqNum AcceptableSequence() => _sndNxt <= WindowEnd || _sndWnd == 0 ? _sndNxt : SeqNum.Max(WindowEnd, _sndUna);

    /// <summary>Builds a packet and hands it to IP.</summary>
    private bool Emit(SeqNum seq, int length, TcpFlags flags, int mss, bool isNew)
    {
        if (Reroute() != NetError.None)
        {
            // The segment counts as sent and lost on the way: the timers go on, and a route may come back.
            return true;
        }

        bool isSyn = (flags & TcpFlags.Syn) != 0;
        PacketBuffer? packet = BuildPacket(isSyn ? seq + 1 : seq, length);
        if (packet is null)
        {
            return false;
        }

        TcpOptions options = default;
        if (isSyn)
        {
            FillSynOptions(ref options, (flags & TcpFlags.Ack) != 0);
        }
        else
        {
            FillOptions(ref options);
        }

        Span<byte> optionBytes = stackalloc byte[TcpHeader.MaxOptions];
        int optionLength = options.Write(optionBytes);
        TcpHeader header = new()
        {
            Source = LocalPort,
            Destination = RemotePort,
            Sequence = seq.Value,
            Length = TcpHeader.Size + optionLength,
            Flags = flags,
        };
        if ((flags & TcpFlags.Ack) != 0)
        {
            header.Acknowledgment = _rcvNxt.Value;
            header.Window = isSyn ? SynWindow() : AnnounceWindow();
        }
        else
        {
            header.Window = SynWindow();
        }

        if (_sendsUrgent && _sndUp > seq && (flags & TcpFlags.Rst) == 0)
        {
            header.Urgent = (ushort)Math.Min(_sndUp - seq, 0xffff);
            header.Flags |= TcpFlags.Urg;
        }

        bool isEct = MarkEcn(ref header, isNew && length > 0, isSyn);
        int total = header.Length + length;
        header.Checksum = Checksum.Fold(Checksum.PseudoHeader(LocalAddress, RemoteAddress, TcpHeader.Protocol, total));
        Span<byte> bytes = packet.Prepend(header.Length);
        header.Write(bytes);
        optionBytes[..optionLength].CopyTo(bytes[TcpHeader.Size..]);
        packet.Checksum = ChecksumState.Partial;
        packet.ChecksumStart = packet.Position;
        packet.ChecksumOffset = TcpHeader.ChecksumField;
        packet.TransportStart = packet.Position;
        packet.Mark = Settings.Mark;
        packet.Owner = Settings.Owner;
        packet.Priority = Settings.Priority;
        if (length > mss)
        {
            packet.Gso = RemoteAddress.IsV4 ? GsoType.TcpV4 : GsoType.TcpV6;
            packet.GsoSize = mss;
        }

        if ((flags & TcpFlags.Ack) != 0)
        {
            OnAckSent();
        }

        int count = length > mss ? SegmentCount(length, mss) : 1;
        _segmentsOut += count;
        if (length > 0)
        {
            _dataSegmentsOut += count;
            _bytesSent += length;
            if (_pacingRate != 0)
            {
                NotePaced(length + (count * (header.Length + IpHeaderSize)));
            }
        }

        _protocol.Statistics.OutSegs += count;
        _stack.Ip.Send(_route, packet, IpOptions(isEct));
        return true;
    }

    /// <summary>A packet with the payload and room for all headers; null at the pool's limit.</summary>
    private PacketBuffer? BuildPacket(SeqNum start, int length)
    {
        const int Room = PacketBuffer.Headroom + TcpHeader.MaxSize;
        if (length == 0)
        {
            return _stack.Pool.Allocate(Room, 0);
        }

        if (length > CopyLimit)
        {
            PacketBuffer? shared = _stack.Pool.TryAllocate(Room, 0);
            if (shared is null || _send.AddTo(shared, start, length) == length)
            {
                return shared;
            }

            // Too many small pieces: one copy instead.
            shared.Release();
        }

        PacketBuffer? packet = _stack.Pool.TryAllocate(Room, length);
        if (packet is not null)
        {
            _send.CopyTo(start, packet.Append(length));
        }

        return packet;
    }

    private void FillOptions(ref TcpOptions options)
    {
        if (_timestampsOk)
        {
            options.HasTimestamps = true;
            options.TimestampValue = TimestampNow;
            options.TimestampEcho = _tsRecent;
        }

        if (_sackOk && (_reportDuplicate || !_ahead.IsEmpty))
        {
            int maximum = _timestampsOk ? 3 : TcpOptions.MaxSackBlocks;
            if (_reportDuplicate)
            {
                options.Blocks[options.SackCount++] = new SackBlock(_duplicateStart.Value, _duplicateEnd.Value);
                _reportDuplicate = false;
            }

            _ahead.WriteBlocks(ref options, maximum);
        }
    }

    private bool MarkEcn(ref TcpHeader header, bool isNewData, bool isSyn)
    {
        if (isSyn || !_ecnOk)
        {
            if (isSyn && (header.Flags & TcpFlags.Ack) == 0 && _protocol.Parameters.Ecn == 1)
            {
                header.Flags |= TcpFlags.Ece | TcpFlags.Cwr;
            }
            else if (isSyn && _ecnOk)
            {
                header.Flags |= TcpFlags.Ece;
            }

            return false;
        }

        if (_ecnEcho)
        {
            header.Flags |= TcpFlags.Ece;
        }

        // Retransmissions and pure acknowledgements are not ECN-capable (RFC 3168, 6.1.4 and 6.1.5).
        if (isNewData && _ecnSendCwr)
        {
            _ecnSendCwr = false;
            header.Flags |= TcpFlags.Cwr;
        }

        return isNewData;
    }
}
