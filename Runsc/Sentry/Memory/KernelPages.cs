using System;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

/// <summary>A few contiguous pages that the kernel keeps for ever and maps into every program (vvar and vDSO). They cannot be written through a shared mapping.</summary>
internal sealed class KernelPages : IMappable
{
    private readonly MemoryFile _memory;
    private readonly ulong _start;
    private readonly ulong _length;

    private KernelPages(MemoryFile memory, ulong start, ulong length, MappingIdentity identity)
    {
        _memory = memory;
        _start = start;
        _length = length;
        Identity = identity;
    }

    public MappingIdentity Identity { get; set; }

    /// <summary>The bytes, zero at first. The pages are never freed.</summary>
    public Span<byte> Bytes => _memory.Span(_start, (int)_length);

    /// <summary>Where the Sentry sees the first byte.</summary>
    public unsafe byte* Pointer => _memory.Pointer(_start);

    /// <summary>ENOMEM.</summary>
    public static Errno Create(MemoryFile memory, int pages, string name, out KernelPages? made)
    {
        ulong length = (ulong)pages * MemoryFile.PageSize;
        Errno error = memory.Allocate(length, out ulong start, charged: false);
        made = error == Errno.None ? new KernelPages(memory, start, length, new MappingIdentity(name, 0, 0)) : null;
        return error;
    }

    public Errno Translate(ulong offset, ulong length, AccessType access, out FileRange range)
    {
        range = default;
        if (offset >= _length)
        {
            return Errno.EFAULT;
        }

        range = new FileRange(_start + offset, Math.Min(length, _length - offset));
        _memory.IncRef(range.Offset, range.Length);
        return Errno.None;
    }

    public void AddMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared)
    {
    }

    public void RemoveMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared)
    {
    }

    public Errno Sync(ulong offset, ulong length) => Errno.None;

    public void IncRef()
    {
    }

    public void DecRef()
    {
    }
}
