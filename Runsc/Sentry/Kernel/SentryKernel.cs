using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Futex;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel;

/// <summary>The application kernel of one sandbox: everything hangs off this object.</summary>
internal sealed partial class SentryKernel
{
    public SentryKernel(IPlatform platform, MemoryFile memory, IClock? clock = null)
    {
        Platform = platform;
        Memory = memory;
        Clock = clock ?? new HostClock();
        Timers = new TimerQueue(Clock);
        BootTime = Clock.Monotonic;
        NamespaceFiles = new NamespaceFileSystem { Device = NewDevice() };
        Ticker = new RseqTicker(this);
    }

    /// <summary>uname -r: programs test for features by it.</summary>
    public const string Release = "6.12.0-runsc";

    /// <summary>uname -v.</summary>
    public const string Version = "#1 SMP runsc";

    private ulong _totalMemory = (ulong)GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;

    /// <summary>Memory that the container may use, in bytes: its limit, or what the host has. The host keeps it; here it is what programs are told. Any thread.</summary>
    public ulong TotalMemory
    {
        get => Volatile.Read(ref _totalMemory);
        set => Volatile.Write(ref _totalMemory, value);
    }

    /// <summary>What of it is not in use.</summary>
    public ulong FreeMemory
    {
        get
        {
            ulong total = TotalMemory;
            return total - Math.Min(Memory.Used, total);
        }
    }

    /// <summary>Guards the task tree (groups, children, process groups, sessions), signal queues, masks and dispositions, and exit states. Outermost.</summary>
    public readonly Lock TaskLock = new();

    // Guarded by TaskLock.
    private readonly Dictionary<string, PidSpace> _spaces = new(StringComparer.Ordinal);
    private int _taskCount;

    // kernel.pid_max, where ids start again, and kernel.threads-max: each task has a thread of the host.
    public const int MaxId = 4_194_304;
    internal const int FirstReusedId = 300;
    public const int MaxTasks = 16_384;

    /// <summary>Tasks that a container may have (pids.max); none for one that is not here. Guarded by TaskLock.</summary>
    public readonly Dictionary<string, long> TaskLimits = [];

    /// <summary>Containers with a memory account of their own. Guarded by TaskLock.</summary>
    public readonly Dictionary<string, MemoryReaper> MemoryReapers = [];

    private readonly List<string> _log = [];
    private long _nextDevice = 2;

    public IPlatform Platform { get; }

    public MemoryFile Memory { get; }

    public IClock Clock { get; }

    public TimerQueue Timers { get; }

    internal RseqTicker Ticker { get; }

    public required VirtualFileSystem Vfs { get; init; }

    public FutexTable Futexes { get; } = new();

    public AnonymousFileSystem AnonymousFiles { get; } = new() { Device = 1 };

    public NamespaceFileSystem NamespaceFiles { get; }

    /// <summary>CLOCK_MONOTONIC when the sandbox began.</summary>
    public long BootTime { get; }

    /// <summary>Host and domain name of the container.</summary>
    public UtsNamespace RootUts { get; } = new(UserNamespace.Initial, 4026531838);

    /// <summary>Results that all queues of io_setup(2) together have room for. Changed by Interlocked.</summary>
    public int AioEvents;

    /// <summary>Threads of tasks that have begun and not ended, counted by the tasks themselves.</summary>
    public int LiveTasks;

    public int Processors { get; init; } = Environment.ProcessorCount;

    /// <summary>Carries out one system call: the dispatcher of a higher rank.</summary>
    public required Func<Task, long> SystemCall { get; init; }

    /// <summary>Loads a program for execve: the loader of a higher rank.</summary>
    public required ProgramLoader Loader { get; init; }

    /// <summary>What mount(2) can make, by name. Filled at start, then read-only.</summary>
    public Dictionary<string, FileSystemMaker> FileSystemTypes { get; } = [];

    /// <summary>memfd_create's files; set once at start.</summary>
    public IMemoryFiles MemoryFiles { get; set; } = null!;

    /// <summary>Ends the sandbox after an internal error.</summary>
    public required Action<Exception> Panic { get; init; }

    /// <summary>A bit for each processor.</summary>
    public ulong AllProcessors => Processors >= 64 ? ulong.MaxValue : (1UL << Processors) - 1;

    /// <summary>The network of the container's first process; set once at start.</summary>
    public NetworkNamespace RootNetwork { get; set; } = null!;

    /// <summary>The first process of the container.</summary>
    public ThreadGroup? Init { get; set; }

    /// <summary>All times that the application sees as the start of the system begin here.</summary>
    public long UptimeNanoseconds => Clock.Monotonic - BootTime;

    /// <summary>Random bytes for applications, from the host's generator.</summary>
    public static void FillRandom(Span<byte> buffer) => HostTime.FillRandom(buffer);

    /// <summary>A device number for a new file system (major 0).</summary>
    public ulong NewDevice() => (ulong)Interlocked.Increment(ref _nextDevice);

    /// <summary>Adds a line to the kernel log (syslog(2)).</summary>
    public void LogLine(string text)
    {
        lock (_log)
        {
            double seconds = UptimeNanoseconds / 1e9;
            _log.Add($"<6>[{seconds,12:F6}] {text}");
        }
    }

    public byte[] ReadLog()
    {
        lock (_log)
        {
            return Encoding.ASCII.GetBytes(string.Join('\n', _log) + "\n");
        }
    }
}

/// <summary>What execve asks of the loader; see Loader.</summary>
internal delegate Errno ProgramLoader(
    Task task, FileDescription file, byte[] path, List<byte[]> arguments, List<byte[]> environment, out LoadedProgram? program);

/// <summary>A program that is ready to run in an address space of its own.</summary>
internal sealed class LoadedProgram
{
    public required MemoryManager Memory { get; init; }
    public required ulong EntryPoint { get; init; }
    public required ulong StackPointer { get; init; }

    /// <summary>Last component of the path (comm).</summary>
    public required string Name { get; init; }

    /// <summary>The program's file (the script's interpreter, not the script); a reference passes to the new owner.</summary>
    public required FileDescription Executable { get; init; }

    /// <summary>The caller may execute the file but not read it: nobody may look into the process.</summary>
    public bool IsUnreadable { get; init; }

    /// <summary>What the task becomes: set-user-id bits and capabilities applied.</summary>
    public required Credentials Credentials { get; init; }
}
