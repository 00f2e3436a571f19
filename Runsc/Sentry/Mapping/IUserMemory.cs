using Runsc.Linux;
using Runsc.Platform;
using System;

namespace Runsc.Sentry.Mapping;

/// <summary>The memory of an application, as the kernel reads and writes it. Never throws for a bad address.</summary>
internal interface IUserMemory
{
    /// <summary>Copies from the application. Bytes copied, fewer when a page in between is bad, or −EFAULT when none.</summary>
    long CopyIn(ulong address, Span<byte> destination);

    /// <summary>Copies to the application. Bytes copied, fewer when a page in between is bad, or −EFAULT when none.</summary>
    long CopyOut(ulong address, ReadOnlySpan<byte> source);

    /// <summary>Writes zeros. Result as <see cref="CopyOut"/>.</summary>
    long ZeroOut(ulong address, ulong length);

    /// <summary>
    /// Faults in the pages from <paramref name="address"/> and holds them, so that the host may read or write them
    /// in place. The pinned range is contiguous in the Sentry and may be shorter than asked, never empty. EFAULT.
    /// </summary>
    Errno Pin(ulong address, ulong length, AccessType access, out PinnedMemory pinned);

    /// <summary>Gives back what <see cref="Pin"/> held.</summary>
    void Unpin(in PinnedMemory pinned);
}

/// <summary>Pages of the MemoryFile held for host I/O.</summary>
internal readonly unsafe struct PinnedMemory(byte* pointer, int length, ulong fileOffset)
{
    /// <summary>Where the Sentry sees the bytes; valid until unpinned.</summary>
    public readonly byte* Pointer = pointer;

    public readonly int Length = length;

    /// <summary>Offset of the first byte in the MemoryFile.</summary>
    public readonly ulong FileOffset = fileOffset;

    // SAFETY: the pin holds a reference on every page, and the MemoryFile's host mapping never shrinks.
    public Span<byte> Span => new(Pointer, Length);
}
