using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Kernel.Futex;

/// <summary>Robust futexes (get_robust_list(2)): a task's end marks the locks that it holds and wakes a waiter of each.</summary>
internal static class RobustList
{
    /// <summary>struct robust_list_head.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Head
    {
        public ulong First;
        public long FutexOffset;
        public ulong Pending;
    }

    /// <summary>Size that set_robust_list(2) must be given.</summary>
    public const int HeadSize = 24;

    /// <summary>Walks the list of an ending task, or of one that executes a new program. The list is the application's: anything in it may be wrong.</summary>
    public static void Release(Task task, ulong address)
    {
        MemoryManager memory = task.Memory;
        if (memory.CopyIn(address, out Head head) != Errno.None)
        {
            return;
        }

        // Bit 0 of an entry marks a priority-inheritance futex.
        ulong entry = head.First;
        for (int i = 0; i < Linux.Futex.ROBUST_LIST_LIMIT && (entry & ~1UL) != address; i++)
        {
            Errno error = memory.CopyIn(entry & ~1UL, out ulong next);
            if (entry != head.Pending)
            {
                MarkDead(task, unchecked((entry & ~1UL) + (ulong)head.FutexOffset), isPending: false);
            }

            if (error != Errno.None)
            {
                break;
            }

            entry = next;
        }

        if (head.Pending != 0)
        {
            MarkDead(task, unchecked((head.Pending & ~1UL) + (ulong)head.FutexOffset), isPending: true);
        }
    }

    private static void MarkDead(Task task, ulong address, bool isPending)
    {
        MemoryManager memory = task.Memory;
        if ((address & 3) != 0 || memory.LoadUInt32(address, out uint value) != Errno.None)
        {
            return;
        }

        while (true)
        {
            if (isPending && value == 0)
            {
                // It died between unlocking and waking.
                _ = task.Kernel.Futexes.Wake(memory, address, isPrivate: false, 1, Linux.Futex.FUTEX_BITSET_MATCH_ANY);
                return;
            }

            if ((value & Linux.Futex.FUTEX_TID_MASK) != (uint)task.ThreadId)
            {
                return;
            }

            uint dead = (value & Linux.Futex.FUTEX_WAITERS) | Linux.Futex.FUTEX_OWNER_DIED;
            if (memory.CompareExchangeUInt32(address, value, dead, out uint seen) != Errno.None)
            {
                return;
            }

            if (seen == value)
            {
                if ((value & Linux.Futex.FUTEX_WAITERS) != 0)
                {
                    _ = task.Kernel.Futexes.Wake(memory, address, isPrivate: false, 1, Linux.Futex.FUTEX_BITSET_MATCH_ANY);
                }

                return;
            }

            value = seen;
        }
    }
}
