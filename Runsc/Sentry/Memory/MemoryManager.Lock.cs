using Runsc.Linux;

namespace Runsc.Sentry.Memory;

/// <summary>mlock(2): marks on mappings, a sum, and pages that are brought in. The Sentry has no swap of its own to keep them from.</summary>
internal sealed partial class MemoryManager
{
    // Guarded by _mu: what mlockall(MCL_FUTURE) left for new mappings.
    private bool _lockFuture;
    private bool _lockFutureOnFault;

    /// <summary>Bytes of locked mappings (VmLck).</summary>
    public ulong LockedBytes
    {
        get
        {
            lock (_mu)
            {
                return LockedBytesLocked();
            }
        }
    }

    /// <summary>mlock(2), munlock(2). ENOMEM for holes and beyond <paramref name="limit"/> bytes, EINVAL, EAGAIN.</summary>
    public Errno SetLocked(ulong address, ulong length, bool locked, bool populate, ulong limit)
    {
        ulong start = PageDown(address), end = unchecked(PageUp(address + length));
        if (length == 0)
        {
            return Errno.None;
        }

        if (end < start || end > _limit)
        {
            return end < start ? Errno.EINVAL : Errno.ENOMEM;
        }

        lock (_mu)
        {
            ulong at = start;
            for (int i = _vmas.IndexAfter(start); i < _vmas.Count && _vmas[i].Start < end && _vmas[i].Start <= at; i++)
            {
                at = _vmas[i].End;
            }

            if (at < end)
            {
                return Errno.ENOMEM;
            }

            if (locked && LockedBytesLocked() + (end - start) > limit)
            {
                return Errno.ENOMEM;
            }

            _vmas.SplitAt(start);
            _vmas.SplitAt(end);
            for (int i = _vmas.IndexAfter(start); i < _vmas.Count && _vmas[i].Start < end; i++)
            {
                _vmas[i].Locked = locked;
            }

            _vmas.Merge(start, end);
        }

        return populate && Populate(start, end - start) != Errno.None ? Errno.ENOMEM : Errno.None;
    }

    /// <summary>mlockall(2). ENOMEM beyond <paramref name="limit"/> bytes.</summary>
    public Errno LockAll(int flags, ulong limit)
    {
        lock (_mu)
        {
            _lockFuture = (flags & Mman.MCL_FUTURE) != 0;
            _lockFutureOnFault = (flags & Mman.MCL_ONFAULT) != 0;
            if ((flags & Mman.MCL_CURRENT) != 0)
            {
                if (_totalBytes > limit)
                {
                    return Errno.ENOMEM;
                }

                for (int i = 0; i < _vmas.Count; i++)
                {
                    _vmas[i].Locked = true;
                }
            }
        }

        return Errno.None;
    }

    /// <summary>munlockall(2).</summary>
    public void UnlockAll()
    {
        lock (_mu)
        {
            _lockFuture = false;
            for (int i = 0; i < _vmas.Count; i++)
            {
                _vmas[i].Locked = false;
            }
        }
    }

    private ulong LockedBytesLocked()
    {
        ulong bytes = 0;
        for (int i = 0; i < _vmas.Count; i++)
        {
            bytes += _vmas[i].Locked ? _vmas[i].Length : 0;
        }

        return bytes;
    }
}
