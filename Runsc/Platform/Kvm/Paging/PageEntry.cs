namespace Runsc.Platform.Kvm.Paging;

/// <summary>Bits of a page-table entry, and their translation from rights.</summary>
internal static class PageEntry
{
    public const ulong Present = 1;
    public const ulong Writable = 2;
    public const ulong User = 4;
    public const ulong Accessed = 0x20;
    public const ulong Dirty = 0x40;
    public const ulong NoExecute = 1UL << 63;
    public const ulong AddressMask = 0x000f_ffff_ffff_f000;

    public const int PageShift = 12;
    public const ulong PageSize = 4096;
    public const int EntriesPerTable = 512;

    /// <summary>An entry that points to a lower table: all rights, the leaf decides.</summary>
    public const ulong TableBits = Present | Writable | User | Accessed;

    /// <summary>
    /// Rights of a user page. Accessed and Dirty are always set: KVM then never has to write an entry, which on shadow paging would cost a
    /// fault and would race with our edits.
    /// </summary>
    public static ulong LeafBits(AccessType access) =>
        Present | User | Accessed | Dirty |
        ((access & AccessType.Write) != 0 ? Writable : 0) |
        ((access & AccessType.Execute) != 0 ? 0 : NoExecute);

    /// <summary>
    /// True if a translation cached from <paramref name="old"/> would allow what <paramref name="updated"/> does not. An entry that was not
    /// present is never cached; more rights on the same frame are found by the next fault.
    /// </summary>
    public static bool NeedsInvalidation(ulong old, ulong updated)
    {
        if ((old & Present) == 0)
        {
            return false;
        }

        if ((updated & Present) == 0 || ((old ^ updated) & AddressMask) != 0)
        {
            return true;
        }

        bool losesWrite = (old & ~updated & Writable) != 0;
        bool losesExecute = (updated & ~old & NoExecute) != 0;
        return losesWrite || losesExecute;
    }
}
