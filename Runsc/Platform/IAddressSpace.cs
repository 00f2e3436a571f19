using System;

namespace Runsc.Platform;

/// <summary>
/// The translations of one process: guest pages to pages of the MemoryFile. Addresses, offsets and lengths are multiples of 4096 and lie
/// below <see cref="IPlatform.UserAddressLimit"/>. What is not mapped faults. It is a cache of what the memory manager knows: any part may be
/// dropped at any time and mapped again from the fault.
/// Thread-safe; calls on one space are serialised inside. When a call returns, no running or later code can use a translation that it took away.
/// </summary>
internal interface IAddressSpace : IDisposable
{
    /// <summary>
    /// Maps [address, address + length) to the MemoryFile from <paramref name="fileOffset"/> on, replacing what was there.
    /// <paramref name="access"/> must hold Read or Execute (x86 has no write-only or unreadable executable pages: any right implies Read).
    /// </summary>
    void Map(ulong address, ulong fileOffset, ulong length, AccessType access);

    /// <summary>Removes the translations of a range. Ranges that were never mapped cost little.</summary>
    void Unmap(ulong address, ulong length);

    /// <summary>
    /// Takes the right to write from every page of a range that is mapped, and leaves the rest as it is: what fork(2) does to the parent's
    /// private memory. Good for very large ranges.
    /// </summary>
    void MakeReadOnly(ulong address, ulong length);

    // Dispose: no context may be in a switch with this space, now or later. Frees the tables; the frames belong to the caller.
}
