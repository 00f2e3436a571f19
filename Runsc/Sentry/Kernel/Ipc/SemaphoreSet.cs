using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>A set of semaphores (semget(2)). Guarded by its table's lock.</summary>
internal sealed class SemaphoreSet(IpcTable<SemaphoreSet> table, int count) : IpcObject
{
    public const int MaxPerSet = 32000;
    public const int MaxOperations = 500;
    public const int MaxValue = 32767;

    public IpcTable<SemaphoreSet> Table => table;

    public ushort[] Values { get; } = new ushort[count];

    /// <summary>Who changed each last.</summary>
    public int[] Pids { get; } = new int[count];

    /// <summary>Tasks that wait for each to grow, and for each to become 0.</summary>
    public int[] WaitersForMore { get; } = new int[count];

    public int[] WaitersForZero { get; } = new int[count];

    public long OperationTime { get; set; }

    /// <summary>Whoever waits looks again when a value changes, or when the set is removed.</summary>
    public WaitQueue Events { get; } = new();

    /// <summary>What ends of processes give back.</summary>
    public List<SemaphoreUndo> Undos { get; } = [];

    /// <summary>
    /// Makes all changes or none. EAGAIN: the operation at <paramref name="blocked"/> cannot be made now. EFBIG for an index that is not there, ERANGE.
    /// </summary>
    public Errno TryOperateLocked(ReadOnlySpan<SemOperation> operations, int pid, SemaphoreUndo? undo, out int blocked)
    {
        blocked = -1;
        foreach (ref readonly SemOperation operation in operations)
        {
            if (operation.Index >= Values.Length)
            {
                return Errno.EFBIG;
            }
        }

        Errno error = Errno.None;
        int done = 0;
        for (; done < operations.Length && error == Errno.None; done++)
        {
            ref readonly SemOperation operation = ref operations[done];
            int value = Values[operation.Index], next = value + operation.Change;
            if ((operation.Change == 0 && value != 0) || next < 0)
            {
                blocked = done;
                error = Errno.EAGAIN;
            }
            else if (next > MaxValue)
            {
                error = Errno.ERANGE;
            }
            else if ((operation.Flags & Linux.Ipc.SEM_UNDO) != 0)
            {
                int adjustment = undo!.Adjustments[operation.Index] - operation.Change;
                if (adjustment is < -MaxValue - 1 or > MaxValue)
                {
                    error = Errno.ERANGE;
                }
                else
                {
                    undo.Adjustments[operation.Index] = (short)adjustment;
                }
            }

            if (error != Errno.None)
            {
                break;
            }

            Values[operation.Index] = (ushort)next;
        }

        if (error == Errno.None)
        {
            foreach (ref readonly SemOperation operation in operations)
            {
                Pids[operation.Index] = pid;
            }

            return Errno.None;
        }

        while (--done >= 0)
        {
            ref readonly SemOperation operation = ref operations[done];
            Values[operation.Index] = (ushort)(Values[operation.Index] - operation.Change);
            if ((operation.Flags & Linux.Ipc.SEM_UNDO) != 0)
            {
                undo!.Adjustments[operation.Index] += operation.Change;
            }
        }

        return error;
    }
}

/// <summary>What a process (or those that share it by CLONE_SYSVSEM) has to give back to one set. Guarded by the set's table.</summary>
internal sealed class SemaphoreUndo(SemaphoreSet set)
{
    public SemaphoreSet Set => set;

    public short[] Adjustments { get; } = new short[set.Values.Length];
}
