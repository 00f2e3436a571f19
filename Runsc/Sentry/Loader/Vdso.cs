using System;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Loader;

/// <summary>The virtual dynamic shared object (vdso(7)): a time page and above it an ELF image of one page, mapped into every program.</summary>
internal sealed class Vdso
{
    private const ulong PageSize = 4096;

    private readonly KernelPages _pages;

    /// <exception cref="RunscException">There is no memory for two pages.</exception>
    public unsafe Vdso(MemoryFile memory)
    {
        if (KernelPages.Create(memory, 2, "[vdso]", out KernelPages? pages) != Errno.None)
        {
            throw new RunscException("no memory for the vDSO");
        }

        _pages = pages!;
        VdsoImage.Build().CopyTo(_pages.Bytes[(int)PageSize..]);
        Time = new TimePage(_pages.Pointer);
    }

    /// <summary>What the code computes with.</summary>
    public TimePage Time { get; }

    /// <summary>Maps both pages where the address space has room: the image's address. The time page stays read-only; a debugger may write into its own copy of the image.</summary>
    public Errno Map(MemoryManager memory, out ulong address)
    {
        MmapRequest time = new() { Length = 2 * PageSize, Protection = AccessType.Read, MaxProtection = AccessType.Read, Shared = true, Mappable = _pages, Name = "[vvar]" };
        Errno error = memory.Mmap(time, out ulong start);
        address = start + PageSize;
        if (error != Errno.None)
        {
            return error;
        }

        MmapRequest image = new()
        {
            Address = address,
            Length = PageSize,
            Protection = AccessType.Read | AccessType.Execute,
            Fixed = true,
            Mappable = _pages,
            Offset = PageSize,
            Name = "[vdso]",
        };
        return memory.Mmap(image, out _);
    }
}
