using Runsc.Platform;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Memory;

/// <summary>A range of addresses with one backing and one set of rights (Linux: struct vm_area_struct). Guarded by its manager's lock.</summary>
internal sealed class Vma
{
    public ulong Start;
    public ulong End;
    public AccessType Protection;

    /// <summary>What mprotect(2) may give: less than everything for a shared mapping of a file opened read-only.</summary>
    public AccessType MaxProtection = AccessType.Read | AccessType.Write | AccessType.Execute;

    public bool Shared;

    /// <summary>A stack: grows downwards at a fault right below it.</summary>
    public bool GrowsDown;

    public bool Locked;
    public bool DontFork;
    public bool WipeOnFork;

    /// <summary>What is mapped, with a reference; null for private anonymous memory.</summary>
    public IMappable? Mappable;

    /// <summary>Offset in <see cref="Mappable"/> of <see cref="Start"/>.</summary>
    public ulong Offset;

    /// <summary>"[heap]", "[stack]", "[vdso]", or a name given by prctl; null for none.</summary>
    public string? Name;

    public ulong Length => End - Start;

    public ulong OffsetOf(ulong address) => Offset + (address - Start);

    /// <summary>Private memory is written in copies of its own.</summary>
    public bool IsPrivate => !Shared;

    public Vma Clone() => (Vma)MemberwiseClone();

    /// <summary>Could the next VMA be this one's continuation?</summary>
    public bool CanMergeWith(Vma next) =>
        End == next.Start && Protection == next.Protection && MaxProtection == next.MaxProtection && Shared == next.Shared
        && GrowsDown == next.GrowsDown && Locked == next.Locked && DontFork == next.DontFork && WipeOnFork == next.WipeOnFork
        && Mappable == next.Mappable && Name == next.Name && (Mappable is null || Offset + Length == next.Offset);
}
