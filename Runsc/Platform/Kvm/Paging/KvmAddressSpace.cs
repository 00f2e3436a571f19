using System;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Threading;
using Runsc.Platform.Kvm.HandOver;

namespace Runsc.Platform.Kvm.Paging;

/// <summary>
/// Four levels of x86-64 page tables, written by the host and read by the guest's processor or by KVM's shadow code.
/// <para>
/// Cached translations. An entry that gains rights needs nothing: the guest faults on the old translation and the tables are read again. For
/// an entry that loses something, the vCPUs' caches must go before the call returns:
/// on shadow paging KVM drops its shadow of a frame when the host drops its own mapping of it (MMU notifier), so the frames' host mapping gets
/// MADV_DONTNEED, which loses no data on a shared mapping;
/// on nested paging a CR3 load suffices, so <see cref="Generation"/> changes and each vCPU reloads CR3 when it next enters; if one is in the
/// guest now, MADV_DONTNEED is used as well, which makes KVM flush every vCPU.
/// </para>
/// <para>
/// Shadow paging does not look again at entries above the leaves, so these never change from present to something else while the root lives.
/// </para>
/// </summary>
internal sealed unsafe partial class KvmAddressSpace : IAddressSpace
{
    /// <summary>In <see cref="_guests"/>: the root is being exchanged, nobody may enter.</summary>
    private const int Exclusive = int.MinValue;

    /// <summary>Looks for the vCPUs that were recalled: some 100 µs.</summary>
    private const int RecallRounds = 4000;

    private readonly Lock _mu = new();
    private readonly KvmPlatform _platform;
    private readonly TableArena _arena;

    // Guarded by _mu.
    private InvalidationList _stale;
    private readonly TableBlocks _blocks;

    /// <summary>
    /// Frames of the vCPUs' call pages, 0 for those that have not been here. Written under _mu. They keep their place as long as the space lives, for a
    /// task's thread writes there without a lock. The pages are of no table, and so go with the blocks of the tables.
    /// </summary>
    private ulong[] _callPages = [];

    // Written under _mu; read by a vCPU between EnterGuest and its entry.
    private ulong _root;
    private ulong _generation;

    /// <summary>
    /// Number of vCPUs between <see cref="EnterGuest"/> and <see cref="LeaveGuest"/>, or negative while <see cref="Exclusive"/> is set.
    /// Pairing: an entering vCPU increments (full fence) and then reads root and generation; an editor writes entries and the generation,
    /// fences, and then reads the count. So either the vCPU sees the new generation or the editor sees the vCPU.
    /// </summary>
    private int _guests;

    public KvmAddressSpace(KvmPlatform platform)
    {
        _platform = platform;
        _arena = platform.Tables;
        _blocks = new TableBlocks(_arena);
        CreateRootLocked();
    }

    /// <summary>Guest-physical address of the root table. Stable between <see cref="EnterGuest"/> and <see cref="LeaveGuest"/>.</summary>
    public ulong Root => _root;

    /// <summary>Changes whenever a vCPU must load CR3 before it goes on. Never the same for two spaces.</summary>
    public ulong Generation => Volatile.Read(ref _generation);

    /// <summary>Blocks of tables in use, for tests.</summary>
    public int BlockCount
    {
        get
        {
            lock (_mu)
            {
                return _blocks.Count;
            }
        }
    }

    /// <summary>A vCPU is about to read <see cref="Root"/> and to run in this space.</summary>
    public void EnterGuest()
    {
        while (Interlocked.Increment(ref _guests) < 0)
        {
            Interlocked.Decrement(ref _guests);
            lock (_mu)
            {
                // The exchange is over when the lock is free.
            }
        }
    }

    /// <summary>
    /// The page of data of a vCPU's SYSCALL stub in ring 3; both pages are mapped if they were not. Between <see cref="EnterGuest"/> and
    /// <see cref="LeaveGuest"/> of that vCPU.
    /// </summary>
    public CallPage CallPage(int vcpu)
    {
        ulong[] pages = Volatile.Read(ref _callPages);
        ulong page = vcpu < pages.Length ? Volatile.Read(ref pages[vcpu]) : 0;
        return new CallPage((byte*)_arena.HostOf(page != 0 ? page : AddStub(vcpu)));
    }

    /// <summary>The vCPU is out of the guest.</summary>
    public void LeaveGuest() => Interlocked.Decrement(ref _guests);

