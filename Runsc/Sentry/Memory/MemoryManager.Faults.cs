using System;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

/// <summary>What a fault comes to.</summary>
internal enum FaultResult
{
    /// <summary>The access can be tried again.</summary>
    Handled,

    /// <summary>No mapping: SIGSEGV with SEGV_MAPERR.</summary>
    NotMapped,

    /// <summary>The mapping forbids it: SIGSEGV with SEGV_ACCERR.</summary>
    NotAllowed,

    /// <summary>Past the end of a mapped file, or its page cannot be read: SIGBUS with BUS_ADRERR.</summary>
    Bus,

    /// <summary>No memory: the task is killed, as Linux's out-of-memory killer would.</summary>
    OutOfMemory,
}

internal sealed partial class MemoryManager
{
    /// <summary>Free addresses below a stack that nothing may take.</summary>
    private const ulong GuardGap = 1UL << 20;

    /// <summary>Pages that one fault brings in around the one it wants: a fault costs as much as copying dozens of pages.</summary>
    private const ulong AnonymousAround = 64 << 10;

    private const ulong FileAround = 64 << 10;

    /// <summary>A page fault of the application, or of the kernel on its behalf.</summary>
    public FaultResult HandleFault(ulong address, AccessType access)
    {
        lock (_mu)
        {
            return FaultLocked(PageDown(address), access, out _);
        }
    }

    /// <summary>
    /// Brings in every page of a range (MAP_POPULATE, mlock) up to the first that cannot be had: ENOMEM for a hole or when memory is out, EFAULT for what
    /// a file does not have. Mappings without rights are left out.
    /// </summary>
    public Errno Populate(ulong address, ulong length)
    {
        ulong end = address + length, page = PageDown(address);
        while (page < end)
        {
            lock (_mu)
            {
                Vma? vma = _vmas.Find(page);
                if (vma is null)
                {
                    return Errno.ENOMEM;
                }

                if (vma.Protection == AccessType.None)
                {
                    page = vma.End;
                    continue;
                }

                bool write = (vma.Protection & AccessType.Write) != 0 && vma.IsPrivate;
                FaultResult result = _pages.Get(page) != 0 ? FaultResult.Handled : FaultLocked(page, write ? AccessType.Write : AccessType.Read, out _);
                if (result != FaultResult.Handled)
                {
                    return result == FaultResult.OutOfMemory ? Errno.ENOMEM : Errno.EFAULT;
                }

                page += PageSize;
            }
        }

        return Errno.None;
    }

    /// <summary>Lock held: _mu. On success the page at <paramref name="address"/> is present, and private or dirty if it was to be written.</summary>
    private FaultResult FaultLocked(ulong address, AccessType access, out ulong offset)
    {
        offset = 0;
        Vma? vma = _vmas.Find(address);
        if (vma is null)
        {
            vma = GrowStackLocked(address);
            if (vma is null)
            {
                return FaultResult.NotMapped;
            }
        }

        // x86 has no pages that can be written or executed but not read.
        AccessType allowed = vma.Protection == AccessType.None ? AccessType.None : vma.Protection | AccessType.Read;
        if ((access & ~allowed) != 0)
        {
            return FaultResult.NotAllowed;
        }

        ulong entry = _pages.Get(address);
        bool write = (access & AccessType.Write) != 0;
        if (entry == 0)
        {
            FaultResult result = vma.Mappable is null ? BringAnonymousLocked(vma, address) : BringFileLocked(vma, address, write);
            offset = PageMap.OffsetOf(_pages.Get(address));
            return result;
        }

        offset = PageMap.OffsetOf(entry);
        if (!write)
        {
            MapLocked(vma, address, entry, PageSize);
            return FaultResult.Handled;
        }

        if (vma.Shared)
        {
            return MakeDirtyLocked(vma, address, entry);
        }

        if ((entry & PageMap.Private) == 0 || !_file.IsSole(offset))
        {
            if (_file.Allocate(PageSize, out ulong copy) != Errno.None)
            {
                return FaultResult.OutOfMemory;
            }

            _file.Span(offset, (int)PageSize).CopyTo(_file.Span(copy, (int)PageSize));
            _pages.Set(address, copy | PageMap.Present | PageMap.Private);
            _space.Map(address, copy, PageSize, vma.Protection | AccessType.Read);
            _file.DecRef(offset, PageSize);
            offset = copy;
            return FaultResult.Handled;
        }

        _space.Map(address, offset, PageSize, vma.Protection | AccessType.Read);
        return FaultResult.Handled;
    }

    private FaultResult BringAnonymousLocked(Vma vma, ulong address)
    {
        // Around the fault, as far as the VMA reaches and nothing is there yet.
        ulong start = Math.Max(address & ~(AnonymousAround - 1), vma.Start), end = Math.Min((address & ~(AnonymousAround - 1)) + AnonymousAround, vma.End);
        for (ulong page = address; page > start; page -= PageSize)
        {
            if (_pages.Get(page - PageSize) != 0)
            {
                start = page;
                break;
            }
        }

        for (ulong page = address + PageSize; page < end; page += PageSize)
        {
            if (_pages.Get(page) != 0)
            {
                end = page;
                break;
            }
        }

        if (_file.Allocate(end - start, out ulong offset) != Errno.None)
        {
            start = address;
            end = address + PageSize;
            if (_file.Allocate(PageSize, out offset) != Errno.None)
            {
                return FaultResult.OutOfMemory;
            }
        }

        for (ulong page = start; page < end; page += PageSize)
        {
            _pages.Set(page, (offset + (page - start)) | PageMap.Present | PageMap.Private);
        }

        _space.Map(start, offset, end - start, vma.Protection | AccessType.Read);
        return FaultResult.Handled;
    }

