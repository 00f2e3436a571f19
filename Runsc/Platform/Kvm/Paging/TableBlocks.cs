using System;
using System.Diagnostics;

namespace Runsc.Platform.Kvm.Paging;

/// <summary>The blocks of table memory of one address space. Guarded by the lock of its space.</summary>
internal sealed unsafe class TableBlocks
{
    private readonly TableArena _arena;
    private ulong[] _blocks = new ulong[4];

    /// <summary>Tables in use of each block.</summary>
    private byte[] _live = new byte[4];
    private int _count;
    private int _nextPage = TableArena.BlockPages;
    private ulong[] _released = [];
    private int _releasedCount;

    public TableBlocks(TableArena arena) => _arena = arena;

    public int Count => _count;

    /// <summary>Guest-physical address of a zeroed table. On shadow paging it has not been a table before.</summary>
    public ulong NewTable()
    {
        if (_nextPage == TableArena.BlockPages)
        {
            if (_count == _blocks.Length)
            {
                Array.Resize(ref _blocks, _count * 2);
                Array.Resize(ref _live, _count * 2);
            }

            if (!_arena.TryAllocateBlock(out _blocks[_count]))
            {
                KvmFailure.Fatal("no memory for page tables");
            }

            _live[_count] = 0;
            _count++;
            _nextPage = 0;
        }

        _live[_count - 1]++;
        return _blocks[_count - 1] + ((ulong)_nextPage++ * PageEntry.PageSize);
    }

    /// <summary>A table will be out of use: its memory goes with the next <see cref="FlushReleased"/>.</summary>
    public void Release(ulong table)
    {
        if (_releasedCount == _released.Length)
        {
            Array.Resize(ref _released, Math.Max(16, _releasedCount * 2));
        }

        _released[_releasedCount++] = table;
    }

    /// <summary>Frees what was released. No vCPU can use the tables any more.</summary>
    public void FlushReleased()
    {
        for (int i = 0; i < _releasedCount; i++)
        {
            Free(_released[i]);
        }

        _releasedCount = 0;
    }

    /// <summary>Frees everything, at the end of the space or of its root.</summary>
    public void FreeAll()
    {
        for (int i = 0; i < _count; i++)
        {
            _arena.FreeBlock(_blocks[i]);
        }

        _count = 0;
        _nextPage = TableArena.BlockPages;
    }

    private void Free(ulong table)
    {
        // New blocks are at the end, and so are most of the tables that go.
        int index = _count - 1;
        while (index >= 0 && unchecked(table - _blocks[index]) >= TableArena.BlockSize)
        {
            index--;
        }

        Debug.Assert(index >= 0 && _live[index] > 0);
        bool current = index == _count - 1;
        if (--_live[index] > 0 || current)
        {
            _ = KvmCalls.Madvise((nint)_arena.HostOf(table), (nuint)PageEntry.PageSize, KvmCalls.MADV_DONTNEED);
            return;
        }

        _arena.FreeBlock(_blocks[index]);
        _count--;
        Array.Copy(_blocks, index + 1, _blocks, index, _count - index);
        Array.Copy(_live, index + 1, _live, index, _count - index);
    }
}
