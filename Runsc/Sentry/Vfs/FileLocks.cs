using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Vfs;

/// <summary>Advisory locks of one inode: flock(2), and record locks of fcntl(2) by process or by open file description.</summary>
internal sealed class FileLocks : IWaitable
{
    /// <summary>A lock on bytes [Start, End); for flock the whole file, kept in a list of its own. The owner is a description, or a process (FdTable).</summary>
    internal sealed record Held(object Owner, int ProcessId, bool Exclusive, ulong Start, ulong End);

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
