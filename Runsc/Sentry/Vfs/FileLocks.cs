using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Vfs;

/// <summary>Advisory locks of one inode: flock(2), and record locks of fcntl(2) by process or by open file description.</summary>
internal sealed class FileLocks : IWaitable
{
    private sealed record Wanted(FileLocks Locks, bool Exclusive, ulong Start, ulong End);

    /// <summary>A lock on bytes [Start, End); for flock the whole file, kept in a list of its own. The owner is a description, or a process (FdTable).</summary>
    internal sealed record Held(object Owner, int ProcessId, bool Exclusive, ulong Start, ulong End);

    // Processes that wait for a record lock, and for which: for the search for deadlocks. Its lock comes before those of single files.
    private static readonly Lock s_waitLock = new();
    private static readonly Dictionary<object, Wanted> s_waits = [];

    // Owners in a circle that are looked at; Linux gives up after as many.
    private const int MaxDepth = 10;

    private readonly Lock _mu = new();
    private readonly WaitQueue _waiters = new();

    // Guarded by _mu.
    private readonly List<Held> _whole = [];
    private readonly List<Held> _records = [];

    /// <summary>The locks of an inode, made on first use.</summary>
    public static FileLocks Of(Inode inode)
    {
        if (inode.Locks is FileLocks locks)
        {
            return locks;
        }

        FileLocks made = new();
        return Interlocked.CompareExchange(ref inode.Locks, made, null) ?? made;
    }

    /// <summary>flock(2) without waiting: EAGAIN when another description is in the way.</summary>
    public Errno TryLockWhole(FileDescription owner, bool exclusive)
    {
        lock (_mu)
        {
            foreach (Held held in _whole)
            {
                if (held.Owner != owner && (exclusive || held.Exclusive))
                {
                    return Errno.EAGAIN;
                }
            }

            _whole.RemoveAll(held => held.Owner == owner);
            _whole.Add(new Held(owner, 0, exclusive, 0, ulong.MaxValue));
        }

        _waiters.Notify(EventMask.Internal);
        return Errno.None;
    }

    public void UnlockWhole(FileDescription owner)
    {
        lock (_mu)
        {
            _whole.RemoveAll(held => held.Owner == owner);
        }

        _waiters.Notify(EventMask.Internal);
    }

    /// <summary>F_SETLK: EAGAIN when another owner is in the way.</summary>
    public Errno TryLockRecord(object owner, int processId, bool exclusive, ulong start, ulong end)
    {
        lock (_mu)
        {
            if (FindConflictLocked(owner, exclusive, start, end) is not null)
            {
                return Errno.EAGAIN;
            }

            CutLocked(owner, start, end);
            _records.Add(new Held(owner, processId, exclusive, start, end));
        }

        _waiters.Notify(EventMask.Internal);
        return Errno.None;
    }

    /// <summary>
    /// A process begins to wait for a record lock that was refused. EDEADLK when those in the way wait for this process, directly or through others.
    /// One that shares its descriptors with others waits in several threads at once: only the last counts.
    /// </summary>
    public Errno BeginWait(object owner, bool exclusive, ulong start, ulong end)
    {
        lock (s_waitLock)
        {
            Wanted? wanted = new(this, exclusive, start, end);
            object waiting = owner;
            for (int depth = 0; depth < MaxDepth && wanted is not null; depth++)
            {
                if (wanted.Locks.FindConflict(waiting, wanted.Exclusive, wanted.Start, wanted.End)?.Owner is not object holder)
                {
                    break;
                }

                if (holder == owner)
                {
                    return Errno.EDEADLK;
                }

                waiting = holder;
                wanted = s_waits.GetValueOrDefault(holder);
            }

            s_waits[owner] = new Wanted(this, exclusive, start, end);
            return Errno.None;
        }
    }

    /// <summary>The counterpart of <see cref="BeginWait"/>.</summary>
    public static void EndWait(object owner)
    {
        lock (s_waitLock)
        {
            s_waits.Remove(owner);
        }
    }

    public void UnlockRecord(object owner, ulong start, ulong end)
    {
        lock (_mu)
        {
            CutLocked(owner, start, end);
        }

        _waiters.Notify(EventMask.Internal);
    }

    /// <summary>F_GETLK: the lock that is in the way, or null.</summary>
    public Held? FindConflict(object owner, bool exclusive, ulong start, ulong end)
    {
        lock (_mu)
        {
            return FindConflictLocked(owner, exclusive, start, end);
        }
    }

    /// <summary>A description is gone, or a process has closed a descriptor of the file.</summary>
    public void ReleaseAllOf(object owner)
    {
        bool any;
        lock (_mu)
        {
            any = _whole.RemoveAll(held => held.Owner == owner) + _records.RemoveAll(held => held.Owner == owner) > 0;
        }

        if (any)
        {
            _waiters.Notify(EventMask.Internal);
        }
    }

    public EventMask Readiness(EventMask mask) => EventMask.None;

    public void Register(Waiter waiter) => _waiters.Register(waiter);

    public void Unregister(Waiter waiter) => _waiters.Unregister(waiter);

    private Held? FindConflictLocked(object owner, bool exclusive, ulong start, ulong end)
    {
        foreach (Held held in _records)
        {
            if (held.Owner != owner && held.Start < end && start < held.End && (exclusive || held.Exclusive))
            {
                return held;
            }
        }

        return null;
    }

    private void CutLocked(object owner, ulong start, ulong end)
    {
        for (int i = _records.Count - 1; i >= 0; i--)
        {
            Held held = _records[i];
            if (held.Owner != owner || held.Start >= end || start >= held.End)
            {
                continue;
            }

            _records.RemoveAt(i);
            if (held.Start < start)
            {
                _records.Add(held with { End = start });
            }

            if (held.End > end)
            {
                _records.Add(held with { Start = end });
            }
        }
    }
}
