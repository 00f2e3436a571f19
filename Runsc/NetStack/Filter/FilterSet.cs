using System;

namespace Runsc.NetStack.Filter;

/// <summary>Elements that a rule looks up: keys, sorted, with data or verdicts if it is a map. Guarded by the stack's lock.</summary>
/// <param name="hasIntervals">Elements are borders of intervals.</param>
/// <param name="fields">Lengths of fields that have ranges of their own.</param>
/// <param name="isDynamic">Elements come and go one by one, by rules and by time; else all are replaced together.</param>
/// <param name="size">The most that a dynamic set has.</param>
/// <param name="budget">The most that all dynamic sets have.</param>
internal sealed class FilterSet(bool hasIntervals, int[] fields, bool isDynamic = false, int size = int.MaxValue, SetBudget? budget = null)
{
    // A full set is not searched for what is over at each packet.
    private const long PurgeInterval = 1_000_000_000;

    private SetElement[] _elements = [];
    private int _count;
    private long _purged;

    public bool IsDynamic => isDynamic;

    /// <summary>Elements sorted by their keys; of equal keys, ends of intervals first.</summary>
    public ReadOnlySpan<SetElement> Elements => _elements.AsSpan(0, _count);

    public void Replace(SetElement[] sorted)
    {
        _elements = sorted;
        _count = sorted.Length;
    }

    /// <summary>Adds an element; false if there is one, or no room even without those whose time is over.</summary>
    public bool TryAdd(SetElement element, long now)
    {
        int at = PlaceOf(element);
        if (at >= 0 && _elements[at].Expires <= now)
        {
            Purge(now);
            at = PlaceOf(element);
        }

        if (at >= 0)
        {
            return false;
        }

        if (IsFull && now - _purged >= PurgeInterval)
        {
            Purge(now);
            at = PlaceOf(element);
        }

        if (IsFull)
        {
            return false;
        }

        at = ~at;
        if (_count == _elements.Length)
        {
            Array.Resize(ref _elements, Math.Max(8, 2 * _count));
        }

        Array.Copy(_elements, at, _elements, at + 1, _count - at);
        _elements[at] = element;
        _count++;
        Charge(1);
        return true;
    }

    private bool IsFull => _count >= size || budget?.Used >= SetBudget.Limit;

    private void Charge(int count)
    {
        if (budget is not null)
        {
            budget.Used += count;
        }
    }

    /// <summary>The element that is equal to one, as far as its key tells; null if it is not there.</summary>
    public SetElement? FindEqual(SetElement element, long now) => PlaceOf(element) is >= 0 and var at && _elements[at].Expires > now ? _elements[at] : null;

    public void Remove(SetElement element)
    {
        if (PlaceOf(element) is >= 0 and var at)
        {
            Array.Copy(_elements, at + 1, _elements, at, _count - at - 1);
            _elements[--_count] = null!;
            Charge(-1);
        }
    }

    public void Clear()
    {
        Charge(-_count);
        Replace([]);
    }

    /// <summary>Takes out what is there no longer; with an interval goes its end.</summary>
    public void Purge(long now)
    {
        int kept = 0;
        bool isGone = false;
        for (int i = 0; i < _count; i++)
        {
            SetElement one = _elements[i];
            isGone = one.IsEnd ? isGone : one.Expires <= now;
            if (!isGone)
            {
                _elements[kept++] = one;
            }
        }

        Array.Clear(_elements, kept, _count - kept);
        Charge(kept - _count);
        _count = kept;
        _purged = now;
    }

    private int PlaceOf(SetElement element)
    {
        int low = 0, high = _count;
        while (low < high)
        {
            int middle = (low + high) / 2;
            int order = CompareWhole(_elements[middle], element);
            if (order == 0)
            {
                return middle;
            }

            if (order < 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }

        return ~low;
    }

    /// <summary>The order of elements, their ends included.</summary>
    public static int CompareWhole(SetElement a, SetElement b)
    {
        int order = Compare(a, b);
        return order != 0 ? order : (a.KeyEnd ?? a.Key).AsSpan().SequenceCompareTo(b.KeyEnd ?? b.Key);
    }

    public static int Compare(SetElement a, SetElement b)
    {
        int order = a.Key.AsSpan().SequenceCompareTo(b.Key);
        return order != 0 ? order : b.IsEnd.CompareTo(a.IsEnd);
    }

    /// <summary>The element of a key, or of the interval that holds it; null: there is none.</summary>
    /// <param name="key">As long as the set's keys.</param>
    /// <param name="now">Monotonic nanoseconds; of a set that is not dynamic any time.</param>
    public SetElement? Find(ReadOnlySpan<byte> key, long now = 0)
    {
        if (fields.Length > 0)
        {
            return FindInFields(key, now);
        }

        // The last element that does not come after the key.
        int low = 0, high = _count;
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
        return found.IsEnd || found.Expires <= now ? null : hasIntervals || key.SequenceEqual(found.Key) ? found : null;
    }

    // Ranges in several fields, each padded to words.
    private SetElement? FindInFields(ReadOnlySpan<byte> key, long now)
    {
        foreach (SetElement element in Elements)
        {
            int at = 0;
            bool matches = element.Expires > now;
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
