using System;

namespace Runsc.NetStack.Filter;

/// <summary>Elements that a rule looks up: keys, sorted, with data or verdicts if it is a map. The array is replaced as a whole, under the stack's lock.</summary>
internal sealed class FilterSet(bool hasIntervals, int[] fields)
{
    private SetElement[] _elements = [];

    /// <summary>Elements sorted by their keys; of equal keys, ends of intervals first.</summary>
    public ReadOnlySpan<SetElement> Elements => _elements;

    public void Replace(SetElement[] sorted) => _elements = sorted;

    public static int Compare(SetElement a, SetElement b)
    {
        int order = a.Key.AsSpan().SequenceCompareTo(b.Key);
        return order != 0 ? order : b.IsEnd.CompareTo(a.IsEnd);
    }

    /// <summary>The element of a key, or of the interval that holds it; null: there is none.</summary>
    public SetElement? Find(ReadOnlySpan<byte> key)
    {
        if (fields.Length > 0)
        {
            return FindInFields(key);
        }

        // The last element that does not come after the key.
        int low = 0, high = _elements.Length;
        while (low < high)
        {
            int middle = (low + high) / 2;
            if (_elements[middle].Key.AsSpan().SequenceCompareTo(key) <= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        if (low == 0)
        {
            return null;
        }

        SetElement found = _elements[low - 1];
        return found.IsEnd ? null : hasIntervals || key.SequenceEqual(found.Key) ? found : null;
    }

    // Ranges in several fields, each padded to words.
    private SetElement? FindInFields(ReadOnlySpan<byte> key)
    {
        foreach (SetElement element in _elements)
        {
            int at = 0;
            bool matches = true;
            foreach (int length in fields)
            {
                ReadOnlySpan<byte> field = key.Slice(at, length);
                ReadOnlySpan<byte> last = (element.KeyEnd ?? element.Key).AsSpan(at, length);
                if (field.SequenceCompareTo(element.Key.AsSpan(at, length)) < 0 || field.SequenceCompareTo(last) > 0)
                {
                    matches = false;
                    break;
                }

                at += (length + 3) & ~3;
            }

            if (matches)
            {
                return element;
            }
        }

        return null;
    }
}
