namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>What clone(2), clone3(2), fork(2) and vfork(2) ask for.</summary>
internal struct CloneArguments
{
    /// <summary>CLONE_* without the exit signal.</summary>
    public ulong Flags;

    /// <summary>Where a pidfd is stored with CLONE_PIDFD.</summary>
    public ulong PidFdAddress;

    /// <summary>Where the child's id is stored in the child (CLONE_CHILD_SETTID), and cleared at its end (CLONE_CHILD_CLEARTID).</summary>
    public ulong ChildTidAddress;

    /// <summary>Where the child's id is stored in the parent (CLONE_PARENT_SETTID).</summary>
    public ulong ParentTidAddress;

    /// <summary>Signal to the parent at the end; 0 for none.</summary>
    public int ExitSignal;

    /// <summary>The child's stack pointer; 0: the parent's.</summary>
    public ulong StackPointer;

    /// <summary>FS base with CLONE_SETTLS.</summary>
    public ulong Tls;

    /// <summary>The id that the child must get (clone3's set_tid); 0: the next free one.</summary>
    public int WantedId;

    public readonly bool Has(ulong flag) => (Flags & flag) != 0;
}