    private FaultResult BringFileLocked(Vma vma, ulong address, bool write)
    {
        bool copy = write && vma.IsPrivate;
        ulong start = address, end = address + PageSize;
        if (!copy)
        {
            start = Math.Max(address & ~(FileAround - 1), vma.Start);
            end = Math.Min((address & ~(FileAround - 1)) + FileAround, vma.End);
            for (ulong page = address; page > start; page -= PageSize)
            {
                if (_pages.Get(page - PageSize) != 0)
                {
                    start = page;
                    break;
                }
            }

            for (ulong page = address + PageSize; page < end; page += PageSize)
            {
                if (_pages.Get(page) != 0)
                {
                    end = page;
                    break;
                }
            }
        }

        AccessType access = write && vma.Shared ? AccessType.Write : AccessType.Read;
        FaultResult result = TranslateLocked(vma, address, end - address, access, out FileRange range);
        if (result != FaultResult.Handled)
        {
            return result;
        }

        if (copy)
        {
            if (_file.Allocate(PageSize, out ulong own) != Errno.None)
            {
                _file.DecRef(range.Offset, range.Length);
                return FaultResult.OutOfMemory;
            }

            _file.Span(range.Offset, (int)PageSize).CopyTo(_file.Span(own, (int)PageSize));
            _file.DecRef(range.Offset, range.Length);
            _pages.Set(address, own | PageMap.Present | PageMap.Private);
            _space.Map(address, own, PageSize, vma.Protection | AccessType.Read);
            return FaultResult.Handled;
        }

        InstallLocked(vma, address, range, write);

        // What follows and precedes comes along if the file has it at hand; a failure there is not the application's.
        ulong next = address + range.Length;
        while (next < end && TranslateLocked(vma, next, end - next, access, out range) == FaultResult.Handled)
        {
            InstallLocked(vma, next, range, write);
            next += range.Length;
        }

        next = start;
        while (next < address && TranslateLocked(vma, next, address - next, access, out range) == FaultResult.Handled)
        {
            InstallLocked(vma, next, range, write);
            next += range.Length;
        }

        return FaultResult.Handled;
    }

    private void InstallLocked(Vma vma, ulong address, FileRange range, bool write)
    {
        for (ulong done = 0; done < range.Length; done += PageSize)
        {
            _pages.Set(address + done, (range.Offset + done) | PageMap.Present);
        }

        AccessType access = vma.Protection | AccessType.Read;
        if (vma.IsPrivate || !write)
        {
            access &= ~AccessType.Write;
        }

        _space.Map(address, range.Offset, range.Length, access);
    }

    private static FaultResult TranslateLocked(Vma vma, ulong address, ulong length, AccessType access, out FileRange range)
    {
        Errno error = vma.Mappable!.Translate(vma.OffsetOf(address), length, access, out range);
        return error switch
        {
            Errno.None => FaultResult.Handled,
            Errno.ENOMEM or Errno.ENOSPC when access == AccessType.Read => FaultResult.OutOfMemory,
            _ => FaultResult.Bus,
        };
    }

    /// <summary>A first write to a present page of a shared mapping: the file must know.</summary>
    private FaultResult MakeDirtyLocked(Vma vma, ulong address, ulong entry)
    {
        if (vma.Mappable is not null)
        {
            FaultResult result = TranslateLocked(vma, address, PageSize, AccessType.Write, out FileRange range);
            if (result != FaultResult.Handled)
            {
                return result;
            }

            ulong old = PageMap.OffsetOf(entry);
            if (range.Offset != old)
            {
                _space.Unmap(address, PageSize);
                _pages.Set(address, range.Offset | PageMap.Present);
                entry = range.Offset | PageMap.Present;
            }

            _file.DecRef(old, PageSize);
        }

        _space.Map(address, PageMap.OffsetOf(entry), PageSize, vma.Protection | AccessType.Read);
        return FaultResult.Handled;
    }

    /// <summary>Gives the platform a page again that it has lost, with what may be done without another fault.</summary>
    private void MapLocked(Vma vma, ulong address, ulong entry, ulong length)
    {
        ulong offset = PageMap.OffsetOf(entry);
        AccessType access = vma.Protection | AccessType.Read;
        if (vma.Shared ? vma.Mappable is not null : (entry & PageMap.Private) == 0 || !_file.IsSole(offset))
        {
            access &= ~AccessType.Write;
        }

        _space.Map(address, offset, length, access);
    }

    private Vma? GrowStackLocked(ulong address)
    {
        int index = _vmas.IndexAfter(address);
        if (index == _vmas.Count || !_vmas[index].GrowsDown)
        {
            return null;
        }

        Vma stack = _vmas[index];
        ulong start = PageDown(address);
        if (stack.End - start > StackLimit || start < MinAddress)
        {
            return null;
        }

        if (index > 0 && _vmas[index - 1].Protection != AccessType.None && _vmas[index - 1].End + GuardGap > start)
        {
            return null;
        }

        _totalBytes += stack.Start - start;
        stack.Start = start;
        return stack;
    }
}
