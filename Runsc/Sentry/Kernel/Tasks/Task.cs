using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>A thread of an application (Linux: struct task_struct). It runs on a host thread of its own.</summary>
/// <remarks>
/// What only the task's own thread touches needs no lock. What others read says so. Other parts of the class:
/// Task.Run (the loop), Task.Block (waiting), Task.Signals, Task.Clone, Task.Exec, Task.Exit.
/// </remarks>
internal sealed partial class Task : ICaller
{
    private volatile Credentials _credentials;
    private volatile MemoryManager _memory;

    public Task(SentryKernel kernel, ThreadGroup group, MemoryManager memory, FdTable files, FsContext fs, MountNamespace mounts, Credentials credentials)
    {
        Kernel = kernel;
        ThreadGroup = group;
        _memory = memory;
        Files = files;
        Fs = fs;
        MountNamespace = mounts;
        _credentials = credentials;
        Context = kernel.Platform.CreateContext();
        AllocateWakeWord();
    }

    public SentryKernel Kernel { get; }

    /// <summary>The process. Immutable.</summary>
    public ThreadGroup ThreadGroup { get; }

    /// <summary>Changed by execve of a thread other than the leader, under the task lock.</summary>
    public int ThreadId { get; set; }

    /// <summary>Its address space; replaced by execve. Others take a user of it before they use it.</summary>
    public MemoryManager Memory => _memory;

    public FdTable Files { get; private set; }

    public FsContext Fs { get; private set; }

    FsContext? ICaller.Fs => Fs;

    /// <summary>Written only by the task itself; an immutable record, so anyone may read it.</summary>
    public Credentials Credentials
    {
        get => _credentials;
        set => _credentials = value;
    }

    public IUserMemory UserMemory => Memory;

    public MountNamespace MountNamespace { get; set; }

    public int ProcessId => ThreadGroup.Id;

    /// <summary>Registers and FPU state, and the way into the application.</summary>
    public IContext Context { get; }

    /// <summary>comm: at most 15 bytes, each char one byte.</summary>
    public string Name { get; set; } = "";

    public ulong FileSizeLimit => ThreadGroup.Limit(Resource.RLIMIT_FSIZE);

    public void FileSizeExceeded() => SendSignal(new SignalInfo { Signal = Signal.SIGXFSZ, Code = SignalInfo.SI_KERNEL });

    public ulong DescriptorLimit => ThreadGroup.Limit(Resource.RLIMIT_NOFILE);

    // Set by the thread itself; see set_tid_address(2), get_robust_list(2), rseq(2), prctl(2).
    public ulong ClearThreadId { get; set; }
    public ulong RobustList { get; set; }
    public ulong RseqArea { get; set; }
    public uint RseqLength { get; set; }
    public uint RseqSignature { get; set; }
    public int ParentDeathSignal { get; set; }
    public bool IsDumpable { get; set; } = true;
    public bool KeepCapabilities { get; set; }
    public ulong TimerSlack { get; set; } = 50_000;
    public uint Personality { get; set; }
    public int Nice { get; set; }

    /// <summary>CPUs that it may run on, as sched_setaffinity(2) left them; bit per CPU.</summary>
    public ulong Affinity { get; set; } = ulong.MaxValue;

    // CPU time in nanoseconds: in the application, and in the kernel. Written by the task's thread.
    public long UserTime;
    public long SystemTime;
    public long VoluntarySwitches;
    public long InvoluntarySwitches;

    public long StartTime { get; init; }
}
