using System.Runtime.CompilerServices;

namespace Runsc.Platform.Kvm.Paging;

/// <summary>Ranges of guest-physical memory whose cached translations have to go, merged where they touch.</summary>
internal struct InvalidationList
{
    public const int Capacity = 32;

    private Ranges _ranges;

    public int Count { get; private set; }

    /// <summary>Notes one page. False if there is no room: flush, clear, and add again.</summary>
    public bool TryAdd(ulong page)
    {
        if (Count > 0)
        {
            ref Range last = ref _ranges[Count - 1];
            if (page == last.End)
            {
                last.End += PageEntry.PageSize;
                return true;
            }

            if (page + PageEntry.PageSize == last.Start)
            {
                last.Start = page;
                return true;
            }

            if (page >= last.Start && page < last.End)
            {
                return true;
            }
        }

        if (Count == Capacity)
        {
            return false;
        }

        _ranges[Count++] = new Range { Start = page, End = page + PageEntry.PageSize };
        return true;
    }

    public readonly Range this[int index] => _ranges[index];

    public void Clear() => Count = 0;

    internal struct Range
    {
        public ulong Start;
        public ulong End;
    }

    [InlineArray(Capacity)]
    private struct Ranges
    {
        private Range _first;
    }
}