    public void Map(ulong address, ulong fileOffset, ulong length, AccessType access)
    {
        CheckRange(address, length);
        Debug.Assert((access & (AccessType.Read | AccessType.Execute)) != 0 && fileOffset % PageEntry.PageSize == 0);
        ulong bits = PageEntry.LeafBits(access);
        ulong updated = (KvmPlatform.DataBase + fileOffset) | bits;
        ulong end = address + length;
        lock (_mu)
        {
            while (address < end)
            {
                ulong* entry = LeafLocked(address);
                for (int left = EntriesUntil(address, end); left > 0; left--, entry++)
                {
                    ulong old = *entry;
                    if (old != updated)
                    {
                        ReplaceLocked(entry, old, updated);
                    }

                    updated += PageEntry.PageSize;
                    address += PageEntry.PageSize;
                }
            }

            InvalidateLocked();
        }
    }

    public void Unmap(ulong address, ulong length)
    {
        CheckRange(address, length);
        lock (_mu)
        {
            UnmapLocked(address, address + length);
        }
    }

    public void MakeReadOnly(ulong address, ulong length)
    {
        CheckRange(address, length);
        ulong end = address + length;
        lock (_mu)
        {
            if (TryRewriteLocked(address, end, ~PageEntry.Writable))
            {
                return;
            }

            while (address < end)
            {
                ulong* entry = FindLeafLocked(ref address);
                if (entry == null)
                {
                    continue;
                }

                for (int left = EntriesUntil(address, end); left > 0; left--, entry++)
                {
                    ulong old = *entry;
                    if ((old & (PageEntry.Present | PageEntry.Writable)) == (PageEntry.Present | PageEntry.Writable))
                    {
                        ReplaceLocked(entry, old, old & ~PageEntry.Writable);
                    }

                    address += PageEntry.PageSize;
                }
            }

            InvalidateLocked();
        }
    }

    public void Dispose()
    {
        // A task that has left this space for another may have left its vCPU waiting for an answer.
        SpinWait spin = default;
        while (Volatile.Read(ref _guests) != 0)
        {
            _platform.VCpus.Recall(this);
            spin.SpinOnce();
        }

        _blocks.FreeAll();
    }

    /// <summary>Maps one page to any guest-physical address: the SYSCALL stub, and what the start-up probe needs.</summary>
    internal void MapPhysical(ulong address, ulong physical, ulong bits)
    {
        lock (_mu)
        {
            *LeafLocked(address) = physical | bits;
        }
    }

    /// <summary>Makes every vCPU load CR3 before it enters again.</summary>
    internal void ForceReload()
    {
        lock (_mu)
        {
            Volatile.Write(ref _generation, _platform.NextGeneration());
        }
    }

    private void CheckRange(ulong address, ulong length)
    {
        ulong limit = _platform.UserAddressLimit;
        bool valid = (address | length) % PageEntry.PageSize == 0 && length <= limit && address <= limit - length;
        if (!valid)
        {
            throw new ArgumentOutOfRangeException(nameof(address), $"not a range of user pages: 0x{address:x} + 0x{length:x}");
        }
    }

