using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>The SEM_UNDO adjustments of tasks that share them (Linux: struct sem_undo_list); made up for when the last one ends.</summary>
internal sealed class SemaphoreUndoList
{
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly List<SemaphoreUndo> _undos = [];

    private int _users = 1;

    public void IncUsers() => Interlocked.Increment(ref _users);

    /// <summary>The adjustments for a set, made when there are none yet. Takes the set's table's lock.</summary>
    public SemaphoreUndo For(SemaphoreSet set)
    {
        SemaphoreUndo made;
        lock (_mu)
        {
            foreach (SemaphoreUndo undo in _undos)
            {
                if (undo.Set == set)
                {
                    return undo;
                }
            }

            made = new SemaphoreUndo(set);
            _undos.Add(made);
        }

        lock (set.Table.Mu)
        {
            set.Undos.Add(made);
        }

        return made;
    }

    /// <summary>A task ends or unshares it.</summary>
    public void DecUsers(int pid)
    {
        if (Interlocked.Decrement(ref _users) > 0)
        {
            return;
        }

        foreach (SemaphoreUndo undo in _undos)
        {
            SemaphoreSet set = undo.Set;
            lock (set.Table.Mu)
            {
                set.Undos.Remove(undo);
                if (set.IsRemoved)
                {
                    continue;
                }

                for (int i = 0; i < set.Values.Length; i++)
                {
                    if (undo.Adjustments[i] != 0)
                    {
                        set.Values[i] = (ushort)Math.Clamp(set.Values[i] + undo.Adjustments[i], 0, SemaphoreSet.MaxValue);
                        set.Pids[i] = pid;
                    }
                }
            }

            set.Events.Notify(EventMask.Internal);
        }
    }
}
