using System;

namespace Runsc.NetStack.Core;

/// <summary>The timers of a stack, as a heap of four children a node. Guarded by the stack's lock.</summary>
/// <remarks>
/// A timer that is moved to a later time stays where it is and is put right when its old time comes, and a cancelled
/// one leaves at once. Timers of equal deadline fire in no particular order.
/// </remarks>
internal sealed class TimerHeap
{
    private NetTimer[] _heap = new NetTimer[64];
    private int _count;

    public int Count => _count;

    /// <summary>No timer fires before this time.</summary>
    public long Earliest => _count == 0 ? NetTimer.Never : _heap[0].HeapKey;

    public void Schedule(NetTimer timer, long deadline)
    {
        timer.Deadline = deadline;
        if (timer.HeapIndex < 0)
        {
            if (_count == _heap.Length)
            {
                Array.Resize(ref _heap, _count * 2);
            }

            timer.HeapKey = deadline;
            timer.HeapIndex = _count;
            _heap[_count++] = timer;
            Up(timer.HeapIndex);
        }
        else if (deadline < timer.HeapKey)
        {
            timer.HeapKey = deadline;
            Up(timer.HeapIndex);
        }
    }

    public void Cancel(NetTimer timer)
    {
        timer.Deadline = NetTimer.Never;
        int index = timer.HeapIndex;
        if (index < 0)
        {
            return;
        }

        timer.HeapIndex = -1;
        NetTimer last = _heap[--_count];
        _heap[_count] = null!;
        if (last != timer)
        {
            Place(last, index);
            Up(index);
            Down(last.HeapIndex);
        }
    }

    /// <summary>Takes out the next timer whose deadline has passed, or null.</summary>
    public NetTimer? TakeDue(long now)
    {
        while (_count > 0 && _heap[0].HeapKey <= now)
        {
            NetTimer timer = _heap[0];
            if (timer.Deadline > now)
            {
                timer.HeapKey = timer.Deadline;
                Down(0);
                continue;
            }

            Cancel(timer);
            return timer;
        }

        return null;
    }

    private void Place(NetTimer timer, int index)
    {
        _heap[index] = timer;
        timer.HeapIndex = index;
    }

    private void Up(int index)
    {
        NetTimer timer = _heap[index];
        while (index > 0)
        {
            int parent = (index - 1) >> 2;
            if (_heap[parent].HeapKey <= timer.HeapKey)
            {
                break;
            }

            Place(_heap[parent], index);
            index = parent;
        }

        Place(timer, index);
    }

    private void Down(int index)
    {
        NetTimer timer = _heap[index];
        while (true)
        {
            int best = -1;
            long bestKey = timer.HeapKey;
            int first = (index << 2) + 1;
            for (int child = first; child < first + 4 && child < _count; child++)
            {
                if (_heap[child].HeapKey < bestKey)
                {
                    best = child;
                    bestKey = _heap[child].HeapKey;
                }
            }

            if (best < 0)
            {
                break;
            }

            Place(_heap[best], index);
            index = best;
        }

        Place(timer, index);
    }
}
