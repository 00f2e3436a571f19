using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>The objects of one kind in an IPC namespace. Its lock guards them all; it comes after a memory manager's, and nothing is waited for under it.</summary>
internal sealed class IpcTable<T>
    where T : IpcObject
{
    // An id is a place in the table and above it a number that makes ids of removed objects differ from new ones.
    private const int IndexBits = 15;
    private const int IndexMask = (1 << IndexBits) - 1;
    private const int SequenceMask = 0xffff;

    public readonly Lock Mu = new();

    private readonly int _maximum;

    // Guarded by Mu.
    private readonly SortedDictionary<int, T> _objects = [];
    private int _sequence;
    private int _next;

    public IpcTable(int maximum)
    {
        _maximum = maximum;
        Limit = maximum;
    }

    /// <summary>Objects that may be there at once; set by /proc/sys, up to what the table can number.</summary>
    public int Limit { get; set; }

    public int CountLocked => _objects.Count;

    /// <summary>The highest index in use, 0 when there is none: what IPC_INFO returns.</summary>
    public int HighestIndexLocked
    {
        get
        {
            int highest = 0;
            foreach (int index in _objects.Keys)
            {
                highest = index;
            }

            return highest;
        }
    }

    public IEnumerable<T> AllLocked => _objects.Values;

    /// <summary>EINVAL for a number that was never given, EIDRM for one of an object that is gone while its place has a new one.</summary>
    public Errno FindLocked(int id, out T? found)
    {
        found = null;
        if (id < 0 || !_objects.TryGetValue(id & IndexMask, out T? candidate))
        {
            return Errno.EINVAL;
        }

        if (candidate.Id != id)
        {
            return Errno.EIDRM;
        }

        found = candidate;
        return Errno.None;
    }

    /// <summary>For SHM_STAT and the like: by place in the table.</summary>
    public Errno FindIndexLocked(int index, out T? found) => _objects.TryGetValue(index & IndexMask, out found) && index >= 0 ? Errno.None : Errno.EINVAL;

    public T? FindKeyLocked(int key)
    {
        foreach (T candidate in _objects.Values)
        {
            if (candidate.Key == key)
            {
                return candidate;
            }
        }

        return null;
    }

    /// <summary>
    /// What semget, shmget and msgget begin with: None with the present object, whose rights were checked; ENOENT with null when a new one is to be made; else the
    /// error of the call.
    /// </summary>
    public Errno GetLocked(int key, int flags, Credentials credentials, out T? present)
    {
        present = key == Linux.Ipc.IPC_PRIVATE ? null : FindKeyLocked(key);
        if (present is not null)
        {
            const int exclusive = Linux.Ipc.IPC_CREAT | Linux.Ipc.IPC_EXCL;
            return (flags & exclusive) == exclusive ? Errno.EEXIST : present.Check(credentials, (uint)flags & 0x1ff);
        }

        if (key != Linux.Ipc.IPC_PRIVATE && (flags & Linux.Ipc.IPC_CREAT) == 0)
        {
            return Errno.ENOENT;
        }

        return _objects.Count >= Limit ? Errno.ENOSPC : Errno.None;
    }

    public void AddLocked(T added)
    {
        while (_objects.ContainsKey(_next))
        {
            _next = (_next + 1) % (_maximum + 1);
        }

        added.Id = (_sequence << IndexBits) | _next;
        _objects.Add(_next, added);
        _next = (_next + 1) % (_maximum + 1);
        if (_next == 0)
        {
            _sequence = (_sequence + 1) & (SequenceMask >> 1);
        }
    }

    public void RemoveLocked(T removed)
    {
        if (FindLocked(removed.Id, out T? present) == Errno.None && present == removed)
        {
            _objects.Remove(removed.Id & IndexMask);
        }
    }
}
