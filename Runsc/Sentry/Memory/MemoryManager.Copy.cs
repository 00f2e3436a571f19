using System;
using System.Runtime.CompilerServices;
using System.Threading;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

internal sealed unsafe partial class MemoryManager
{
    public long CopyIn(ulong address, Span<byte> destination)
    {
        int done = 0;
        lock (_mu)
        {
            while (done < destination.Length)
            {
                int step = PieceLocked(address + (ulong)done, destination.Length - done, AccessType.Read, out byte* source);
                if (step == 0)
                {
                    break;
                }

                // SAFETY: PieceLocked gives a pointer into an allocated page, which the lock keeps. Racy by design: the
                // application may write meanwhile; the copy is what is checked.
                new ReadOnlySpan<byte>(source, step).CopyTo(destination[done..]);
                done += step;
            }
        }

        return done > 0 || destination.IsEmpty ? done : -(long)Errno.EFAULT;
    }

    public long CopyOut(ulong address, ReadOnlySpan<byte> source)
    {
        int done = 0;
        lock (_mu)
        {
            while (done < source.Length)
            {
                int step = PieceLocked(address + (ulong)done, source.Length - done, AccessType.Write, out byte* destination);
                if (step == 0)
                {
                    break;
                }

                source.Slice(done, step).CopyTo(new Span<byte>(destination, step));
                done += step;
            }
        }

        return done > 0 || source.IsEmpty ? done : -(long)Errno.EFAULT;
    }

    public long ZeroOut(ulong address, ulong length)
    {
        ulong done = 0;
        lock (_mu)
        {
            while (done < length)
            {
                int step = PieceLocked(address + done, (int)Math.Min(length - done, int.MaxValue), AccessType.Write, out byte* destination);
                if (step == 0)
                {
                    break;
                }

                new Span<byte>(destination, step).Clear();
                done += (ulong)step;
            }
        }

        return done > 0 || length == 0 ? (long)done : -(long)Errno.EFAULT;
    }

    public Errno Pin(ulong address, ulong length, AccessType access, out PinnedMemory pinned)
    {
        lock (_mu)
        {
            int step = PieceLocked(address, (int)Math.Min(length, 1 << 30), access, out byte* pointer, out ulong offset);
            if (step == 0)
            {
                pinned = default;
                return Errno.EFAULT;
            }

            // Following pages that lie behind each other in the MemoryFile come along, so that one host call moves many.
            while ((ulong)step < length && step < 1 << 30)
            {
                int more = PieceLocked(address + (ulong)step, (int)Math.Min(length - (ulong)step, PageSize), access, out _, out ulong next);
                if (more == 0 || next != offset + (ulong)step || next % IMemorySource.ChunkSize == 0)
                {
                    break;
                }

                step += more;
            }

            ulong first = offset & ~(PageSize - 1);
            _file.Pin(first, PageUp(offset + (ulong)step) - first);
            pinned = new PinnedMemory(pointer, step, offset);
            return Errno.None;
        }
    }

    public void Unpin(in PinnedMemory pinned)
    {
        ulong first = pinned.FileOffset & ~(PageSize - 1);
        _file.Unpin(first, PageUp(pinned.FileOffset + (ulong)pinned.Length) - first);
    }

    /// <summary>A value of the application's: all of it, or EFAULT.</summary>
    public Errno CopyIn<T>(ulong address, out T value)
        where T : unmanaged
    {
        value = default;
        Span<byte> bytes = new(Unsafe.AsPointer(ref value), sizeof(T));
        return CopyIn(address, bytes) == sizeof(T) ? Errno.None : Errno.EFAULT;
    }

    /// <summary>Writes a value to the application: all of it, or EFAULT.</summary>
    public Errno CopyOut<T>(ulong address, in T value)
        where T : unmanaged
    {
        T copy = value;
        return CopyOut(address, new ReadOnlySpan<byte>(&copy, sizeof(T))) == sizeof(T) ? Errno.None : Errno.EFAULT;
    }

