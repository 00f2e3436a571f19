using System;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Data beyond a gap, as runs without gaps in order of sequence numbers: the receiver's side of SACK. Guarded by the stack's lock.</summary>
internal sealed class OutOfOrderQueue
{
    /// <summary>Runs kept: a peer that sends every second byte gets no more than this of our memory and time.</summary>
    public const int MaxRuns = 256;

    private Run[]? _runs;
    private int _count;
    private uint _clock;

    public bool IsEmpty => _count == 0;

    public int RunCount => _count;

    /// <summary>Memory that the packets hold.</summary>
    public int Footprint { get; private set; }

    /// <summary>Where the highest run ends. Precondition: not empty.</summary>
    public SeqNum End => _runs![_count - 1].End;

    /// <summary>Takes a packet with payload from <paramref name="seq"/> on. What was there already is in <paramref name="duplicate"/>, empty if nothing.</summary>
    public void Insert(PacketBuffer packet, SeqNum seq, out SackBlock duplicate)
    {
        SeqNum end = seq + packet.Length;
        duplicate = default;
        _runs ??= new Run[8];
        int i = FirstEndingAtOrAfter(seq);
        if (i == _count || _runs[i].Start > end)
        {
            if (_count == MaxRuns)
            {
                packet.Release();
                return;
            }

            InsertRun(i, packet, seq, end);
            return;
        }

        ref Run run = ref _runs[i];
        if (seq >= run.Start && end <= run.End)
        {
            duplicate = new SackBlock(seq.Value, end.Value);
            run.Stamp = ++_clock;
            packet.Release();
            return;
        }

        if (seq >= run.Start)
        {
            int overlap = run.End - seq;
            if (overlap > 0)
            {
                duplicate = new SackBlock(seq.Value, run.End.Value);
                packet.TrimFront(overlap);
            }

            Absorb(ref run, packet, i, end);
        }
        else if (end >= run.End)
        {
            duplicate = new SackBlock(run.Start.Value, run.End.Value);
            ReleaseRun(ref run);
            run.Start = seq;
            run.End = seq;
            run.Head = run.Tail = null;
            Absorb(ref run, packet, i, end);
        }
        else
        {
            int overlap = end - run.Start;
            if (overlap > 0)
            {
                duplicate = new SackBlock(run.Start.Value, end.Value);
                packet.TrimTo(run.Start - seq);
            }

            Footprint += packet.Footprint;
            packet.Cookie = seq.Value;
            packet.Next = run.Head;
            run.Head = packet;
            run.Start = seq;
        }

        run.Stamp = ++_clock;
    }

    /// <summary>Moves what follows <paramref name="next"/> without a gap into the queue; returns the new edge.</summary>
    public SeqNum TakeInOrder(SeqNum next, ReceiveQueue queue)
    {
        while (_count > 0 && _runs![0].Start <= next)
        {
            ref Run run = ref _runs[0];
            PacketBuffer? packet = run.Head;
            while (packet is not null)
            {
                PacketBuffer? following = packet.Next;
                SeqNum seq = new(packet.Cookie);
                SeqNum end = seq + packet.Length;
                Footprint -= packet.Footprint;
                if (end <= next)
                {
                    packet.Release();
                }
                else
                {
                    if (seq < next)
                    {
                        packet.TrimFront(next - seq);
                    }

                    queue.Append(packet);
                    next = end;
                }

                packet = following;
            }

            RemoveRun(0);
        }

        return next;
    }

    /// <summary>Drops the run that is furthest away: memory has run out. False if there is none.</summary>
    public bool DropLast()
    {
        if (_count == 0)
        {
            return false;
        }

        ReleaseRun(ref _runs![_count - 1]);
        RemoveRun(_count - 1);
        return true;
    }

    /// <summary>Fills in SACK blocks, the most recently changed first (RFC 2018, 4).</summary>
    public void WriteBlocks(ref TcpOptions options, int maximum)
    {
        uint below = uint.MaxValue;
        while (options.SackCount < maximum)
        {
            int best = -1;
            for (int i = 0; i < _count; i++)
            {
                if (_runs![i].Stamp < below && (best < 0 || _runs[i].Stamp > _runs[best].Stamp))
                {
                    best = i;
                }
            }

            if (best < 0)
            {
                return;
            }

            below = _runs![best].Stamp;
            options.Blocks[options.SackCount++] = new SackBlock(_runs[best].Start.Value, _runs[best].End.Value);
        }
    }

    public void Clear()
    {
        while (DropLast())
        {
        }
    }

    /// <summary>Puts a packet behind a run, up to the sequence number <paramref name="end"/>, and joins the runs that it reaches.</summary>
    private void Absorb(ref Run run, PacketBuffer packet, int index, SeqNum end)
    {
        while (index + 1 < _count && _runs![index + 1].End <= end)
        {
            ReleaseRun(ref _runs[index + 1]);
            RemoveRun(index + 1);
        }

        bool joins = index + 1 < _count && _runs![index + 1].Start <= end;
        if (joins)
        {
            packet.TrimTo(_runs![index + 1].Start - run.End);
            end = _runs[index + 1].Start;
        }

        int length = end - run.End;
        if (length == 0)
        {
            packet.Release();
        }
        else if (!ReceiveQueue.TryCopyBehind(run.Tail, packet, length))
        {
            Footprint += packet.Footprint;
            packet.Cookie = run.End.Value;
            packet.Next = null;
            if (run.Tail is null)
            {
                run.Head = packet;
            }
            else
            {
                run.Tail.Next = packet;
            }

            run.Tail = packet;
        }

        run.End = end;
        if (joins)
        {
            ref Run next = ref _runs![index + 1];
            if (run.Tail is null)
            {
                run.Head = next.Head;
            }
            else
            {
                run.Tail.Next = next.Head;
            }

            run.Tail = next.Tail;
            run.End = next.End;
            RemoveRun(index + 1);
        }
    }

    private int FirstEndingAtOrAfter(SeqNum seq)
    {
        // New data mostly arrive at the end of the last run.
        int low = 0;
        int high = _count;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (_runs![middle].End < seq)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return low;
    }

    private void InsertRun(int index, PacketBuffer packet, SeqNum seq, SeqNum end)
    {
        if (_count == _runs!.Length)
        {
            Array.Resize(ref _runs, _count * 2);
        }

        Array.Copy(_runs, index, _runs, index + 1, _count - index);
        _count++;
        Footprint += packet.Footprint;
        packet.Cookie = seq.Value;
        packet.Next = null;
        _runs[index] = new Run { Head = packet, Tail = packet, Start = seq, End = end, Stamp = ++_clock };
    }

    private void RemoveRun(int index)
    {
        _count--;
        Array.Copy(_runs!, index + 1, _runs!, index, _count - index);
        _runs![_count] = default;
    }

    private void ReleaseRun(ref Run run)
    {
        PacketBuffer? packet = run.Head;
        while (packet is not null)
        {
            PacketBuffer? next = packet.Next;
            Footprint -= packet.Footprint;
            packet.Release();
            packet = next;
        }
    }

    private struct Run
    {
        public PacketBuffer? Head;
        public PacketBuffer? Tail;
        public SeqNum Start;
        public SeqNum End;

        /// <summary>Larger in a run that changed later.</summary>
        public uint Stamp;
    }
}
