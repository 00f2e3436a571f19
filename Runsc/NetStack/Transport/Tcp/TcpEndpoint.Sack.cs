using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>The sender's side of SACK (RFC 2018) and D-SACK (RFC 2883).</summary>
internal sealed partial class TcpEndpoint
{
    // The segment with the highest SACKed byte if it is still known, and the sequence number of that segment.
    private TxSegment? _highestSacked;
    private SeqNum? _highestSackedSeq;

    // Of the acknowledgement that is being processed: when the newest segment that it SACKs was sent, or 0.
    private long _sackSentAt;

    // The blocks of the last acknowledgement: what did not change is not looked at again.
    private TcpOptions.SackBlocks _lastBlocks;
    private int _lastBlockCount;

    private long _dsacksReceived;

    /// <summary>Marks what the blocks say the receiver has.</summary>
    private AckFlags ProcessSack(in TcpSegment packet, SeqNum priorUna)
    {
        AckFlags flags = AckFlags.None;
        int count = packet.Options.SackCount;
        SackBlock first = packet.Options.Blocks[0];
        int start = 0;
        if (IsDuplicateSack(packet, first, count))
        {
            start = 1;
            flags |= NoteDuplicateSack(first, priorUna);
        }

        SeqNum lowestReordered = _sndNxt;
        bool reordered = false;
        for (int i = start; i < count; i++)
        {
            SackBlock block = packet.Options.Blocks[i];
            SeqNum from = new(block.Start);
            SeqNum to = new(block.End);
            if (to <= from || to > _sndNxt || from < _sndUna || to <= packet.Ack || WasSeen(block))
            {
                continue;
            }

            flags |= MarkSacked(from, to, ref lowestReordered, ref reordered);
        }

        _lastBlocks = packet.Options.Blocks;
        _lastBlockCount = count;
        if (reordered && _congestionState != CongestionState.Loss && (flags & AckFlags.Duplicate) == 0)
        {
            NoteReordering(lowestReordered);
        }

        return flags;
    }

