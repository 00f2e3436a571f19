using System;
using System.Runtime.CompilerServices;
using System.Threading;

namespace Runsc.Platform.Kvm.Paging;

/// <summary>
/// Memory for guest page tables, handed out in blocks of 16 zeroed pages from slots of 64 MiB that are added on demand.
/// On shadow paging KVM keeps a shadow of a table for as long as its guest-physical address belongs to a slot, whatever is written there from
/// the host. So an address is used once: freed blocks give their memory back and wait until their whole slot is free; then the slot is
/// deleted and added again, which drops every shadow of it. On nested paging freed blocks are reused at once.
/// </summary>
internal sealed unsafe class TableArena : IDisposable
{
    public const int BlockPages = 16;
    public const ulong BlockSize = BlockPages * PageEntry.PageSize;
    public const ulong SlotSize = 64UL << 20;

    /// <summary>First guest-physical address; the slots follow one another.</summary>
    public const ulong Base = 4UL << 30;
    public const int MaxSlots = 448;

    private const int BlocksPerSlot = (int)(SlotSize / BlockSize);

    /// <summary>Deleting a slot makes KVM drop every shadow page of the machine, so it is done for several slots together.</summary>
    private const int RecycleBatch = 4;

    /// <summary>Blocks kept with their memory for reuse: 16 MiB.</summary>
    private const int MaxKeptBlocks = 256;

    private readonly Lock _mu = new();
    private readonly IMemorySlots _slots;

    // All guarded by _mu, except that _hosts is read without it: an element is written once before the first address of its slot is handed out.
    private readonly nint[] _hosts = new nint[MaxSlots];
    private readonly int[] _liveBlocks = new int[MaxSlots];
    private readonly int[] _nextBlock = new int[MaxSlots];
    private readonly ulong[] _kept = new ulong[MaxKeptBlocks];
    private int _keptCount;
    private int _slotCount;
    private int _current = -1;

    public TableArena(IMemorySlots slots) => _slots = slots;

    /// <summary>Freed blocks may be handed out again without more ado: nested paging. Set once, before applications run.</summary>
    public bool ReuseAtOnce { get; set; }

    /// <summary>Slots in use, for tests and the log.</summary>
    public int SlotCount
    {
        get
        {
            lock (_mu)
            {
                return _slotCount;
            }
        }
    }

    /// <summary>Host address of a table.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public ulong* HostOf(ulong physical)
    {
        ulong offset = physical - Base;
        // SAFETY: callers pass addresses from entries that they wrote themselves with what AllocateBlock gave; the bounds check of the array is the net.
        return (ulong*)(_hosts[(int)(offset / SlotSize)] + (nint)(offset % SlotSize));
    }

    /// <summary>Guest-physical address of a new block: 16 zeroed pages. False when the arena or the host's memory is used up.</summary>
    public bool TryAllocateBlock(out ulong physical)
    {
        lock (_mu)
        {
            if (_keptCount > 0)
            {
                physical = _kept[--_keptCount];
                _liveBlocks[SlotOf(physical)]++;
                Unsafe.InitBlockUnaligned(HostOf(physical), 0, (uint)BlockSize);
                return true;
            }

            if ((_current < 0 || _nextBlock[_current] == BlocksPerSlot) && !TryOpenSlotLocked())
            {
                physical = 0;
                return false;
            }

            physical = Base + ((ulong)_current * SlotSize) + ((ulong)_nextBlock[_current] * BlockSize);
            _nextBlock[_current]++;
            _liveBlocks[_current]++;
            return true;
        }
    }

    /// <summary>Frees a block. No vCPU may use its tables any more.</summary>
    public void FreeBlock(ulong physical)
    {
        lock (_mu)
        {
            if (ReuseAtOnce && _keptCount < MaxKeptBlocks)
            {
                _kept[_keptCount++] = physical;
                _liveBlocks[SlotOf(physical)]--;
                return;
            }
        }

        // Before the block counts as free: a recycled slot's blocks are zeroed and may be in use at once.
        _ = KvmCalls.Madvise((nint)HostOf(physical), (nuint)BlockSize, KvmCalls.MADV_DONTNEED);
        lock (_mu)
        {
            _liveBlocks[SlotOf(physical)]--;
        }
    }

    public void Dispose()
    {
        for (int slot = 0; slot < _slotCount; slot++)
        {
            _ = KvmCalls.Munmap(_hosts[slot], (nuint)SlotSize);
        }
    }

    private static int SlotOf(ulong physical) => (int)((physical - Base) / SlotSize);

    private bool TryOpenSlotLocked()
    {
        int free = 0;
        for (int slot = 0; slot < _slotCount; slot++)
        {
            free += IsUsedUpAndFreeLocked(slot) ? 1 : 0;
        }

        if (free >= (_slotCount == MaxSlots ? 1 : RecycleBatch))
        {
            RecycleLocked();
        }

        // A recycled slot that has not been touched since, or a new one.
        for (int slot = 0; slot < _slotCount; slot++)
        {
            if (_nextBlock[slot] == 0)
            {
                _current = slot;
                return true;
            }
        }

        return _slotCount < MaxSlots && TryAddSlotLocked();
    }

    private bool IsUsedUpAndFreeLocked(int slot) => _nextBlock[slot] == BlocksPerSlot && _liveBlocks[slot] == 0;

    private void RecycleLocked()
    {
        _keptCount = 0;
        for (int slot = 0; slot < _slotCount; slot++)
        {
            if (!IsUsedUpAndFreeLocked(slot))
            {
                continue;
            }

            ulong physical = Base + ((ulong)slot * SlotSize);
            _slots.RemoveTableSlot(slot);
            _ = KvmCalls.Madvise(_hosts[slot], (nuint)SlotSize, KvmCalls.MADV_DONTNEED);
            _slots.AddTableSlot(slot, physical, _hosts[slot], SlotSize);
            _nextBlock[slot] = 0;
        }
    }

    private bool TryAddSlotLocked()
    {
        long host = KvmCalls.Mmap(
            (nuint)SlotSize,
            KvmCalls.PROT_READ | KvmCalls.PROT_WRITE,
            KvmCalls.MAP_PRIVATE | KvmCalls.MAP_ANONYMOUS | KvmCalls.MAP_NORESERVE,
            -1,
            0);
        if (host < 0)
        {
            return false;
        }

        // A space touches a few pages of its block; huge pages would pay for the rest.
        _ = KvmCalls.Madvise((nint)host, (nuint)SlotSize, KvmCalls.MADV_NOHUGEPAGE);
        _ = KvmCalls.Madvise((nint)host, (nuint)SlotSize, KvmCalls.MADV_DONTDUMP);
        int slot = _slotCount;
        _hosts[slot] = (nint)host;
        _slots.AddTableSlot(slot, Base + ((ulong)slot * SlotSize), (nint)host, SlotSize);
        _slotCount++;
        _current = slot;
        return true;
    }
}

/// <summary>The machine's memory slots, as far as the arena needs them.</summary>
internal interface IMemorySlots
{
    /// <summary>Adds the arena's slot <paramref name="index"/>.</summary>
    void AddTableSlot(int index, ulong physical, nint host, ulong length);

    /// <summary>Deletes the arena's slot <paramref name="index"/>.</summary>
    void RemoveTableSlot(int index);
}
