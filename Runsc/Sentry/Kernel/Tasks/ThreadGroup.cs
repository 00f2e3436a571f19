using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>A process (Linux: struct signal_struct and the threads that share it). Mutable members are guarded by the kernel's task lock unless they say otherwise.</summary>
internal sealed class ThreadGroup(SentryKernel kernel)
{
    /// <summary>Hears of children that end, stop or continue.</summary>
    public readonly WaitQueue ChildEvents = new();

    /// <summary>Hears of this process's end: pidfds, the control server.</summary>
    public readonly WaitQueue ExitEvents = new();

    public readonly List<Task> Tasks = [];
    public readonly List<ThreadGroup> Children = [];
    public readonly SignalQueue SharedPending = new();

    public SentryKernel Kernel { get; } = kernel;

    public int Id { get; set; }

    /// <summary>The task whose id is the process's; a zombie while other threads go on after its exit.</summary>
    public Task Leader { get; set; } = null!;

    public ThreadGroup? Parent { get; set; }

    public required ProcessGroup ProcessGroup { get; set; }

    public required SignalActions Actions { get; set; }

    /// <summary>exit_group or a fatal signal is under way: every task ends with <see cref="ExitStatus"/>.</summary>
    public bool IsExiting { get; set; }

    /// <summary>Wait status as wait4(2) reports it.</summary>
    public int ExitStatus { get; set; }

    /// <summary>All tasks have ended; waits to be reaped.</summary>
    public bool IsZombie { get; set; }

    /// <summary>Reaped, or nobody will ever wait for it.</summary>
    public bool IsDead { get; set; }

    /// <summary>Signal sent to the parent at the end (clone's low byte), 0 for none.</summary>
    public int ExitSignal { get; set; }

    /// <summary>Stopped by this signal (job control), 0 while running.</summary>
    public int StopSignal { get; set; }

    /// <summary>A stop or continuation that the parent has not waited for yet.</summary>
    public bool StopReportable { get; set; }

    public bool ContinueReportable { get; set; }

    public bool IsChildSubreaper { get; set; }

    /// <summary>A task is in execve and waits for the others to end; they must not take the process down.</summary>
    public Task? ExecutingTask { get; set; }

    public bool HasExecuted { get; set; }

    public int OomScoreAdjust { get; set; }

    /// <summary>Limits by RLIMIT_* number: soft and hard.</summary>
    public readonly (ulong Soft, ulong Hard)[] Limits = DefaultLimits();

    // CPU time of ended threads and reaped children, in nanoseconds.
    public long EndedUserTime;
    public long EndedSystemTime;
    public long ChildrenUserTime;
    public long ChildrenSystemTime;

    public long StartTime { get; init; }

    public KernelTimer? RealTimer { get; set; }

    /// <summary>POSIX timers by id.</summary>
    public readonly Dictionary<int, PosixTimer> PosixTimers = [];

    public int NextTimerId { get; set; }

    /// <summary>The open description of the program file (/proc/PID/exe); holds a reference.</summary>
    public FileDescription? Executable { get; set; }

    public ulong Limit(int resource) => Limits[resource].Soft;

    public bool IsLeaderOfSession => ProcessGroup.Session.Id == Id;

    private static (ulong Soft, ulong Hard)[] DefaultLimits()
    {
        (ulong, ulong)[] limits = new (ulong, ulong)[16];
        System.Array.Fill(limits, (ulong.MaxValue, ulong.MaxValue));
        limits[Resource.RLIMIT_STACK] = (8 << 20, ulong.MaxValue);
        limits[Resource.RLIMIT_CORE] = (0, ulong.MaxValue);
        limits[Resource.RLIMIT_NOFILE] = (1024, 1 << 20);
        limits[Resource.RLIMIT_MEMLOCK] = (8 << 20, 8 << 20);
        limits[Resource.RLIMIT_SIGPENDING] = (31_000, 31_000);
        limits[Resource.RLIMIT_NPROC] = (31_000, 31_000);
        limits[Resource.RLIMIT_MSGQUEUE] = (819_200, 819_200);
        limits[Resource.RLIMIT_NICE] = (0, 0);
        limits[Resource.RLIMIT_RTPRIO] = (0, 0);
        return limits;
    }
}

/// <summary>A job (setpgid(2)). Guarded by the kernel's task lock.</summary>
internal sealed class ProcessGroup(int id, Session session)
{
    public int Id { get; } = id;

    public Session Session { get; } = session;

    public readonly List<ThreadGroup> Members = [];
}

/// <summary>A session (setsid(2)). Guarded by the kernel's task lock.</summary>
internal sealed class Session(int id)
{
    public int Id { get; } = id;

    /// <summary>Process groups with members.</summary>
    public readonly List<ProcessGroup> Groups = [];

    /// <summary>The controlling terminal; a Tty of a higher rank.</summary>
    public IControllingTerminal? Terminal { get; set; }
}

/// <summary>A terminal, as sessions know it.</summary>
internal interface IControllingTerminal
{
    /// <summary>st_rdev, for /proc/PID/stat.</summary>
    ulong DeviceNumber { get; }

    /// <summary>The foreground process group; null when there is none. Guarded by the kernel's task lock.</summary>
    ProcessGroup? ForegroundGroup { get; set; }

    /// <summary>The session that it controls. Guarded by the kernel's task lock.</summary>
    Session? Session { get; set; }
}

/// <summary>A timer of timer_create(2).</summary>
internal sealed class PosixTimer
{
    public required int Id { get; init; }
    public required int Clock { get; init; }
    public required KernelTimer Timer { get; init; }

    /// <summary>SIGEV_SIGNAL, SIGEV_NONE or SIGEV_THREAD_ID.</summary>
    public required int Notify { get; init; }
    public required int Signal { get; init; }
    public required ulong Value { get; init; }
    public Task? Target { get; init; }
    public int Overrun { get; set; }
}
