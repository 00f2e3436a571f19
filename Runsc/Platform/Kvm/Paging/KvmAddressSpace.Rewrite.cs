using System;
using System.Threading;

namespace Runsc.Platform.Kvm.Paging;

/// <summary>
/// Taking rights from many pages on shadow paging. To make KVM drop each page costs about a microsecond; where nobody is in the guest, it is
/// cheaper to leave the old tables to it and to go on with others: the tables on the path from the root to the changed entries are copied, with
/// the changes, to guest-physical addresses that were never used, and everything unchanged is shared between the old tree and the new. The old
/// shadow pages are never looked at again.
/// </summary>
internal sealed unsafe partial class KvmAddressSpace
{
    /// <summary>Changed entries from which on the copy is cheaper, refaults of unchanged neighbours included (measured).</summary>
    private const int RewriteThreshold = 24;

    /// <summary>
    /// Replaces each present entry of the range by itself AND <paramref name="keep"/>. False, with nothing done, if entries had better be changed
    /// in place.
    /// </summary>
    private bool TryRewriteLocked(ulong address, ulong end, ulong keep)
    {
        if (_platform.NestedPaging || CountAffectedLocked(address, end, keep) < RewriteThreshold || !TryEnterExclusive())
        {
            return false;
        }

        ulong oldRoot = _root;
        _root = RewriteTableLocked(oldRoot, 3, 0, address, end, keep);
        Volatile.Write(ref _generation, _platform.NextGeneration());
        LeaveExclusive();
        _blocks.FlushReleased();
        return true;
    }

    private int CountAffectedLocked(ulong address, ulong end, ulong keep)
    {
        int count = 0;
        while (address < end && count < RewriteThreshold)
        {
            ulong* entry = FindLeafLocked(ref address);
            if (entry == null)
            {
                continue;
            }

            for (int left = EntriesUntil(address, end); left > 0; left--, entry++)
            {
                ulong old = *entry;
                count += (old & PageEntry.Present) != 0 && (old & keep) != old ? 1 : 0;
                address += PageEntry.PageSize;
            }
        }

        return count;
    }

    /// <summary>The table that takes the place of <paramref name="table"/>: itself if nothing in it changes.</summary>
    private ulong RewriteTableLocked(ulong table, int level, ulong baseAddress, ulong start, ulong end, ulong keep)
    {
        ulong span = 1UL << (PageEntry.PageShift + (9 * level));
        ulong tableEnd = baseAddress + (span * PageEntry.EntriesPerTable);
        int first = start > baseAddress ? Index(start, level) : 0;
        int last = end < tableEnd ? Index(end - 1, level) : PageEntry.EntriesPerTable - 1;
        ulong* old = _arena.HostOf(table);
        ulong copy = 0;
        ulong* target = null;
        for (int i = first; i <= last; i++)
        {
            ulong entry = old[i];
            if ((entry & PageEntry.Present) == 0)
            {
                continue;
            }

            ulong updated = level == 0
                ? entry & keep
                : RewriteEntryLocked(entry, level, baseAddress + ((ulong)i * span), start, end, keep);
            if (updated == entry)
            {
                continue;
            }

            if (target == null)
            {
                copy = _blocks.NewTable();
                target = _arena.HostOf(copy);
                new ReadOnlySpan<ulong>(old, PageEntry.EntriesPerTable).CopyTo(new Span<ulong>(target, PageEntry.EntriesPerTable));
            }

            target[i] = updated;
        }

        if (target == null)
        {
            return table;
        }

        _blocks.Release(table);
        return copy;
    }

    private ulong RewriteEntryLocked(ulong entry, int level, ulong childBase, ulong start, ulong end, ulong keep)
    {
        ulong child = entry & PageEntry.AddressMask;
        ulong span = 1UL << (PageEntry.PageShift + (9 * level));
        if (keep == 0 && childBase >= start && childBase + span <= end)
        {
            ReleaseTreeLocked(child, level - 1);
            return 0;
        }

        return RewriteTableLocked(child, level - 1, childBase, start, end, keep) | (entry & ~PageEntry.AddressMask);
    }

    private void ReleaseTreeLocked(ulong table, int level)
    {
        for (int i = 0; level > 0 && i < PageEntry.EntriesPerTable; i++)
        {
            ulong entry = _arena.HostOf(table)[i];
            if ((entry & PageEntry.Present) != 0)
            {
                ReleaseTreeLocked(entry & PageEntry.AddressMask, level - 1);
            }
        }

        _blocks.Release(table);
    }
}
