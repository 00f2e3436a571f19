using Runsc.Host.Seccomp;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Seccomp;

/// <summary>The filters of a task: a list that only grows, shared by those who inherited it (seccomp(2)). Immutable.</summary>
internal sealed class SeccompFilters
{
    // Linux's MAX_INSNS_PER_PATH, each filter counting four more than its length.
    private const int MaxTotalLength = 32768;
    private const int FilterCost = 4;
    private const int KnownNumbers = 512;

    private readonly BpfProgram? _program;

    // Calls that all filters allow whatever their arguments are.
    private readonly ulong[] _allowed = new ulong[KnownNumbers / 64];

    private SeccompFilters(BpfProgram? program, SeccompFilters? older, bool log)
    {
        _program = program;
        Older = older;
        Logs = log;
        Count = (older?.Count ?? 0) + (program is null ? 0 : 1);
        TotalLength = (older?.TotalLength ?? 0) + (program is null ? 0 : program.Length + FilterCost);
        if (program is not null)
        {
            FindAllowed(program);
        }
    }

    /// <summary>read, write, exit and rt_sigreturn only; everything else kills.</summary>
    public static SeccompFilters Strict { get; } = new(null, null, log: false);

    public bool IsStrict => _program is null;

    public SeccompFilters? Older { get; }

    public bool Logs { get; }

    public int Count { get; }

    private int TotalLength { get; }

    /// <summary>Another filter in front. ENOMEM when they are too long together.</summary>
    public static Errno TryAdd(BpfProgram program, SeccompFilters? older, bool log, out SeccompFilters? filters)
    {
        filters = null;
        if ((older?.TotalLength ?? 0) + program.Length + FilterCost > MaxTotalLength)
        {
            return Errno.ENOMEM;
        }

        filters = new SeccompFilters(program, older, log);
        return Errno.None;
    }

    /// <summary>Is this list the other one, or did it come from it by adding?</summary>
    public bool IsDescendantOf(SeccompFilters? other)
    {
        for (SeccompFilters? filters = this; filters is not null; filters = filters.Older)
        {
            if (filters == other)
            {
                return true;
            }
        }

        return other is null;
    }

    public bool AlwaysAllows(int number) => (uint)number < KnownNumbers && (_allowed[number >> 6] >> (number & 63) & 1) != 0;

    /// <summary>What the strictest filter says, the newest one among equals: SECCOMP_RET_* and its data.</summary>
    public uint Run(in SeccompData data)
    {
        if (IsStrict)
        {
            return data.Number is SysNo.read or SysNo.write or SysNo.exit or SysNo.rt_sigreturn ? Misc.SECCOMP_RET_ALLOW : Misc.SECCOMP_RET_KILL_THREAD;
        }

        uint result = Misc.SECCOMP_RET_ALLOW;
        bool lookedCloser = false;
        for (SeccompFilters? filters = this; filters is not null; filters = filters.Older)
        {
            uint said = filters._program!.Run(data, ref lookedCloser);
            if (Action(said) < Action(result))
            {
                result = said;
            }
        }

        return result;
    }

    // Actions are ordered as signed numbers: SECCOMP_RET_KILL_PROCESS first.
    private static int Action(uint value) => unchecked((int)(value & Misc.SECCOMP_RET_ACTION_FULL));

    private void FindAllowed(BpfProgram program)
    {
        for (int number = 0; number < KnownNumbers; number++)
        {
            SeccompData data = new() { Number = number, Architecture = SeccompProgram.AuditArchX64 };
            bool lookedCloser = false;
            bool allowed = (Older is null || Older.AlwaysAllows(number)) && program.Run(data, ref lookedCloser) == Misc.SECCOMP_RET_ALLOW && !lookedCloser;
            _allowed[number >> 6] |= allowed ? 1UL << (number & 63) : 0;
        }
    }
}
