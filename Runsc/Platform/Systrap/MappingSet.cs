using System;
using System.Runtime.CompilerServices;

namespace Runsc.Platform.Systrap;

/// <summary>A range of guest pages that is mapped to a range of the MemoryFile.</summary>
internal struct Mapping
{
    public ulong Start;
    public ulong End;
    public ulong Offset;
    public AccessType Access;
}

/// <summary>
/// What a stub process has mapped of the MemoryFile: ranges without overlaps, in the order of addresses, neighbours joined as the host's kernel
/// joins them, so that the count is about that of its VMAs. Not thread-safe.
/// </summary>
internal sealed class MappingSet
{
    private Mapping[] _items = new Mapping[16];

    public int Count { get; private set; }

    public ref readonly Mapping this[int index] => ref _items[index];

    /// <summary>Index of the first range that ends behind an address; <see cref="Count"/> if there is none.</summary>
    public int FindFrom(ulong address)
    {
        int low = 0, high = Count;
        while (low < high)
        {
            int middle = (int)((uint)(low + high) >> 1);
            if (_items[middle].End > address)
            {
                high = middle;
            }
            else
            {
                low = middle + 1;
            }
        }

        return low;
    }

    public bool Intersects(ulong start, ulong end)
    {
        int index = FindFrom(start);
        return index < Count && _items[index].Start < end;
    }

    /// <summary>The whole range is mapped just like that.</summary>
    public bool Holds(in Mapping wanted)
    {
        int index = FindFrom(wanted.Start);
        if (index == Count)
        {
            return false;
        }

        ref readonly Mapping found = ref _items[index];
        return found.Start <= wanted.Start && found.End >= wanted.End && found.Access == wanted.Access &&
            found.Offset + (wanted.Start - found.Start) == wanted.Offset;
    }

    public void Clear() => Count = 0;

    /// <summary>Takes a range out.</summary>
    public void Remove(ulong start, ulong end)
    {
        Pieces pieces = default;
        Splice(start, end, pieces, 0);
    }

    /// <summary>Puts a range in, in place of what was there.</summary>
    public void Set(in Mapping mapping)
    {
        Pieces pieces = default;
        pieces[0] = mapping;
        Splice(mapping.Start, mapping.End, pieces, 1);
        JoinAround(FindFrom(mapping.Start));
    }

    /// <summary>Takes the right to write from one range; its neighbours stay apart until something is set there.</summary>
    public void TakeWrite(int index) => _items[index].Access &= ~AccessType.Write;

    /// <summary>Makes two ranges of one, at an address inside of it.</summary>
    public void Split(int index, ulong address)
    {
        Mapping right = _items[index];
        right.Offset += address - right.Start;
        right.Start = address;
        Resize(index + 1, index + 1, 1);
        _items[index].End = address;
        _items[index + 1] = right;
    }

    /// <summary>Replaces [start, end) by at most one range, and keeps what ranges at the edges have outside.</summary>
    private void Splice(ulong start, ulong end, Pieces inserted, int insertedCount)
    {
        int first = FindFrom(start);
        int last = first;
        while (last < Count && _items[last].Start < end)
        {
            last++;
        }

        Pieces pieces = default;
        int count = 0;
        if (first < last && _items[first].Start < start)
        {
            pieces[count] = _items[first];
            pieces[count++].End = start;
        }

        if (insertedCount > 0)
        {
            pieces[count++] = inserted[0];
        }

        if (first < last && _items[last - 1].End > end)
        {
            pieces[count] = _items[last - 1];
            pieces[count].Offset += end - pieces[count].Start;
            pieces[count++].Start = end;
        }

        Resize(first, last, count);
        for (int i = 0; i < count; i++)
        {
            _items[first + i] = pieces[i];
        }
    }

    /// <summary>Makes room for <paramref name="count"/> items in place of [first, last).</summary>
    private void Resize(int first, int last, int count)
    {
        int total = Count - (last - first) + count;
        if (total > _items.Length)
        {
            Array.Resize(ref _items, Math.Max(total, _items.Length * 2));
        }

        Array.Copy(_items, last, _items, first + count, Count - last);
        Count = total;
    }

    private void JoinAround(int index)
    {
        if (index + 1 < Count && Continues(_items[index], _items[index + 1]))
        {
            _items[index].End = _items[index + 1].End;
            Resize(index + 1, index + 2, 0);
        }

        if (index > 0 && Continues(_items[index - 1], _items[index]))
        {
            _items[index - 1].End = _items[index].End;
            Resize(index, index + 1, 0);
        }
    }

    private static bool Continues(in Mapping left, in Mapping right) =>
        left.End == right.Start && left.Access == right.Access && left.Offset + (left.End - left.Start) == right.Offset;

    [InlineArray(3)]
    private struct Pieces
    {
        private Mapping _first;
    }
}
