using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform;

namespace Runsc.Sentry.Memory;

/// <summary>The memfd that backs all memory of the applications, in pages with reference counts. A page that nobody holds is punched out, so a new one reads as zeros.</summary>
/// <remarks>
/// The file is mapped into the Sentry in chunks of 1 GiB that never move or shrink, so a pointer into it is always good.
/// Punching also drops every translation that the platform's host kernel may still have (see Platform).
/// </remarks>
internal sealed unsafe class MemoryFile : IMemorySource
{
    public const ulong PageSize = 4096;

    private const ulong ChunkSize = IMemorySource.ChunkSize;
    private const int PagesPerChunk = (int)(ChunkSize / PageSize);
    private const long OnePin = (1L << 32) + 1;

    private readonly Lock _mu = new();
    private readonly int _fd;
    private readonly int _maxChunks;
    private readonly byte*[] _chunks;

    // One word for each page, changed by Interlocked: references in the low half, and in the high half how many of them are pins.
    // Written under _mu when a chunk is added.
    private readonly long[][] _references;

    // Guarded by _mu: free extents by start, and the same by length.
    private readonly SortedDictionary<ulong, ulong> _freeByStart = [];
    private readonly SortedSet<(ulong Length, ulong Start)> _freeByLength = [];

    // Guarded by _mu: accounts by their index (null: free, or given up by its container and empty), and for each page of a chunk the index of the one
    // that it is charged to. A chunk has no such table until a page of it is charged.
    private readonly MemoryAccount?[] _accounts = new MemoryAccount?[byte.MaxValue + 1];
    private readonly byte[]?[] _payers;

    [ThreadStatic]
    private static MemoryAccount? t_account;

    private int _chunkCount;
    private long _usedPages;

    /// <summary>Called with a new chunk before its pages are handed out.</summary>
    private readonly Action<ulong, nint, ulong> _onGrow;

    /// <param name="limit">Bytes that applications may use at most, rounded up to chunks.</param>
    /// <param name="onGrow">Tells the platform of new memory (offset, host address, length).</param>
    public MemoryFile(ulong limit, Action<ulong, nint, ulong> onGrow)
    {
        _onGrow = onGrow;
        _maxChunks = (int)((limit + ChunkSize - 1) / ChunkSize);
        _chunks = new byte*[_maxChunks];
        _references = new long[_maxChunks][];
        _payers = new byte[_maxChunks][];
        _fd = HostMemory.CreateFile("runsc-memory\0"u8, Mman.MFD_CLOEXEC);
        if (_fd < 0)
        {
            throw new RunscException($"cannot make the memory file: errno {-_fd}");
        }
    }

    public int Fd => _fd;

    public ulong Size => (ulong)Volatile.Read(ref _chunkCount) * ChunkSize;

    /// <summary>Bytes in use.</summary>
    public ulong Used => (ulong)Volatile.Read(ref _usedPages) * PageSize;

    public ulong Limit => (ulong)_maxChunks * ChunkSize;

    public byte* ChunkBase(int chunk) => _chunks[chunk];

    /// <summary>Where the Sentry sees a byte of the file. Good up to the end of its chunk; ranges that were allocated never cross one.</summary>
    public byte* Pointer(ulong offset) => _chunks[(int)(offset / ChunkSize)] + offset % ChunkSize;

    /// <summary>The bytes of an allocated range.</summary>
    public Span<byte> Span(ulong offset, int length) => new(Pointer(offset), length);

    /// <summary>Who is charged with what this thread allocates; null for nobody. A thread of a task sets it once.</summary>
    public static MemoryAccount? Payer
    {
        get => t_account;
        set => t_account = value;
    }

    /// <summary>An account with a limit in pages; null when there are too many.</summary>
    public MemoryAccount? AddAccount(long limit)
    {
        lock (_mu)
        {
            int index = Array.IndexOf(_accounts, null, 1);
            return index < 0 ? null : _accounts[index] = new MemoryAccount(index, limit);
        }
    }

    /// <summary>Gives an account up. Its index is used again once nothing is charged to it.</summary>
    public void RemoveAccount(MemoryAccount account)
    {
        lock (_mu)
        {
            account.IsGivenUp = true;
            ForgetEmptyLocked(account);
        }
    }

    private void ForgetEmptyLocked(MemoryAccount account)
    {
        if (account.IsGivenUp && account.Used == 0)
        {
            _accounts[account.Index] = null;
        }
    }

    /// <summary>A contiguous range of zeroed pages, each with one reference. ENOMEM.</summary>
    /// <param name="length">Bytes, whole pages.</param>
    /// <param name="offset">Where they are.</param>
    /// <param name="charged">The thread's <see cref="Payer"/> pays for them.</param>
    public Errno Allocate(ulong length, out ulong offset, bool charged = true)
    {
        MemoryAccount? payer = charged ? t_account : null;
        if (payer is null)
        {
            return Take(length, null, out offset);
        }

        long pages = (long)(length / PageSize);
        if (!payer.TryCharge(pages))
        {
            offset = 0;
            return Errno.ENOMEM;
        }

        Errno error = Take(length, payer, out offset);
        if (error != Errno.None)
        {
            payer.Uncharge(pages);
            payer.Pressed.Set();
        }

        return error;
    }

