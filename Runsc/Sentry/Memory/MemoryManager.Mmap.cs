using System;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

/// <summary>What mmap(2) is asked for. Address and Offset are page-aligned.</summary>
internal struct MmapRequest
{
    public ulong Address;
    public ulong Length;
    public AccessType Protection;
    public AccessType MaxProtection;
    public bool Shared;

    /// <summary>MAP_FIXED: replaces what is there.</summary>
    public bool Fixed;

    /// <summary>MAP_FIXED_NOREPLACE: EEXIST when something is there.</summary>
    public bool NoReplace;
    public bool GrowsDown;
    public bool Below4G;
    public bool Locked;
    public bool Populate;

    /// <summary>Null for private anonymous memory. The VMA takes a reference of its own.</summary>
    public IMappable? Mappable;
    public ulong Offset;
    public string? Name;
}

internal sealed partial class MemoryManager
{
    /// <summary>Sets where mappings without a wish go: downwards from <paramref name="top"/>.</summary>
    public void SetLayout(ulong top, ulong brk)
    {
        lock (_mu)
        {
            _mmapTop = PageDown(top);
            _brkStart = _brk = PageUp(brk);
        }
    }

    /// <summary>mmap(2): the address. EINVAL, ENOMEM, EEXIST, EPERM.</summary>
    public Errno Mmap(in MmapRequest request, out ulong address)
    {
        address = 0;
        ulong length = PageUp(request.Length);
        if (request.Length == 0)
        {
            return Errno.EINVAL;
        }

        if (length == 0 || length > _limit)
        {
            return Errno.ENOMEM;
        }

        if (request.Mappable is not null && unchecked(request.Offset + length) < request.Offset)
        {
            return Errno.EOVERFLOW;
        }

        lock (_mu)
        {
            Errno error = PlaceLocked(request, length, out address);
            if (error != Errno.None)
            {
                return error;
            }

            if (request.Fixed && !request.NoReplace)
            {
                UnmapLocked(address, length);
            }

            if (_vmas.Count >= MaxMapCount || _totalBytes + length > AddressSpaceLimit)
            {
                return Errno.ENOMEM;
            }

            Vma vma = new()
            {
                Start = address,
                End = address + length,
                Protection = request.Protection,
                MaxProtection = request.MaxProtection == AccessType.None ? AccessType.Read | AccessType.Write | AccessType.Execute : request.MaxProtection,
                Shared = request.Shared,
                GrowsDown = request.GrowsDown,
                Locked = request.Locked || _lockFuture,
                Mappable = request.Mappable,
                Offset = request.Offset,
                Name = request.Name,
            };
            request.Mappable?.IncRef();
            request.Mappable?.AddMapping(this, address, request.Offset, length, request.Shared && (vma.MaxProtection & AccessType.Write) != 0);
            _totalBytes += length;
            _vmas.Insert(vma);
            _vmas.Merge(address, address + length);
        }

        if (request.Populate || request.Locked || (_lockFuture && !_lockFutureOnFault))
        {
            Populate(address, length);
        }

        return Errno.None;
    }

    /// <summary>munmap(2). EINVAL.</summary>
    public Errno Munmap(ulong address, ulong length)
    {
        ulong size = PageUp(length);
        if (address % PageSize != 0 || size == 0 || address > _limit || size > _limit - address)
        {
            return Errno.EINVAL;
        }

        lock (_mu)
        {
            UnmapLocked(address, size);
        }

        return Errno.None;
    }

    /// <summary>brk(2): the new or, when it cannot be, the old break.</summary>
    public ulong Brk(ulong wanted, ulong dataLimit)
    {
        lock (_mu)
        {
            if (wanted < _brkStart || wanted - _brkStart > dataLimit || wanted > _limit)
            {
                return _brk;
            }

            ulong oldEnd = PageUp(_brk), newEnd = PageUp(wanted);
            if (newEnd < oldEnd)
            {
                UnmapLocked(newEnd, oldEnd - newEnd);
            }
            else if (newEnd > oldEnd)
            {
                if (_vmas.Overlaps(oldEnd, newEnd + PageSize) || _totalBytes + (newEnd - oldEnd) > AddressSpaceLimit)
                {
                    return _brk;
                }

                _vmas.Insert(new Vma { Start = oldEnd, End = newEnd, Protection = AccessType.Read | AccessType.Write, Name = "[heap]" });
                _totalBytes += newEnd - oldEnd;
                _vmas.Merge(oldEnd, newEnd);
            }

            _brk = wanted;
            return wanted;
        }
    }

