using System;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>mprotect(2). EINVAL, ENOMEM for holes (what precedes them is changed, as on Linux), EACCES.</summary>
    public Errno Mprotect(ulong address, ulong length, AccessType protection, bool growsDown)
    {
        ulong size = PageUp(length);
        if (address % PageSize != 0)
        {
            return Errno.EINVAL;
        }

        if (length == 0)
        {
            return Errno.None;
        }

        if (size == 0 || address > _limit || size > _limit - address)
        {
            return Errno.ENOMEM;
        }

        lock (_mu)
        {
            ulong end = address + size;
            if (growsDown)
            {
                Vma? stack = _vmas.Find(address);
                if (stack is not { GrowsDown: true })
                {
                    return Errno.EINVAL;
                }

                address = stack.Start;
            }

            _vmas.SplitAt(address);
            _vmas.SplitAt(end);
            ulong at = address;
            Errno error = Errno.None;
            for (int i = _vmas.IndexAfter(address); at < end; i++)
            {
                if (i == _vmas.Count || _vmas[i].Start != at)
                {
                    error = Errno.ENOMEM;
                    break;
                }

                Vma vma = _vmas[i];
                if ((protection & ~vma.MaxProtection) != 0)
                {
                    error = Errno.EACCES;
                    break;
                }

                // The next access faults and gets what it may have; a mapping with fewer rights must not stay.
                if (vma.Protection != protection)
                {
                    if ((vma.Protection & ~protection) != 0 || protection == AccessType.None)
                    {
                        _space.Unmap(vma.Start, vma.Length);
                    }

                    vma.Protection = protection;
                }

                at = vma.End;
            }

            _vmas.Merge(address, end);
            return error;
        }
    }

    /// <summary>mremap(2). EINVAL, EFAULT, ENOMEM.</summary>
    public Errno Mremap(ulong oldAddress, ulong oldLength, ulong newLength, int flags, ulong wanted, out ulong address)
    {
        address = 0;
        const int known = Mman.MREMAP_MAYMOVE | Mman.MREMAP_FIXED | Mman.MREMAP_DONTUNMAP;
        bool fixedPlace = (flags & Mman.MREMAP_FIXED) != 0, keep = (flags & Mman.MREMAP_DONTUNMAP) != 0;
        ulong oldSize = PageUp(oldLength), newSize = PageUp(newLength);
        if ((flags & ~known) != 0 || oldAddress % PageSize != 0 || oldAddress > _limit || newSize == 0 || newSize > _limit
            || ((fixedPlace || keep) && (flags & Mman.MREMAP_MAYMOVE) == 0) || (keep && oldSize != newSize))
        {
            return Errno.EINVAL;
        }

        if ((oldSize == 0 && oldLength != 0) || oldSize > _limit)
        {
            return Errno.EFAULT;
        }

        if (fixedPlace && (wanted % PageSize != 0 || wanted > _limit - newSize || (wanted < oldAddress + oldSize && oldAddress < wanted + newSize)))
        {
            return Errno.EINVAL;
        }

        lock (_mu)
        {
            Vma? vma = _vmas.Find(oldAddress);
            if (vma is null)
            {
                return Errno.EFAULT;
            }

            if (oldSize == 0)
            {
                // A second mapping of shared pages.
                return vma.Shared && (flags & Mman.MREMAP_MAYMOVE) != 0 ? CopyMappingLocked(vma, oldAddress, newSize, fixedPlace, wanted, out address) : Errno.EINVAL;
            }

            if (oldSize > vma.End - oldAddress)
            {
                return Errno.EFAULT;
            }

            if (newSize <= oldSize && !fixedPlace && !keep)
            {
                if (newSize < oldSize)
                {
                    UnmapLocked(oldAddress + newSize, oldSize - newSize);
                }

                address = oldAddress;
                return Errno.None;
            }

            ulong growth = newSize > oldSize ? newSize - oldSize : 0;
            if (_totalBytes + growth > AddressSpaceLimit)
            {
                return Errno.ENOMEM;
            }

            if (!fixedPlace && !keep && oldAddress + oldSize == vma.End && vma.End + growth <= _limit && !_vmas.Overlaps(vma.End, vma.End + growth))
            {
                ulong oldEnd = vma.End;
                vma.Mappable?.AddMapping(this, oldEnd, vma.OffsetOf(oldEnd), growth, vma.Shared && (vma.MaxProtection & AccessType.Write) != 0);
                vma.End += growth;
                _totalBytes += growth;
                _vmas.Merge(vma.Start, vma.End);
                address = oldAddress;
                return Errno.None;
            }

            if ((flags & Mman.MREMAP_MAYMOVE) == 0)
            {
                return Errno.ENOMEM;
            }

            return MoveLocked(oldAddress, oldSize, newSize, fixedPlace, wanted, keep, out address);
        }
    }

    private Errno CopyMappingLocked(Vma vma, ulong oldAddress, ulong length, bool fixedPlace, ulong wanted, out ulong address)
    {
        MmapRequest request = new()
        {
            Address = wanted,
            Fixed = fixedPlace,
            Length = length,
        };
        Errno error = PlaceLocked(request, length, out address);
        if (error != Errno.None)
        {
            return error;
        }

        UnmapLocked(address, length);
        Vma copy = vma.Clone();
        copy.Start = address;
        copy.End = address + length;
        copy.Offset = vma.OffsetOf(oldAddress);
        AttachLocked(copy);
        return Errno.None;
    }

    private Errno MoveLocked(ulong oldAddress, ulong oldSize, ulong newSize, bool fixedPlace, ulong wanted, bool keep, out ulong address)
    {
        MmapRequest request = new() { Address = wanted, Fixed = fixedPlace, Length = newSize };
        Errno error = PlaceLocked(request, newSize, out address);
        if (error != Errno.None)
        {
            return error;
        }

        if (fixedPlace)
        {
            UnmapLocked(address, newSize);
        }

        if (newSize < oldSize)
        {
            UnmapLocked(oldAddress + newSize, oldSize - newSize);
            oldSize = newSize;
        }

        _vmas.SplitAt(oldAddress);
        _vmas.SplitAt(oldAddress + oldSize);
        Vma vma = _vmas.Find(oldAddress)!;
        Vma moved = vma.Clone();
        moved.Start = address;
        moved.End = address + newSize;
        AttachLocked(moved);

        // The pages go over with their references.
        _space.Unmap(oldAddress, oldSize);
        ulong at = oldAddress;
        while (_pages.TryNext(ref at, oldAddress + oldSize, out ulong entry))
        {
            _pages.Set(at, 0);
            _pages.Set(address + (at - oldAddress), entry);
            at += PageSize;
        }

        if (!keep)
        {
            UnmapLocked(oldAddress, oldSize);
        }

        _vmas.Merge(address, address + newSize);
        return Errno.None;
    }

    private void AttachLocked(Vma vma)
    {
        vma.Mappable?.IncRef();
        vma.Mappable?.AddMapping(this, vma.Start, vma.Offset, vma.Length, vma.Shared && (vma.MaxProtection & AccessType.Write) != 0);
        _vmas.Insert(vma);
        _totalBytes += vma.Length;
    }

    /// <summary>madvise(2). EINVAL, ENOMEM for holes.</summary>
    public Errno Madvise(ulong address, ulong length, int advice)
    {
        ulong size = PageUp(length);
        if (address % PageSize != 0 || (length != 0 && size == 0) || size > _limit || address > _limit - size)
        {
            return Errno.EINVAL;
        }

        if (advice is Mman.MADV_POPULATE_READ or Mman.MADV_POPULATE_WRITE)
        {
            return Populate(address, size);
        }

        lock (_mu)
        {
            ulong end = address + size, at = address;
            bool hole = false;
            bool splits = advice is Mman.MADV_DONTFORK or Mman.MADV_DOFORK or Mman.MADV_WIPEONFORK or Mman.MADV_KEEPONFORK;
            if (splits)
            {
                _vmas.SplitAt(address);
                _vmas.SplitAt(end);
            }

            for (int i = _vmas.IndexAfter(address); i < _vmas.Count && _vmas[i].Start < end; i++)
            {
                Vma vma = _vmas[i];
                hole |= vma.Start > at;
                ulong from = Math.Max(vma.Start, address), to = Math.Min(vma.End, end);
                switch (advice)
                {
                    case Mman.MADV_DONTNEED:
                    case Mman.MADV_FREE when vma.Mappable is null && vma.IsPrivate:
                        if (vma.Locked)
                        {
                            return Errno.EINVAL;
                        }

                        DropPagesLocked(from, to, privateOnly: false);
                        break;
                    case Mman.MADV_FREE:
                        return Errno.EINVAL;
                    case Mman.MADV_DONTFORK:
                        vma.DontFork = true;
                        break;
                    case Mman.MADV_DOFORK:
                        vma.DontFork = false;
                        break;
                    case Mman.MADV_WIPEONFORK:
                        if (vma.Mappable is not null || vma.Shared)
                        {
                            return Errno.EINVAL;
                        }

                        vma.WipeOnFork = true;
                        break;
                    case Mman.MADV_KEEPONFORK:
                        vma.WipeOnFork = false;
                        break;
                    case Mman.MADV_NORMAL:
                    case Mman.MADV_RANDOM:
                    case Mman.MADV_SEQUENTIAL:
                    case Mman.MADV_WILLNEED:
                    case Mman.MADV_HUGEPAGE:
                    case Mman.MADV_NOHUGEPAGE:
                    case Mman.MADV_DONTDUMP:
                    case Mman.MADV_DODUMP:
                    case Mman.MADV_COLD:
                    case Mman.MADV_PAGEOUT:
                    case Mman.MADV_MERGEABLE:
                    case Mman.MADV_UNMERGEABLE:
                        break;
                    default:
                        return Errno.EINVAL;
                }

                at = vma.End;
            }

            if (splits)
            {
                _vmas.Merge(address, end);
            }

            return hole || at < end ? Errno.ENOMEM : Errno.None;
        }
    }

    /// <summary>msync(2) with MS_SYNC: writes shared file mappings back. ENOMEM for holes, errors of the file.</summary>
    public Errno Msync(ulong address, ulong length, bool wait)
    {
        ulong size = PageUp(length);
        if ((length != 0 && size == 0) || size > _limit || address > _limit - size)
        {
            return Errno.ENOMEM;
        }

        ulong end = address + size, at = address;
        Errno result = Errno.None;
        while (at < end)
        {
            IMappable? mappable;
            ulong offset, part;
            lock (_mu)
            {
                int index = _vmas.IndexAfter(at);
                if (index == _vmas.Count || _vmas[index].Start >= end)
                {
                    return Errno.ENOMEM;
                }

                Vma vma = _vmas[index];
                if (vma.Start > at)
                {
                    result = Errno.ENOMEM;
                    at = vma.Start;
                }

                mappable = vma.Shared ? vma.Mappable : null;
                offset = vma.OffsetOf(at);
                part = Math.Min(vma.End, end) - at;
                mappable?.IncRef();
            }

            if (mappable is not null)
            {
                Errno error = wait ? mappable.Sync(offset, part) : Errno.None;
                mappable.DecRef();
                if (error != Errno.None)
                {
                    return error;
                }
            }

            at += part;
        }

        return result;
    }

    /// <summary>mincore(2): one byte for each page, 1 when it is resident. ENOMEM for holes.</summary>
    public Errno Mincore(ulong address, Span<byte> residency)
    {
        lock (_mu)
        {
            for (int i = 0; i < residency.Length; i++)
            {
                ulong page = address + ((ulong)i * PageSize);
                if (_vmas.Find(page) is null)
                {
                    return Errno.ENOMEM;
                }

                residency[i] = (byte)(_pages.Get(page) != 0 ? 1 : 0);
            }
        }

        return Errno.None;
    }

    public void InvalidateMappings(ulong address, ulong length, bool includingPrivate)
    {
        lock (_mu)
        {
            ulong end = address + length, at = address;
            _space.Unmap(address, length);
            while (_pages.TryNext(ref at, end, out ulong entry))
            {
                if (includingPrivate || (entry & PageMap.Private) == 0)
                {
                    _pages.Set(at, 0);
                    _file.DecRef(PageMap.OffsetOf(entry), PageSize);
                }

                at += PageSize;
            }
        }
    }
}
