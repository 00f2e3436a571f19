using System;

namespace Runsc.Sentry.Memory;

/// <summary>
/// Which page of the MemoryFile is behind each page of an address space: a radix tree of four levels, as the processor's own.
/// An entry is 0, or the offset in the MemoryFile with flags in its low bits; it holds one reference on the page.
/// </summary>
internal sealed class PageMap
{
    /// <summary>The entry is in use (an offset of 0 is valid).</summary>
    public const ulong Present = 1;

    /// <summary>A private page of this address space (anonymous, or copied from a file), perhaps still shared with a fork; else a page of a mappable.</summary>
    public const ulong Private = 2;

    private const int Bits = 9;
    private const int Fanout = 1 << Bits;
    private const int LeafSpanBits = 12 + Bits;

    private readonly ulong[]?[]?[]?[] _top = new ulong[]?[]?[]?[Fanout];

    /// <summary>Entries in use.</summary>
    public long Count { get; private set; }

    public static ulong OffsetOf(ulong entry) => entry & ~0xfffUL;

    public ulong Get(ulong address)
    {
        ulong[]? leaf = Leaf(address);
        return leaf is null ? 0 : leaf[address >> 12 & (Fanout - 1)];
    }

    public void Set(ulong address, ulong entry)
    {
        ref ulong[]?[]?[]? second = ref _top[address >> 39 & (Fanout - 1)];
        second ??= new ulong[]?[]?[Fanout];
        ref ulong[]?[]? third = ref second[address >> 30 & (Fanout - 1)];
        third ??= new ulong[]?[Fanout];
        ref ulong[]? leaf = ref third[address >> 21 & (Fanout - 1)];
        leaf ??= new ulong[Fanout];
        ref ulong slot = ref leaf[address >> 12 & (Fanout - 1)];
        Count += (entry != 0 ? 1 : 0) - (slot != 0 ? 1 : 0);
        slot = entry;
    }

    /// <summary>The next address in [start, end) with an entry; false when there is none.</summary>
    public bool TryNext(ref ulong start, ulong end, out ulong entry)
    {
        ulong address = start;
        while (address < end)
        {
            ulong[]?[]?[]? second = _top[address >> 39 & (Fanout - 1)];
            if (second is null)
            {
                address = SkipTo(address, 39);
                continue;
            }

            ulong[]?[]? third = second[address >> 30 & (Fanout - 1)];
            if (third is null)
            {
                address = SkipTo(address, 30);
                continue;
            }

            ulong[]? leaf = third[address >> 21 & (Fanout - 1)];
            if (leaf is null)
            {
                address = SkipTo(address, LeafSpanBits);
                continue;
            }

            int from = (int)(address >> 12 & (Fanout - 1));
            int found = leaf.AsSpan(from).IndexOfAnyExcept(0UL);
            if (found < 0)
            {
                address = SkipTo(address, LeafSpanBits);
                continue;
            }

            address = (address & ~0xfffUL) + ((ulong)found << 12);
            if (address >= end)
            {
                break;
            }

            entry = leaf[from + found];
            start = address;
            return true;
        }

        entry = 0;
        return false;
    }

    private static ulong SkipTo(ulong address, int bits) => ((address >> bits) + 1) << bits;

    private ulong[]? Leaf(ulong address) => _top[address >> 39 & (Fanout - 1)]?[address >> 30 & (Fanout - 1)]?[address >> 21 & (Fanout - 1)];
}
