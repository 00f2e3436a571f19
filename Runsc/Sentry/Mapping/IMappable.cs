using Runsc.Linux;
using Runsc.Platform;

namespace Runsc.Sentry.Mapping;

/// <summary>Bytes of the MemoryFile.</summary>
internal readonly record struct FileRange(ulong Offset, ulong Length)
{
    public ulong End => Offset + Length;
}

/// <summary>What mmap(2) can map: the pages of a file (or of shared anonymous memory), which live in the MemoryFile.</summary>
/// <remarks>
/// Lock order: a MemoryManager's mapping lock comes before any lock of a mappable, except for <see cref="IMappingSpace.InvalidateMappings"/>,
/// which a mappable calls with none of its locks held.
/// </remarks>
internal interface IMappable
{
    /// <summary>
    /// The page of the file at <paramref name="offset"/> (page-aligned) and as many following ones, up to <paramref name="length"/> bytes,
    /// as are contiguous in the MemoryFile and cheap to have. With Write in <paramref name="access"/> the pages become dirty.
    /// The caller gets one reference on each page of the range (MemoryFile.DecRef). May read from the host.
    /// A page wholly past the end of the file: EFAULT, which becomes SIGBUS; an I/O error: EIO, likewise SIGBUS.
    /// </summary>
    Errno Translate(ulong offset, ulong length, AccessType access, out FileRange range);

    /// <summary>A mapping of the file's bytes [offset, offset+length) came into being in <paramref name="space"/> at <paramref name="address"/>.</summary>
    void AddMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared);

    /// <summary>The mapping (or this part of it) is gone.</summary>
    void RemoveMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared);

    /// <summary>msync(2) with MS_SYNC: writes dirty pages of the range back. Errors of the host.</summary>
    Errno Sync(ulong offset, ulong length);

    /// <summary>Every VMA holds a reference to what it maps.</summary>
    void IncRef();

    void DecRef();

    /// <summary>What /proc/PID/maps shows. A file system that is stacked on another puts its own here.</summary>
    MappingIdentity Identity { get; set; }
}

/// <summary>Path (one char for each byte), device and inode of a mapped file, as /proc/PID/maps shows them. Device is in the encoding of stat(2).</summary>
internal readonly record struct MappingIdentity(string Name, ulong Device, ulong Inode);

/// <summary>An address space, as a mapped file sees it.</summary>
internal interface IMappingSpace
{
    /// <summary>
    /// The file's pages at [address, address+length) were truncated or replaced: drop translations, so that the next access asks
    /// <see cref="IMappable.Translate"/> again. With <paramref name="includingPrivate"/> private copies go too (truncation).
    /// </summary>
    void InvalidateMappings(ulong address, ulong length, bool includingPrivate);
}