    private Errno Take(ulong length, MemoryAccount? payer, out ulong offset)
    {
        lock (_mu)
        {
            while (true)
            {
                foreach ((ulong size, ulong start) in _freeByLength.GetViewBetween((length, 0), (ulong.MaxValue, ulong.MaxValue)))
                {
                    TakeLocked(start, size, length);
                    offset = start;
                    long[] counts = _references[(int)(start / ChunkSize)];
                    int first = (int)(start % ChunkSize / PageSize);
                    counts.AsSpan(first, (int)(length / PageSize)).Fill(1);
                    if (payer is not null)
                    {
                        (_payers[(int)(start / ChunkSize)] ??= new byte[PagesPerChunk]).AsSpan(first, (int)(length / PageSize)).Fill((byte)payer.Index);
                    }

                    _usedPages += (long)(length / PageSize);
                    return Errno.None;
                }

                if (length > ChunkSize || !GrowLocked())
                {
                    offset = 0;
                    return Errno.ENOMEM;
                }
            }
        }
    }

    /// <summary>One more reference on each page.</summary>
    public void IncRef(ulong offset, ulong length) => Hold(offset, length, 1);

    /// <summary>As <see cref="IncRef"/>, for an access of the kernel's to memory that stays its owner's: <see cref="IsSole"/> does not count it.</summary>
    public void Pin(ulong offset, ulong length) => Hold(offset, length, OnePin);

    private void Hold(ulong offset, ulong length, long by)
    {
        long[] counts = _references[(int)(offset / ChunkSize)];
        int first = (int)(offset % ChunkSize / PageSize);
        int end = first + (int)(length / PageSize);
        for (int i = first; i < end; i++)
        {
            if (unchecked((int)Interlocked.Add(ref counts[i], by)) <= 1)
            {
                Invariant.Fail("reference on a free page of the memory file");
            }
        }
    }

    /// <summary>Gives one reference on each page back; pages that lose their last are freed.</summary>
    public void DecRef(ulong offset, ulong length) => Drop(offset, length, 1);

    /// <summary>Gives back what <see cref="Pin"/> took.</summary>
    public void Unpin(ulong offset, ulong length) => Drop(offset, length, OnePin);

    private void Drop(ulong offset, ulong length, long by)
    {
        long[] counts = _references[(int)(offset / ChunkSize)];
        int first = (int)(offset % ChunkSize / PageSize);
        int end = first + (int)(length / PageSize);
        int run = -1;
        for (int i = first; i < end; i++)
        {
            long left = Interlocked.Add(ref counts[i], -by);
            if (left < 0)
            {
                Invariant.Fail("page reference count below zero");
            }

            if (left == 0)
            {
                run = run < 0 ? i : run;
            }
            else if (run >= 0)
            {
                Free(offset - offset % ChunkSize + (ulong)run * PageSize, (ulong)(i - run) * PageSize);
                run = -1;
            }
        }

        if (run >= 0)
        {
            Free(offset - offset % ChunkSize + (ulong)run * PageSize, (ulong)(end - run) * PageSize);
        }
    }

    /// <summary>Is the caller the only holder of the page, pins aside? Meaningful only while nobody else can take a reference.</summary>
    public bool IsSole(ulong offset)
    {
        long word = Word(offset);
        return unchecked((int)word) - (int)(word >> 32) == 1;
    }

    /// <summary>Is an access of the kernel's to the page under way?</summary>
    public bool IsPinned(ulong offset) => Word(offset) >> 32 != 0;

    private long Word(ulong offset) => Volatile.Read(ref _references[(int)(offset / ChunkSize)][(int)(offset % ChunkSize / PageSize)]);

    private void Free(ulong start, ulong length)
    {
        long result = HostFile.Allocate(_fd, Fcntl.FALLOC_FL_PUNCH_HOLE | Fcntl.FALLOC_FL_KEEP_SIZE, (long)start, (long)length);
        if (result < 0)
        {
            Invariant.Fail("cannot punch the memory file");
        }

        lock (_mu)
        {
            if (_payers[(int)(start / ChunkSize)] is byte[] payers)
            {
                UnchargeLocked(payers.AsSpan((int)(start % ChunkSize / PageSize), (int)(length / PageSize)));
            }

            _usedPages -= (long)(length / PageSize);
            PutLocked(start, length);
        }
    }

    private void UnchargeLocked(Span<byte> payers)
    {
        foreach (ref byte payer in payers)
        {
            if (_accounts[payer] is MemoryAccount account)
            {
                payer = 0;
                account.Uncharge(1);
                ForgetEmptyLocked(account);
            }
        }
    }

    private void TakeLocked(ulong start, ulong size, ulong length)
    {
        _freeByLength.Remove((size, start));
        _freeByStart.Remove(start);
        if (size > length)
        {
            _freeByStart.Add(start + length, size - length);
            _freeByLength.Add((size - length, start + length));
        }
    }

    private void PutLocked(ulong start, ulong length)
    {
        // Extents are joined with a following neighbour in the same chunk; with a preceding one when the search finds it cheaply.
        ulong end = start + length;
        if (end % ChunkSize != 0 && _freeByStart.Remove(end, out ulong following))
        {
            _freeByLength.Remove((following, end));
            length += following;
        }

        _freeByStart.Add(start, length);
        _freeByLength.Add((length, start));
    }

    private bool GrowLocked()
    {
        if (_chunkCount == _maxChunks)
        {
            return false;
        }

        ulong offset = (ulong)_chunkCount * ChunkSize;
        if (HostFile.Truncate(_fd, (long)(offset + ChunkSize)) < 0)
        {
            return false;
        }

        nint address = HostMemory.Map(0, (nuint)ChunkSize, Mman.PROT_READ | Mman.PROT_WRITE, Mman.MAP_SHARED | Mman.MAP_NORESERVE, _fd, (long)offset);
        if (address is < 0 and > -4096)
        {
            return false;
        }

        _chunks[_chunkCount] = (byte*)address;
        _references[_chunkCount] = new long[PagesPerChunk];
        _onGrow(offset, address, ChunkSize);
        Volatile.Write(ref _chunkCount, _chunkCount + 1);
        PutLocked(offset, ChunkSize);
        return true;
    }
}