    private static int EntriesUntil(ulong address, ulong end)
    {
        int toTableEnd = PageEntry.EntriesPerTable - Index(address, 0);
        return (int)Math.Min((ulong)toTableEnd, (end - address) >> PageEntry.PageShift);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static int Index(ulong address, int level) => (int)((address >> (PageEntry.PageShift + (9 * level))) & (PageEntry.EntriesPerTable - 1));

    /// <summary>
    /// Keeps every vCPU out until <see cref="LeaveExclusive"/>; false if one is in the guest, and computes there rather than waiting for the answer to a
    /// call. Held together with _mu, on which the others wait.
    /// </summary>
    private bool TryEnterExclusive()
    {
        if (Interlocked.CompareExchange(ref _guests, Exclusive, 0) == 0)
        {
            return true;
        }

        if (!_platform.HandsOver)
        {
            return false;
        }

        // Those that compute are entered again and again meanwhile, so this may take several looks, or fail.
        _platform.VCpus.Recall(this);
        for (int i = 0; i < RecallRounds; i++)
        {
            if (Interlocked.CompareExchange(ref _guests, Exclusive, 0) == 0)
            {
                return true;
            }

            Thread.SpinWait(1);
        }

        return false;
    }

    private ulong AddStub(int vcpu)
    {
        lock (_mu)
        {
            if (vcpu >= _callPages.Length)
            {
                ulong[] grown = new ulong[Math.Max(4, vcpu * 2)];
                _callPages.CopyTo(grown, 0);
                Volatile.Write(ref _callPages, grown);
            }

            ulong page = _blocks.NewTable();
            // The code is writable, so that the stub's store is not a fault of the guest but ends in its read-only memory slot, outside.
            const ulong Code = PageEntry.Present | PageEntry.Writable | PageEntry.User | PageEntry.Accessed | PageEntry.Dirty;
            ulong address = SystemPages.UserStub(vcpu);
            *LeafLocked(address + PageEntry.PageSize) = page | Code | PageEntry.NoExecute;
            Volatile.Write(ref *LeafLocked(address), SystemPages.UserStubPhysical | Code);
            Volatile.Write(ref _callPages[vcpu], page);
            return page;
        }
    }

    private void LeaveExclusive() => Interlocked.Add(ref _guests, unchecked(-Exclusive));

    private void CreateRootLocked()
    {
        _root = _blocks.NewTable();
        _arena.HostOf(_root)[511] = SystemPages.RootEntry;
        Volatile.Write(ref _generation, _platform.NextGeneration());
    }

    /// <summary>The leaf entry of an address; tables that are missing are made.</summary>
    private ulong* LeafLocked(ulong address)
    {
        ulong* table = _arena.HostOf(_root);
        for (int level = 3; level > 0; level--)
        {
            ulong* entry = table + Index(address, level);
            if ((*entry & PageEntry.Present) == 0)
            {
                // The new table is zero before it can be reached: x86 stores are seen in order.
                Volatile.Write(ref *entry, _blocks.NewTable() | PageEntry.TableBits);
            }

            table = _arena.HostOf(*entry & PageEntry.AddressMask);
        }

        return table + Index(address, 0);
    }

    /// <summary>The leaf entry of an address, or null if a table is missing: then <paramref name="address"/> moves to where the next could begin.</summary>
    private ulong* FindLeafLocked(ref ulong address)
    {
        ulong* table = _arena.HostOf(_root);
        for (int level = 3; level > 0; level--)
        {
            ulong entry = table[Index(address, level)];
            if ((entry & PageEntry.Present) == 0)
            {
                ulong span = 1UL << (PageEntry.PageShift + (9 * level));
                address = (address & ~(span - 1)) + span;
                return null;
            }

            table = _arena.HostOf(entry & PageEntry.AddressMask);
        }

        return table + Index(address, 0);
    }

    private void UnmapLocked(ulong address, ulong end)
    {
        if (TryRewriteLocked(address, end, 0))
        {
            return;
        }

        while (address < end)
        {
            ulong* entry = FindLeafLocked(ref address);
            if (entry == null)
            {
                continue;
            }

            for (int left = EntriesUntil(address, end); left > 0; left--, entry++)
            {
                ulong old = *entry;
                if (old != 0)
                {
                    ReplaceLocked(entry, old, 0);
                }

                address += PageEntry.PageSize;
            }
        }

        InvalidateLocked();
    }

    private void ReplaceLocked(ulong* entry, ulong old, ulong updated)
    {
        // SAFETY: the entry is in a table of this space, which lives while _mu is held; the guest's processor only reads it.
        Volatile.Write(ref *entry, updated);
        if (PageEntry.NeedsInvalidation(old, updated) && !_stale.TryAdd(old & PageEntry.AddressMask))
        {
            InvalidateLocked();
            _stale.TryAdd(old & PageEntry.AddressMask);
        }
    }

    /// <summary>Makes what the edits so far have taken away unusable for every vCPU.</summary>
    private void InvalidateLocked()
    {
        if (_stale.Count == 0)
        {
            return;
        }

        bool done = false;
        if (_platform.NestedPaging)
        {
            Volatile.Write(ref _generation, _platform.NextGeneration());
            Interlocked.MemoryBarrier();
            done = Volatile.Read(ref _guests) == 0;
        }

        for (int i = 0; !done && i < _stale.Count; i++)
        {
            InvalidationList.Range range = _stale[i];
            _platform.DropHostMapping(range.Start, range.End);
        }

        _stale.Clear();
    }
}
