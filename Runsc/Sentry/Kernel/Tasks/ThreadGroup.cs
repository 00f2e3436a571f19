using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>
/// A process (Linux: struct signal_struct and the threads that share it). Mutable members are guarded by the kernel's task lock unless they
/// say otherwise. Other parts: Signals, Wait.
/// </summary>
internal sealed partial class ThreadGroup(SentryKernel kernel)
{
    /// <summary>Hears of children that end, stop or continue.</summary>
    public readonly WaitQueue ChildEvents = new();

    /// <summary>Hears of this process's end: pidfds, the control server.</summary>
    public readonly WaitQueue ExitEvents = new();

    /// <summary>Its threads, the leader among them until the last thread has gone.</summary>
    public readonly List<Task> Tasks = [];

    public readonly List<ThreadGroup> Children = [];
    public readonly SignalQueue SharedPending = new();

    public SentryKernel Kernel { get; } = kernel;

    /// <summary>getpid(2). Immutable.</summary>
    public int Id { get; set; }

    /// <summary>The task whose id is the process's; a zombie while other threads go on after its exit.</summary>
    public Task Leader { get; set; } = null!;

    /// <summary>Null for init and for processes that the control server has started.</summary>
    public ThreadGroup? Parent { get; set; }

    /// <summary>The thread of the parent that made it; for __WNOTHREAD.</summary>
    public Task? ParentTask { get; set; }

    public required ProcessGroup ProcessGroup { get; set; }

    /// <summary>Dispositions; may be shared with another process (CLONE_SIGHAND without CLONE_THREAD).</summary>
    public required SignalActions Actions { get; set; }

    /// <summary>exit_group or a fatal signal is under way: every task ends with <see cref="ExitStatus"/>.</summary>
    public bool IsExiting { get; private set; }

    /// <summary>Wait status as wait4(2) reports it.</summary>
    public int ExitStatus { get; private set; }

    /// <summary>All tasks have ended; waits to be reaped.</summary>
    public bool IsZombie { get; internal set; }

    /// <summary>Reaped, or nobody will ever wait for it.</summary>
    public bool IsDead { get; internal set; }

    /// <summary>Signal sent to the parent at the end (clone's low byte), 0 for none.</summary>
    public int ExitSignal { get; set; } = Signal.SIGCHLD;

    /// <summary>The first process of a container: signals without a handler do not touch it, SIGKILL and SIGSTOP only from outside.</summary>
    public bool IsProtected { get; set; }

    public bool IsChildSubreaper { get; set; }

    /// <summary>A child of a subreaper, or one below it: at the end it looks for the subreaper.</summary>
    public bool HasChildSubreaper { get; set; }

    /// <summary>A task is in execve and waits for the others to end; they do not take the process down.</summary>
    public Task? ExecutingTask { get; set; }

    /// <summary>It has called execve since its start: setpgid by the parent fails.</summary>
    public bool HasExecuted { get; set; }

    /// <summary>SUID_DUMP_*: 1 may be read by ptrace and /proc, 0 not.</summary>
    public int Dumpable { get; set; } = 1;

    /// <summary>The user namespace in which the program was started: who has CAP_SYS_PTRACE there may look into a process that is not dumpable. Written with Dumpable.</summary>
    public UserNamespace ProgramNamespace { get; set; } = UserNamespace.Initial;

    public int OomScoreAdjust { get; set; }

    /// <summary>Whose process ids it has: the container's that it belongs to, or of the one that shares its own with that. Empty for the root container. Immutable.</summary>
    public string Container { get; init; } = "";

    /// <summary>Which container it belongs to; empty for the root container. Immutable.</summary>
    public string Home { get; init; } = "";

    // CPU time of ended threads and reaped children, in nanoseconds.
    internal long EndedUserTime;
    internal long EndedSystemTime;
    internal long ChildrenUserTime;
    internal long ChildrenSystemTime;

    /// <summary>Processor time of children that were waited for, in nanoseconds. Guarded by the task lock.</summary>
    public (long User, long System) ChildrenTime => (ChildrenUserTime, ChildrenSystemTime);

    /// <summary>It has registered for membarrier(2)'s private expedited commands.</summary>
    public bool UsesMembarrier { get; set; }

    /// <summary>It has registered for those that abort restartable sequences.</summary>
    public bool UsesRseqMembarrier { get; set; }

    /// <summary>PR_SET_THP_DISABLE; kept and reported.</summary>
    public bool HugePagesDisabled { get; set; }

    public long StartTime { get; init; }

    /// <summary>The open description of the program file (/proc/PID/exe); holds a reference.</summary>
    public FileDescription? Executable { get; set; }

    public ResourceLimits Limits { get; init; } = new();

    /// <summary>The soft limit of a resource.</summary>
    public ulong Limit(int resource) => Limits.Soft(resource);

    public bool IsSessionLeader => ProcessGroup.Session.Id == Id;

    public Session Session => ProcessGroup.Session;

    public Credentials Credentials => Leader.Credentials;

    /// <summary>Processor time of all threads that are or were, in nanoseconds. Takes the task lock.</summary>
    public (long User, long System) CpuTime
    {
        get
        {
            lock (Kernel.TaskLock)
            {
                return CpuTimeLocked();
            }
        }
    }

    internal (long User, long System) CpuTimeLocked()
    {
        long user = EndedUserTime, system = EndedSystemTime;
        foreach (Task task in Tasks)
        {
            if (!task.IsCounted)
            {
                (long taskUser, long taskSystem) = task.CpuTime;
                user += taskUser;
                system += taskSystem;
            }
        }

        return (user, system);
    }

    /// <summary>Threads that have not ended.</summary>
    internal int LiveCountLocked()
    {
        int count = 0;
        foreach (Task task in Tasks)
        {
            count += task.HasExited ? 0 : 1;
        }

        return count;
    }

    /// <summary>Interval timers and POSIX timers; made when first needed. Lock held: task lock.</summary>
    internal ProcessTimers TimersLocked => _timers ??= new ProcessTimers(this);

    private ProcessTimers? _timers;

    /// <summary>RLIMIT_CPU was set, or inherited by a new process. Takes the task lock.</summary>
    internal void ApplyProcessorLimit()
    {
        lock (Kernel.TaskLock)
        {
            ulong soft = Limit(Resource.RLIMIT_CPU);
            if (soft != Resource.RLIM_INFINITY || _timers is not null)
            {
                TimersLocked.SetProcessorLimitLocked(soft);
            }
        }
    }

    /// <summary>execve. Takes the task lock.</summary>
    internal void DeletePosixTimers()
    {
        lock (Kernel.TaskLock)
        {
            _timers?.DeletePosixLocked();
        }
    }

    /// <summary>The last thread ends. Takes the task lock.</summary>
    internal void StopTimers()
    {
        lock (Kernel.TaskLock)
        {
            _timers?.StopLocked();
        }
    }
}