    private Errno PlaceLocked(in MmapRequest request, ulong length, out ulong address)
    {
        address = request.Address;
        if (request.Fixed || request.NoReplace)
        {
            if (address % PageSize != 0)
            {
                return Errno.EINVAL;
            }

            if (address > _limit || length > _limit - address)
            {
                return Errno.ENOMEM;
            }

            if (address < MinAddress)
            {
                return Errno.EPERM;
            }

            return request.NoReplace && _vmas.Overlaps(address, address + length) ? Errno.EEXIST : Errno.None;
        }

        ulong ceiling = request.Below4G ? 1UL << 31 : _limit;
        address = PageDown(address);
        if (address >= MinAddress && length <= ceiling && address <= ceiling - length && !_vmas.Overlaps(address, address + length))
        {
            return Errno.None;
        }

        if (request.Below4G)
        {
            return FindBelowLocked(1UL << 31, 0x4000_0000, length, out address) ? Errno.None : Errno.ENOMEM;
        }

        return FindBelowLocked(_mmapTop, MinAddress, length, out address) || FindBelowLocked(_limit, _mmapTop, length, out address)
            ? Errno.None
            : Errno.ENOMEM;
    }

    /// <summary>The highest free range below <paramref name="top"/>.</summary>
    private bool FindBelowLocked(ulong top, ulong bottom, ulong length, out ulong address)
    {
        address = 0;
        int index = _vmas.IndexAfter(top - 1);
        if (index == _vmas.Count || _vmas[index].Start >= top)
        {
            index--;
        }

        ulong end = top;
        while (true)
        {
            // Above a stack stays a gap into which it may grow.
            ulong floor = index >= 0 ? Math.Max(_vmas[index].End, bottom) : bottom;
            ulong ceiling = end;
            if (index + 1 < _vmas.Count && _vmas[index + 1].GrowsDown && ceiling == _vmas[index + 1].Start)
            {
                ceiling = ceiling > GuardGap ? ceiling - GuardGap : 0;
            }

            if (ceiling > floor && ceiling - floor >= length)
            {
                address = ceiling - length;
                return true;
            }

            if (index < 0 || floor == bottom)
            {
                return false;
            }

            end = Math.Min(end, _vmas[index].Start);
            index--;
        }
    }

    /// <summary>Lock held: _mu. Takes away VMAs, pages and translations of a range.</summary>
    private void UnmapLocked(ulong start, ulong length)
    {
        ulong end = start + length;
        if (!_vmas.Overlaps(start, end))
        {
            return;
        }

        _vmas.SplitAt(start);
        _vmas.SplitAt(end);
        DropPagesLocked(start, end, privateOnly: false);
        int index = _vmas.IndexAfter(start);
        while (index < _vmas.Count && _vmas[index].Start < end)
        {
            Vma vma = _vmas[index];
            _vmas.RemoveAt(index);
            _totalBytes -= vma.Length;
            if (vma.Mappable is not null)
            {
                vma.Mappable.RemoveMapping(this, vma.Start, vma.Offset, vma.Length, vma.Shared && (vma.MaxProtection & AccessType.Write) != 0);
                vma.Mappable.DecRef();
            }
        }
    }

    /// <summary>Lock held: _mu. Takes away translations and page references of a range, the VMAs stay.</summary>
    private void DropPagesLocked(ulong start, ulong end, bool privateOnly)
    {
        ulong first = start;
        if (!_pages.TryNext(ref first, end, out _))
        {
            return;
        }

        _space.Unmap(first, end - first);
        ulong runStart = 0, runLength = 0;
        while (_pages.TryNext(ref first, end, out ulong entry))
        {
            if (!privateOnly || (entry & PageMap.Private) != 0)
            {
                _pages.Set(first, 0);
                ulong offset = PageMap.OffsetOf(entry);
                if (runLength > 0 && offset == runStart + runLength && offset % IMemorySource.ChunkSize != 0)
                {
                    runLength += PageSize;
                }
                else
                {
                    if (runLength > 0)
                    {
                        _file.DecRef(runStart, runLength);
                    }

                    runStart = offset;
                    runLength = PageSize;
                }
            }

            first += PageSize;
        }

        if (runLength > 0)
        {
            _file.DecRef(runStart, runLength);
        }
    }
}
