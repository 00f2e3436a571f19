using System;
using System.Collections.Generic;

namespace Runsc.Sentry.Memory;

/// <summary>The VMAs of an address space, in order and without overlap. A sorted array: look-ups are what counts, and there are few hundreds.</summary>
internal sealed class VmaSet
{
    private readonly List<Vma> _list = [];
    private int _hint;

    public int Count => _list.Count;

    public Vma this[int index] => _list[index];

    /// <summary>Index of the first VMA that ends after <paramref name="address"/>; Count when there is none.</summary>
    public int IndexAfter(ulong address)
    {
        int low = 0, high = _list.Count;
        while (low < high)
        {
            int middle = (low + high) >> 1;
            if (_list[middle].End > address)
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

    /// <summary>The VMA that holds an address, or null.</summary>
    public Vma? Find(ulong address)
    {
        int hint = _hint;
        if (hint < _list.Count && _list[hint] is Vma last && last.Start <= address && address < last.End)
        {
            return last;
        }

        int index = IndexAfter(address);
        if (index == _list.Count || _list[index].Start > address)
        {
            return null;
        }

        _hint = index;
        return _list[index];
    }

    public void Insert(Vma vma)
    {
        int index = IndexAfter(vma.Start);
        _list.Insert(index, vma);
    }

    public void RemoveAt(int index) => _list.RemoveAt(index);

    /// <summary>Makes <paramref name="address"/> a border if it lies inside a VMA.</summary>
    public void SplitAt(ulong address)
    {
        int index = IndexAfter(address);
        if (index == _list.Count || _list[index].Start >= address)
        {
            return;
        }

        Vma left = _list[index];
        Vma right = left.Clone();
        right.Start = address;
        right.Offset = left.OffsetOf(address);
        left.End = address;
        right.Mappable?.IncRef();
        _list.Insert(index + 1, right);
    }

    /// <summary>Joins neighbours that have become alike, around a changed range.</summary>
    public void Merge(ulong start, ulong end)
    {
        int index = Math.Max(IndexAfter(start) - 1, 0);
        while (index + 1 < _list.Count && _list[index].Start <= end)
        {
            Vma left = _list[index], right = _list[index + 1];
            if (left.CanMergeWith(right))
            {
                left.End = right.End;
                right.Mappable?.DecRef();
                _list.RemoveAt(index + 1);
            }
            else
            {
                index++;
            }
        }
    }

    /// <summary>Is any address of the range mapped?</summary>
    public bool Overlaps(ulong start, ulong end)
    {
        int index = IndexAfter(start);
        return index < _list.Count && _list[index].Start < end;
    }
}
