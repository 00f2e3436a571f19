using Runsc.Linux;
using Runsc.Platform;

namespace Runsc.Sentry.Memory;

internal sealed partial class MemoryManager
{
    /// <summary>
    /// A copy for fork(2): mappings and shared pages alike, private pages copied when either side writes. Not to be called
    /// by two threads of one process at a time for the same child; the parent goes on in other threads meanwhile.
    /// </summary>
    public MemoryManager Fork()
    {
        MemoryManager child = new(_platform, _file);
        lock (_mu)
        {
            child._mmapTop = _mmapTop;
            child._brkStart = _brkStart;
            child._brk = _brk;
            child.ArgumentStart = ArgumentStart;
            child.ArgumentEnd = ArgumentEnd;
            child.EnvironmentStart = EnvironmentStart;
            child.EnvironmentEnd = EnvironmentEnd;
            child.StackStart = StackStart;
            child.CodeStart = CodeStart;
            child.CodeEnd = CodeEnd;
            child.AuxiliaryVector = AuxiliaryVector;
            child.VdsoBase = VdsoBase;
            child.StackLimit = StackLimit;
            child.AddressSpaceLimit = AddressSpaceLimit;
            for (int i = 0; i < _vmas.Count; i++)
            {
                Vma vma = _vmas[i];
                if (vma.DontFork)
                {
                    continue;
                }

                Vma copy = vma.Clone();
                copy.Locked = false;
                copy.Mappable?.IncRef();
                copy.Mappable?.AddMapping(child, copy.Start, copy.Offset, copy.Length, copy.Shared && (copy.MaxProtection & AccessType.Write) != 0);
                child._vmas.Insert(copy);
                child._totalBytes += copy.Length;
                if (!vma.WipeOnFork)
                {
                    ShareLocked(child, vma);
                }
            }
        }

        return child;
    }

    private void ShareLocked(MemoryManager child, Vma vma)
    {
        bool writable = false;
        ulong address = vma.Start, first = 0, last = 0;
        while (_pages.TryNext(ref address, vma.End, out ulong entry))
        {
            ulong offset = PageMap.OffsetOf(entry);

            // A page that the host is writing into for the parent must stay the parent's: the child gets its copy at once.
            if ((entry & PageMap.Private) != 0 && _file.IsPinned(offset) && _file.Allocate(PageSize, out ulong copy) == Errno.None)
            {
                _file.Span(offset, (int)PageSize).CopyTo(_file.Span(copy, (int)PageSize));
                child._pages.Set(address, copy | PageMap.Present | PageMap.Private);
                address += PageSize;
                continue;
            }

            _file.IncRef(offset, PageSize);
            child._pages.Set(address, entry);
            if ((entry & PageMap.Private) != 0)
            {
                first = writable ? first : address;
                last = address + PageSize;
                writable = true;
            }

            address += PageSize;
        }

        // From now on neither side is the only holder, so neither may write without a fault.
        if (writable && (vma.Protection & AccessType.Write) != 0)
        {
            _space.MakeReadOnly(first, last - first);
        }
    }
}
