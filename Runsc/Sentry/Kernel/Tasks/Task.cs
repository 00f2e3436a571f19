using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Futex;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>A thread of an application (Linux: struct task_struct). It runs on a host thread of its own.</summary>
/// <remarks>
/// What only the task's own thread touches needs no lock. What others read says so. Other parts of the class:
/// Run (the loop), Block (waiting), Signals (queues, masks, delivery), SignalFrame, Clone, Exec, Exit, Accounting.
/// </remarks>
internal sealed partial class Task : ICaller, INamespaceUser
{
    private volatile Credentials _credentials;
    private volatile MemoryManager _memory;
    private volatile FdTable _files;
    private volatile FsContext _fs;
    private volatile NetworkNamespace _network;

    public Task(SentryKernel kernel, ThreadGroup group, MemoryManager memory, FdTable files, FsContext fs, MountNamespace mounts, Credentials credentials)
    {
        Kernel = kernel;
        ThreadGroup = group;
        ParentTask = this;
        _memory = memory;
        _files = files;
        _fs = fs;
        MountNamespace = mounts;
        mounts.IncUsers();
        _credentials = credentials;
        Uts = kernel.RootUts;
        Ipc = kernel.RootIpc;
        _network = kernel.RootNetwork?.IncUsers()!;
        Context = kernel.Platform.CreateContext();
        StartTime = kernel.Clock.Monotonic;
        FutexWaiter = new FutexWaiter(this);
        AllocateWakeWord();
    }

    public SentryKernel Kernel { get; }

    /// <summary>The process. Immutable.</summary>
    public ThreadGroup ThreadGroup { get; }

    /// <summary>gettid(2). Changed by execve of a thread other than the leader, under the task lock.</summary>
    public int ThreadId { get; set; }

    /// <summary>
    /// Its address space; replaced by execve, and the space of a dead process after exit has no users. Others take a user of it
    /// (TryIncUsers) before they use it.
    /// </summary>
    public MemoryManager Memory => _memory;

    /// <summary>Its descriptors. A task that has exited has an empty table.</summary>
    public FdTable Files => _files;

    public FsContext Fs => _fs;

    FsContext? ICaller.Fs => _fs;

    /// <summary>Written only by the task itself; an immutable record, so anyone may read it.</summary>
    public Credentials Credentials
    {
        get => _credentials;
        set => _credentials = value;
    }

    public IUserMemory UserMemory => _memory;

    /// <summary>Written by the task itself, which is a user of it until it ends.</summary>
    public MountNamespace MountNamespace { get; private set; }

    public UtsNamespace Uts { get; set; }

    /// <summary>This and the next: set before the task runs, by who makes it.</summary>
    public IdMaps IdMaps { get; set; } = IdMaps.None;

    public TimeOffsets TimeOffsets { get; set; }

    /// <summary>The kernel's CLOCK_MONOTONIC when the system, as the task sees it, began: CLOCK_BOOTTIME counts from there where it has an offset.</summary>
    public long BootPoint => TimeOffsets.BootTime == 0 ? Kernel.BootTime : -TimeOffsets.BootTime;

    /// <summary>Written by the task itself (unshare, setns), which gives it a user and drops one of the former. A task that has ended uses none.</summary>
    public NetworkNamespace Network
    {
        get => _network;
        set
        {
            NetworkNamespace former = _network;
            _network = value;
            former?.DecUsers();
        }
    }

    public int ProcessId => ThreadGroup.Id;

    /// <summary>Registers and FPU state, and the way into the application.</summary>
    public IContext Context { get; }

    /// <summary>comm: at most 15 bytes, each char one byte.</summary>
    public string Name { get; set; } = "";

    public ulong FileSizeLimit => ThreadGroup.Limit(Resource.RLIMIT_FSIZE);

    public void FileSizeExceeded() => SendSignal(SignalInfo.Kernel(Signal.SIGXFSZ));

    /// <summary>RLIMIT_NOFILE: descriptors lie below it.</summary>
    public ulong DescriptorLimit => ThreadGroup.Limit(Resource.RLIMIT_NOFILE);

    // Set by the thread itself; see set_tid_address(2), get_robust_list(2), rseq(2), prctl(2).
    public ulong ClearThreadId { get; set; }
    public ulong RobustList { get; set; }
    public int ParentDeathSignal { get; set; }
    public bool KeepCapabilities => (Credentials.SecureBits & Prctl.SECBIT_KEEP_CAPS) != 0;
    public ulong TimerSlack { get; set; } = 50_000;
    public uint Personality { get; set; }

    /// <summary>Who logged in: /proc/PID/loginuid and sessionid. Children get it.</summary>
    public LoginSession Login { get; set; } = LoginSession.None;

    // Scheduling parameters: kept and reported; the host schedules.
    public int Nice { get; set; }
    public int SchedulingPolicy { get; set; }
    public int SchedulingPriority { get; set; }
    public bool ResetOnFork { get; set; }
    public int IoPriority { get; set; }

    /// <summary>Used by the futex table while the task waits.</summary>
    internal FutexWaiter FutexWaiter { get; }

    /// <summary>CLOCK_MONOTONIC at the start.</summary>
    public long StartTime { get; init; }

    /// <summary>The task that made it (its own for init): pdeath signals and __WNOTHREAD. Guarded by the task lock.</summary>
    public Task ParentTask { get; set; }
}