    /// <summary>
    /// A NUL-terminated string into <paramref name="buffer"/>, without its NUL: the length, −EFAULT, or −ENAMETOOLONG when no NUL is among
    /// the bytes that fit.
    /// </summary>
    public long CopyInString(ulong address, Span<byte> buffer)
    {
        int done = 0;
        lock (_mu)
        {
            while (done < buffer.Length)
            {
                int want = (int)Math.Min((ulong)(buffer.Length - done), PageSize - (address + (ulong)done) % PageSize);
                int step = PieceLocked(address + (ulong)done, want, AccessType.Read, out byte* source);
                if (step == 0)
                {
                    return -(long)Errno.EFAULT;
                }

                Span<byte> piece = buffer.Slice(done, step);
                new ReadOnlySpan<byte>(source, step).CopyTo(piece);
                int end = piece.IndexOf((byte)0);
                if (end >= 0)
                {
                    return done + end;
                }

                done += step;
            }
        }

        return -(long)Errno.ENAMETOOLONG;
    }

    /// <summary>Reads a 32-bit word as one access (futex(2)). EFAULT, EINVAL when it is not aligned.</summary>
    public Errno LoadUInt32(ulong address, out uint value)
    {
        value = 0;
        if (address % 4 != 0)
        {
            return Errno.EINVAL;
        }

        lock (_mu)
        {
            if (PieceLocked(address, 4, AccessType.Read, out byte* word) != 4)
            {
                return Errno.EFAULT;
            }

            value = Volatile.Read(ref *(uint*)word);
            return Errno.None;
        }
    }

    /// <summary>Atomic compare-and-exchange on a 32-bit word of the application. <paramref name="seen"/> is what was there.</summary>
    public Errno CompareExchangeUInt32(ulong address, uint expected, uint replacement, out uint seen)
    {
        seen = 0;
        if (address % 4 != 0)
        {
            return Errno.EINVAL;
        }

        lock (_mu)
        {
            if (PieceLocked(address, 4, AccessType.Write, out byte* word) != 4)
            {
                return Errno.EFAULT;
            }

            seen = Interlocked.CompareExchange(ref *(uint*)word, replacement, expected);
            return Errno.None;
        }
    }

    /// <summary>
    /// What identifies a futex word for tasks that share it: the page of the MemoryFile for shared mappings, the address space and address for private ones.
    /// </summary>
    public Errno GetFutexKey(ulong address, bool isPrivate, out FutexKey key)
    {
        key = default;
        if (address % 4 != 0)
        {
            return Errno.EINVAL;
        }

        if (address >= _limit)
        {
            return Errno.EFAULT;
        }

        lock (_mu)
        {
            Vma? vma = _vmas.Find(address);
            if (isPrivate || vma is { Shared: false })
            {
                key = new FutexKey(this, address);
                return Errno.None;
            }

            if (PieceLocked(address, 4, AccessType.Read, out _, out ulong offset) != 4)
            {
                return Errno.EFAULT;
            }

            key = new FutexKey(null, offset);
            return Errno.None;
        }
    }

    private int PieceLocked(ulong address, int length, AccessType access, out byte* pointer) => PieceLocked(address, length, access, out pointer, out _);

    /// <summary>
    /// Lock held: _mu. Faults in the page at <paramref name="address"/> and tells where the Sentry sees it: bytes up to the page's end, or 0 for a bad address.
    /// </summary>
    private int PieceLocked(ulong address, int length, AccessType access, out byte* pointer, out ulong offset)
    {
        pointer = null;
        offset = 0;
        if (address >= _limit)
        {
            return 0;
        }

        ulong page = PageDown(address);
        ulong entry = _pages.Get(page);
        bool write = (access & AccessType.Write) != 0;
        Vma? vma = entry == 0 ? null : _vmas.Find(page);
        if (vma is not null && (vma.Protection & AccessType.Read) != 0
            && (!write || ((vma.Protection & AccessType.Write) != 0 && vma.IsPrivate && (entry & PageMap.Private) != 0 && _file.IsSole(PageMap.OffsetOf(entry)))))
        {
            offset = PageMap.OffsetOf(entry);
        }
        else if (FaultLocked(page, access, out offset) != FaultResult.Handled)
        {
            return 0;
        }

        int inPage = (int)(address - page);
        offset += (ulong)inPage;
        pointer = _file.Pointer(offset);
        return Math.Min(length, (int)PageSize - inPage);
    }
}

/// <summary>Identity of a futex word. With a manager: private, Value is the address; without: shared, Value is the offset in the MemoryFile.</summary>
internal readonly record struct FutexKey(MemoryManager? Manager, ulong Value);
