using System.Collections.Generic;
using System.Numerics;

namespace Runsc.Sentry.Kernel.Signals;

/// <summary>Pending signals of a task or a process. Standard signals are kept once, real-time ones are queued. Guarded by the kernel's task lock.</summary>
internal sealed class SignalQueue
{
    private const int MaxQueued = 1024;

    private readonly LinkedList<SignalInfo> _queue = new();

    /// <summary>Bit N−1 for signal N.</summary>
    public ulong Pending { get; private set; }

    /// <summary>False when a real-time signal finds the queue full (EAGAIN).</summary>
    public bool Add(in SignalInfo info)
    {
        ulong bit = Bit(info.Signal);
        if (info.Signal < 32)
        {
            if ((Pending & bit) != 0)
            {
                return true;
            }
        }
        else if (_queue.Count >= MaxQueued)
        {
            return false;
        }

        Pending |= bit;
        _queue.AddLast(info);
        return true;
    }

    /// <summary>Takes the most urgent signal of a set: synchronous ones first, then by number, in order of arrival.</summary>
    public bool TryTake(ulong set, out SignalInfo info)
    {
        info = default;
        ulong candidates = Pending & set;
        if (candidates == 0)
        {
            return false;
        }

        const ulong synchronous = (1UL << 10) | (1UL << 6) | (1UL << 3) | (1UL << 4) | (1UL << 7) | (1UL << 30);
        if ((candidates & synchronous) != 0)
        {
            candidates &= synchronous;
        }

        int signal = BitOperations.TrailingZeroCount(candidates) + 1;
        bool found = false, more = false;
        for (LinkedListNode<SignalInfo>? node = _queue.First; node is not null;)
        {
            LinkedListNode<SignalInfo>? next = node.Next;
            if (node.ValueRef.Signal == signal)
            {
                if (found)
                {
                    more = true;
                    break;
                }

                info = node.Value;
                found = true;
                _queue.Remove(node);
            }

            node = next;
        }

        if (!more)
        {
            Pending &= ~Bit(signal);
        }

        return found;
    }

    public void Discard(ulong set)
    {
        if ((Pending & set) == 0)
        {
            return;
        }

        Pending &= ~set;
        for (LinkedListNode<SignalInfo>? node = _queue.First; node is not null;)
        {
            LinkedListNode<SignalInfo>? next = node.Next;
            if ((Bit(node.ValueRef.Signal) & set) != 0)
            {
                _queue.Remove(node);
            }

            node = next;
        }
    }

    public static ulong Bit(int signal) => 1UL << (signal - 1);
}
