using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

/// <summary>One mapping, as /proc/PID/maps and smaps show it.</summary>
internal readonly record struct MappingReport(
    ulong Start, ulong End, AccessType Protection, bool Shared, ulong Offset, IMappable? Mappable, string? Name, ulong ResidentBytes, ulong PrivateBytes, bool Locked);

/// <summary>What /proc tells of an address space, and names of mappings.</summary>
internal sealed partial class MemoryManager
{
    /// <summary>All mappings in order of addresses. With <paramref name="count"/> their pages are counted too, which takes longer.</summary>
    public List<MappingReport> Report(bool count)
    {
        List<MappingReport> reports = [];
        lock (_mu)
        {
            for (int i = 0; i < _vmas.Count; i++)
            {
                Vma vma = _vmas[i];
                ulong resident = 0, privately = 0;
                ulong address = vma.Start;
                while (count && _pages.TryNext(ref address, vma.End, out ulong entry))
                {
                    resident += PageSize;
                    privately += (entry & PageMap.Private) != 0 ? PageSize : 0;
                    address += PageSize;
                }

                string? name = vma.Name ?? (vma.Mappable is null && vma.Start <= _brk && vma.End > _brkStart && _brk > _brkStart ? "[heap]" : null);
                reports.Add(new MappingReport(
                    vma.Start, vma.End, vma.Protection, vma.Shared, vma.Mappable is null ? 0 : vma.Offset, vma.Mappable, name, resident, privately, vma.Locked));
            }
        }

        return reports;
    }

    /// <summary>Bytes that are mapped (VmSize).</summary>
    public ulong MappedBytes
    {
        get
        {
            lock (_mu)
            {
                return _totalBytes;
            }
        }
    }

    /// <summary>Start and end of the heap.</summary>
    public (ulong Start, ulong End) Heap
    {
        get
        {
            lock (_mu)
            {
                return (_brkStart, _brk);
            }
        }
    }

    /// <summary>prctl(PR_SET_VMA_ANON_NAME): names anonymous mappings "[anon:NAME]"; null takes the name away. EINVAL, ENOMEM for holes, EBADF for files.</summary>
    public Errno SetAnonymousName(ulong address, ulong length, string? name)
    {
        ulong size = PageUp(length);
        if (address % PageSize != 0 || (length != 0 && size == 0) || size > _limit || address > _limit - size)
        {
            return Errno.EINVAL;
        }

        lock (_mu)
        {
            ulong end = address + size, at = address;
            _vmas.SplitAt(address);
            _vmas.SplitAt(end);
            Errno error = Errno.None;
            for (int i = _vmas.IndexAfter(address); i < _vmas.Count && _vmas[i].Start < end && error == Errno.None; i++)
            {
                Vma vma = _vmas[i];
                error = vma.Start > at ? Errno.ENOMEM : vma.Mappable is not null && vma.IsPrivate ? Errno.EBADF : Errno.None;
                if (error == Errno.None)
                {
                    vma.Name = name is null ? null : $"[anon:{name}]";
                    at = vma.End;
                }
            }

            _vmas.Merge(address, end);
            return error == Errno.None && at < end ? Errno.ENOMEM : error;
        }
    }
}