    private bool WasSeen(in SackBlock block)
    {
        for (int i = 0; i < _lastBlockCount; i++)
        {
            if (_lastBlocks[i] == block)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsDuplicateSack(in TcpSegment packet, in SackBlock first, int count)
    {
        if (new SeqNum(first.Start) < packet.Ack)
        {
            return true;
        }

        return count > 1
            && new SeqNum(first.End) <= new SeqNum(packet.Options.Blocks[1].End)
            && new SeqNum(first.Start) >= new SeqNum(packet.Options.Blocks[1].Start);
    }

    /// <summary>Something was received twice: a retransmission was not needed, or the network duplicates.</summary>
    private AckFlags NoteDuplicateSack(in SackBlock block, SeqNum priorUna)
    {
        SeqNum start = new(block.Start);
        SeqNum end = new(block.End);
        if (end <= start || end > _sndNxt || start < _sndUna - Math.Max(_maxWindow, 65536))
        {
            return AckFlags.None;
        }

        _protocol.Statistics.DsackRecv++;
        _dsacksReceived++;
        AckFlags flags = AckFlags.Duplicate;
        _rackDuplicateSeen = true;
        if (_tlpIsOut && _tlpRetransmitted && end == _tlpHighSeq)
        {
            flags |= AckFlags.ProbeDuplicate;
        }

        if (_canUndo && _undoRetransmits > 0 && end > _undoMarker && end <= SeqNum.Max(priorUna, _sndUna) + Math.Max(0, _sndNxt - priorUna))
        {
            int packets = Math.Max(1, (end - start + Math.Max(_mssCache, 1) - 1) / Math.Max(_mssCache, 1));
            _undoRetransmits = Math.Max(0, _undoRetransmits - packets);
        }

        return flags;
    }

    private AckFlags MarkSacked(SeqNum from, SeqNum to, ref SeqNum lowest, ref bool reordered)
    {
        AckFlags flags = AckFlags.None;
        long now = _stack.Now;
        TxSegment? segment = _highestSacked is not null && _highestSacked.Seq <= from ? _highestSacked : _flight.First;
        while (segment is not null && segment.Seq < to)
        {
            if (segment.End <= from)
            {
                segment = segment.Next;
                continue;
            }

            if (segment.IsSacked || segment.IsSyn)
            {
                segment = segment.Next;
                continue;
            }

            if (segment.Seq < from)
            {
                // The front of it is missing: cut at a whole packet, so that the rest may be marked.
                SeqNum cut = CutBefore(segment, from, roundUp: true);
                if (cut <= segment.Seq || cut >= segment.End || cut >= to)
                {
                    segment = segment.Next;
                    continue;
                }

                SplitSegment(segment, cut, Math.Max(1, _mssCache));
                segment = segment.Next;
                continue;
            }

            if (segment.End > to)
            {
                SeqNum cut = CutBefore(segment, to, roundUp: false);
                if (cut <= segment.Seq || cut >= segment.End)
                {
                    break;
                }

                SplitSegment(segment, cut, Math.Max(1, _mssCache));
            }

            flags |= MarkOne(segment, now, ref lowest, ref reordered);
            segment = segment.Next;
        }

        return flags;
    }

    /// <summary>A packet border of a segment of several, at or beside <paramref name="at"/>.</summary>
    private static SeqNum CutBefore(TxSegment segment, SeqNum at, bool roundUp)
    {
        int mss = Math.Max(1, (segment.DataLength + segment.Count - 1) / segment.Count);
        int offset = at - segment.Seq;
        offset = roundUp ? (offset + mss - 1) / mss * mss : offset / mss * mss;
        return segment.Seq + offset;
    }

    private AckFlags MarkOne(TxSegment segment, long now, ref SeqNum lowest, ref bool reordered)
    {
        AckFlags flags = AckFlags.DataSacked;
        AdvanceRack(segment, now);
        if (segment.IsRetransmitted)
        {
            // Sent again and lost before: one of the two arrived, so neither is missing now.
            segment.IsRetransmitted = false;
            _retransOut -= segment.Count;
        }
        else if (!segment.WasRetransmitted)
        {
            if (_highestSackedSeq is { } high && segment.Seq < high)
            {
                reordered = true;
                lowest = SeqNum.Min(lowest, segment.Seq);
            }

            if (segment.End <= _highSeq)
            {
                flags |= AckFlags.OriginalAcked;
            }

            _sackSentAt = Math.Max(_sackSentAt, segment.SentAt);
        }

        if (segment.IsLost)
        {
            segment.IsLost = false;
            _lostOut -= segment.Count;
        }

        segment.IsSacked = true;
        _sackedOut += segment.Count;
        CountDelivered(segment, segment.Count, now);
        _flight.RemoveFromTimeOrder(segment);
        if (_highestSackedSeq is not { } highest || segment.Seq >= highest)
        {
            _highestSackedSeq = segment.Seq;
            _highestSacked = segment;
        }

        return flags;
    }

    /// <summary>A segment arrived after later ones: the network reorders by this much, so that many duplicates prove no loss.</summary>
    private void NoteReordering(SeqNum lowest)
    {
        if (_highestSackedSeq is not { } high || high <= lowest)
        {
            return;
        }

        int metric = (high - lowest) / Math.Max(1, _mssCache) + 1;
        if (metric > _reordering)
        {
            _reordering = Math.Min(metric, _protocol.Parameters.MaxReordering);
        }

        _reorderingSeen++;
    }

    // Without SACK each duplicate acknowledgement stands for one segment that arrived (RFC 6582).

    private void AddRenoSack(int count)
    {
        if (_sackOk || count == 0)
        {
            return;
        }

        int before = _sackedOut;
        _sackedOut = Math.Min(_sackedOut + count, Math.Max(0, _packetsOut - 1));
        LimitRenoSacks();
        _delivered += Math.Max(0, _sackedOut - before);
    }

    private void RemoveRenoSacks(int acked)
    {
        if (acked > 0)
        {
            // One of them is the segment that the hole was; the others had been counted.
            _delivered = Math.Max(0, _delivered - Math.Min(_sackedOut, acked - 1));
            _sackedOut = Math.Max(0, _sackedOut - Math.Max(0, acked - 1));
        }

        LimitRenoSacks();
    }

    private void LimitRenoSacks()
    {
        int holes = Math.Clamp(Math.Max(_lostOut, 1), 0, _packetsOut);
        if (_sackedOut + holes > _packetsOut)
        {
            int limited = Math.Max(0, _packetsOut - holes);
            if (_sackedOut > _reordering)
            {
                _reorderingSeen++;
            }

            _sackedOut = limited;
        }
    }
}
