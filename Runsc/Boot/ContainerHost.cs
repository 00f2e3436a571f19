using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.DevPts;
using Runsc.Sentry.FileSystems.Host;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Seccomp;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;
using Task = Runsc.Sentry.Kernel.Tasks.Task;

namespace Runsc.Boot;

/// <summary>A container in the Sentry: its mounts, its first process, and what the control server does to it.</summary>
/// <param name="kernel">The sandbox's kernel.</param>
/// <param name="info">What it is made from.</param>
/// <param name="host">Home of descriptors from the host.</param>
/// <param name="name">Its id; empty for the sandbox's first container.</param>
/// <param name="uts">Its names; another container's where it shares them.</param>
/// <param name="ipc">Its System V IPC and message queues; another container's where it shares them.</param>
/// <param name="idOwner">The container whose process ids it shares; null for its own.</param>
internal sealed class ContainerHost(SentryKernel kernel, StartInfo info, HostFileSystem host, string name, UtsNamespace uts, IpcNamespace ipc, ContainerHost? idOwner = null)
{
    private const int HookPollMilliseconds = 20, AnswerMilliseconds = 100;

    // What the last output of a container has to reach a terminal that nobody may be reading.
    private const int ConsoleDrainMilliseconds = 1000;

    private readonly TaskCompletionSource _started = new();
    private readonly Lock _mu = new();
    private MountNamespace? _mounts;
    private HostConsole? _console;

    // What the specification's seccomp says, for each process of the container.
    private SeccompFilters? _filters;

    // Guarded by _mu until they are set.
    private ThreadGroup? _init;
    private bool _isStarting;
    private bool _isDestroyed;

    private bool _isTold;

    // Wait status of a container that was never started.
    private int _unstartedStatus = Signal.SIGKILL;

    public string Name => name;

    // Whose process ids its processes have.
    private string IdSpace => idOwner?.IdSpace ?? name;

    public UtsNamespace Uts => uts;

    public IpcNamespace Ipc => ipc;

    public MountNamespace Mounts => _mounts!;

    /// <summary>created, running or stopped.</summary>
    public string State => Volatile.Read(ref _isDestroyed) ? "stopped" : _init is null ? "created" : _init.IsZombie ? "stopped" : "running";

    /// <summary>Builds the container's file systems.</summary>
    /// <exception cref="RunscException">One line for the user.</exception>
    public void Prepare()
    {
        Spec spec = info.Spec!;
        // Without a namespace of its own, or of another container, it has the host's name.
        bool own = spec.Linux?.Namespaces?.Exists(space => space.Type == "uts") ?? false;
        string text = !string.IsNullOrEmpty(spec.Hostname) ? spec.Hostname : own || info.Shared.ContainsKey("uts") ? uts.HostName : System.Environment.MachineName;
        uts.HostName = text.Length > UtsNamespace.MaximumLength ? text[..UtsNamespace.MaximumLength] : text;
        uts.DomainName = string.IsNullOrEmpty(spec.Domainname) ? uts.DomainName : spec.Domainname;
        SetTaskLimit(info.TaskLimit);
        if (name.Length > 0)
        {
            SetMemoryLimit(info.MemoryLimit);
        }

        _filters = CompileFilters(spec.Linux?.Seccomp);
        _mounts = ContainerMounts.Build(kernel, info, IdSpace, uts, ipc);

        // What cannot be started is said at the creation, as by other runtimes; unless hooks may still bring it.
        if (spec.Hooks?.StartContainer is not { Count: > 0 } && ProcessStarter.Probe(kernel, Describe(spec.Process!, [], isInit: false)) is string problem)
        {
            throw new RunscException(problem);
        }
    }

    private static SeccompFilters? CompileFilters(SeccompSpec? spec)
    {
        if (spec is null)
        {
            return null;
        }

        SeccompFilters? filters = null;
        bool made = BpfProgram.TryCreate(SeccompCompiler.Compile("linux.seccomp", spec), out BpfProgram? program) == Errno.None
            && SeccompFilters.TryAdd(program!, null, SeccompCompiler.Logs(spec), out filters) == Errno.None;
        return made ? filters : throw new RunscException("linux.seccomp: the filter cannot be used");
    }

    /// <summary>Tasks that the container may have; 0 for no limit.</summary>
    public void SetTaskLimit(long limit)
    {
        lock (kernel.TaskLock)
        {
            if (limit > 0)
            {
                kernel.TaskLimits[name] = limit;
            }
            else
            {
                kernel.TaskLimits.Remove(name);
            }
        }
    }

    /// <summary>Bytes of memory that a further container may use; 0 for no limit but the sandbox's.</summary>
    /// <exception cref="RunscException">The sandbox has too many containers with an account.</exception>
    public void SetMemoryLimit(ulong bytes)
    {
        long pages = bytes == 0 ? long.MaxValue : (long)(bytes / MemoryFile.PageSize);
        lock (kernel.TaskLock)
        {
            if (kernel.MemoryReapers.TryGetValue(name, out MemoryReaper? reaper))
            {
                reaper.Account.Limit = pages;
                return;
            }

            MemoryAccount account = kernel.Memory.AddAccount(pages) ?? throw new RunscException("the sandbox has too many containers");
            kernel.MemoryReapers[name] = new MemoryReaper(kernel, name, account, ReportKills);
        }
    }

    // In the form of a control group's memory.events.
    private void ReportKills(long kills)
    {
        if (info.MemoryEventsFd >= 0)
        {
            _ = HostFile.PWrite(info.MemoryEventsFd, Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"oom_kill {kills}\n")), 0);
        }
    }

    /// <summary>Lets the first process run. The message for the user when it cannot; null for success.</summary>
    /// <param name="hooks">startContainer hooks.</param>
    /// <param name="descriptors">Input and output of the hooks; taken over.</param>
    public string? Start(List<HookSpec>? hooks, List<int> descriptors)
    {
        lock (_mu)
        {
            if (_isStarting || _isDestroyed)
            {
                return "the container has been started already";
            }

            _isStarting = true;
        }

        string? problem = RunHooks(hooks ?? [], descriptors);
        descriptors.ForEach(fd => HostFile.Close(fd));
        if (problem is null)
        {
            lock (_mu)
            {
                string message = _isDestroyed ? "the container has been destroyed" : "linux.namespaces: pid: the container whose process ids it shares is not running";
                _init = _isDestroyed || idOwner is { State: not "running" } ? null : ProcessStarter.Start(kernel, Describe(info.Spec!.Process!, info.StandardFds, isInit: true), out message);
                problem = _init is null ? message : null;
            }
        }

        if (problem is null)
        {
            _ = _started.TrySetResult();
        }

        return problem;
    }

    private string? RunHooks(List<HookSpec> hooks, List<int> descriptors)
    {
        foreach (HookSpec hook in hooks)
        {
            if (descriptors.Count < 2)
            {
                return "startContainer hooks need their descriptors";
            }

            // The state is read from its beginning by each.
            _ = HostFile.Seek(descriptors[0], 0, 0);
            ProcessSpec process = new()
            {
                Args = hook.Args is { Count: > 0 } ? hook.Args : [hook.Path!],
                Env = hook.Env,
                Cwd = "/",
                Capabilities = info.Spec!.Process!.Capabilities,
            };
            List<int> standard = [HostFile.Duplicate(descriptors[0]), HostFile.Duplicate(descriptors[1]), HostFile.Duplicate(descriptors[1])];
            ThreadGroup? group = ProcessStarter.Start(kernel, Describe(process, standard, isInit: false, program: hook.Path), out string message);
            if (group is null)
            {
                return $"startContainer hook {hook.Path}: {message}";
            }

            string? problem = AwaitHook(group, hook.Timeout);
            Release(group);
            if (problem is not null)
            {
                return $"startContainer hook {hook.Path}: {problem}";
            }
        }

        return null;
    }

    private static string? AwaitHook(ThreadGroup group, int? timeout)
    {
        long deadline = timeout is int seconds ? System.Environment.TickCount64 + (seconds * 1000L) : long.MaxValue;
        while (!group.IsZombie)
        {
            if (System.Environment.TickCount64 > deadline)
            {
                _ = group.SendSignal(new SignalInfo { Signal = Signal.SIGKILL, Code = SignalInfo.SI_USER }, fromOutside: true);
                _ = WaitFor(group);
                return $"has not ended within {timeout} s";
            }

            Thread.Sleep(HookPollMilliseconds);
        }

        int status = group.ExitStatus;
        return status == 0 ? null : (status & 0x7f) != 0 ? $"killed by signal {status & 0x7f}" : $"exit status {(status >> 8) & 0xff}";
    }

    private ProcessRequest Describe(ProcessSpec process, List<int> descriptors, bool isInit, string? program = null)
    {
        UserSpec user = process.User ?? new UserSpec();
        CapabilitiesSpec sets = process.Capabilities ?? new CapabilitiesSpec();
        ulong permitted = CapabilityNames.ToMask(sets.Permitted, "permitted"), effective = CapabilityNames.ToMask(sets.Effective, "effective");
        Dictionary<int, (ulong, ulong)> limits = [];
        foreach (RlimitSpec limit in process.Rlimits ?? [])
        {
            limits[SpecLoader.LimitNumber(limit.Type)!.Value] = (limit.Soft, limit.Hard);
        }

        ProcessRequest request = new()
        {
            Program = program,
            Arguments = process.Args!,
            Environment = WithHome(process.Env ?? [], user.Uid),
            WorkingDirectory = process.Cwd ?? "/",
            Credentials = new Credentials
            {
                RealUid = user.Uid,
                EffectiveUid = user.Uid,
                SavedUid = user.Uid,
                FsUid = user.Uid,
                RealGid = user.Gid,
                EffectiveGid = user.Gid,
                SavedGid = user.Gid,
                FsGid = user.Gid,
                // In order, as the kernel keeps them (setgroups(2)).
                Groups = [.. (user.AdditionalGids ?? []).Order()],
                Permitted = permitted,
                Effective = user.Uid == 0 ? effective | permitted : effective,
                Inheritable = CapabilityNames.ToMask(sets.Inheritable, "inheritable"),
                Bounding = CapabilityNames.ToMask(sets.Bounding, "bounding"),
                Ambient = CapabilityNames.ToMask(sets.Ambient, "ambient"),
                NoNewPrivileges = process.NoNewPrivileges,
            },
            Umask = user.Umask ?? 0x12,
            Files = [],
            Limits = limits,
            Mounts = _mounts!,
            Container = IdSpace,
            Home = name,
            IsInit = isInit && idOwner is null,
            OomScoreAdjust = process.OomScoreAdj ?? 0,
            Configure = task => SetUp(task, process, isInit),
        };
        GiveFiles(request, process.Terminal, isInit, descriptors);
        return request;
    }

    /// <summary>What is the task's own. The filters of the specification hold for every process, as for those of `exec`.</summary>
    private void SetUp(Task task, ProcessSpec process, bool isInit)
    {
        task.Uts = uts;
        task.Ipc = ipc;
        task.IdMaps = Mapped(info.Spec!.Linux);
        task.TimeOffsets = new TimeOffsets(Offset("monotonic"), Offset("boottime"));
        task.AdoptSeccomp(_filters);
        task.Personality = info.Spec!.Linux?.Personality?.Domain == "LINUX32" ? (uint)Misc.PER_LINUX32 : Misc.PER_LINUX;
        Schedule(task, process);
        if (!isInit && process.ExecCPUAffinity?.Final is { Length: > 0 } list && CpuList.TryParse(list, out ulong processors))
        {
            task.Affinity = processors;
        }
    }

    private static IdMaps Mapped(LinuxSpec? linux) =>
        linux?.UidMappings is { Count: > 0 } ? new IdMaps(Lines(linux.UidMappings), Lines(linux.GidMappings ?? [])) : IdMaps.None;

    private static string Lines(List<IdMappingSpec> mappings) =>
        string.Concat(mappings.ConvertAll(one => string.Create(CultureInfo.InvariantCulture, $"{one.ContainerID,10} {one.HostID,10} {one.Size,10}\n")));

    // Nanoseconds.
    private long Offset(string clock) =>
        info.Spec!.Linux?.TimeOffsets?.GetValueOrDefault(clock) is TimeOffsetSpec offset ? (offset.Secs * ClockMath.Second) + offset.Nanosecs : 0;

    private static void Schedule(Task task, ProcessSpec process)
    {
        if (process.Scheduler is SchedulerSpec scheduler)
        {
            task.SchedulingPolicy = SpecCheck.Policy(scheduler);
            task.SchedulingPriority = scheduler.Priority;
            task.Nice = scheduler.Nice;
            task.ResetOnFork = scheduler.Flags is { Count: > 0 };
        }

        if (process.IoPriority is IoPrioritySpec io)
        {
            task.IoPriority = SpecCheck.IoPriority(io)!.Value;
        }
    }

    /// <summary>HOME from /etc/passwd of the container when it is not given, as runc does.</summary>
    private List<string> WithHome(List<string> environment, uint uid)
    {
        if (environment.Exists(variable => variable.StartsWith("HOME=", System.StringComparison.Ordinal)))
        {
            return environment;
        }

        string home = "/";
        foreach (string line in Encoding.UTF8.GetString(ContainerReader.ReadSmall(kernel, _mounts!, "/etc/passwd")).Split('\n'))
        {
            string[] fields = line.Split(':');
            if (fields.Length >= 6 && fields[2] == uid.ToString(CultureInfo.InvariantCulture) && fields[5].Length > 0)
            {
                home = fields[5];
                break;
            }
        }

        return [.. environment, "HOME=" + home];
    }

    /// <summary>A process gets the descriptors as they are, or a terminal of the container's own that is joined to them.</summary>
    private void GiveFiles(ProcessRequest request, bool terminal, bool isInit, List<int> descriptors)
    {
        ConsoleSetup? setup = terminal ? ConsoleSetup.TryOpen(kernel, _mounts!, request.Credentials, descriptors) : null;
        if (setup is null)
        {
            request.Files = OpenAll(descriptors);
            return;
        }

        request.Files = setup.Files;
        request.SetUpTerminal = task => _ = setup.Pty.SetControlling(task, steal: false, readable: true);
        if (isInit)
        {
            kernel.SetConsole(IdSpace, setup.Pty);
            _console = setup.Console;
        }
    }

    private List<FileDescription?> OpenAll(List<int> descriptors)
    {
        List<FileDescription?> files = [];
        foreach (int fd in descriptors)
        {
            _ = host.Open(fd, out FileDescription? file);
            files.Add(file);
        }

        return files;
    }

    /// <summary>Starts another process: its group, or null and the message. The descriptors are taken over.</summary>
    public ThreadGroup? Execute(ProcessSpec process, List<int> descriptors, out string message)
    {
        string? problem = State != "running" ? "container not running"
            : process.ExecCPUAffinity?.Final is { Length: > 0 } list && CpuList.TryParse(list, out ulong processors) && (processors & kernel.AllProcessors) == 0
            ? $"execCPUAffinity.final: {list}: the sandbox has only the processors {CpuList.Format(kernel.AllProcessors)}"
            : null;
        if (problem is not null)
        {
            // Whoever reads the other ends waits for it.
            descriptors.ForEach(fd => HostFile.Close(fd));
            message = problem;
            return null;
        }

        process.Capabilities ??= info.Spec!.Process!.Capabilities;
        return ProcessStarter.Start(kernel, Describe(process, descriptors, isInit: false), out message);
    }

    /// <summary>
    /// Blocks until the first process has ended and the others of the container with it, and tells its exit status to those who ask later: its wait status.
    /// </summary>
    public int WaitForEnd()
    {
        _started.Task.Wait();
        int status = _init is null ? Volatile.Read(ref _unstartedStatus) : WaitFor(_init);
        if (idOwner is not null)
        {
            // Not the init of its process ids, with which they would end by themselves.
            KillAll();
        }

        // Their output and their locks should be out before the container counts as ended.
        for (int i = 0; CountTasks() > 0 && i < 500; i++)
        {
            Thread.Sleep(2);
        }

        _ = _console?.WaitForEnd(ConsoleDrainMilliseconds);
        if (info.ExitFd >= 0)
        {
            _ = HostFile.PWrite(info.ExitFd, Encoding.ASCII.GetBytes(status.ToString(CultureInfo.InvariantCulture)), 0);
        }

        int signal = status & 0x7f;
        TellHolder((byte)(signal != 0 ? 128 + signal : status >> 8));
        return status;
    }

    /// <summary>The container's process on the host ends with this exit status; only the first one counts.</summary>
    public void TellHolder(byte status)
    {
        if (info.HolderFd >= 0 && Interlocked.Exchange(ref _isTold, true) == false)
        {
            _ = HostFile.Write(info.HolderFd, [status]);
        }
    }

    /// <summary>Blocks until the container's process on the host has gone; a container that has lost it ends.</summary>
    public void FollowHolder()
    {
        byte[] nothing = new byte[1];
        while (info.HolderFd >= 0 && HostFile.Read(info.HolderFd, nothing) == -(long)Errno.EINTR)
        {
        }

        if (!Volatile.Read(ref _isTold))
        {
            Destroy();
        }
    }

    /// <summary>Tasks of the container that have not ended.</summary>
    public int CountTasks()
    {
        int count = 0;
        lock (kernel.TaskLock)
        {
            foreach (Task task in kernel.SnapshotTasksLocked(IdSpace))
            {
                count += task.HasExited || task.ThreadGroup.Home != name ? 0 : 1;
            }
        }

        return count;
    }

    /// <summary>Blocks until a process has ended: its wait status.</summary>
    public static int WaitFor(ThreadGroup group)
    {
        using ManualResetEventSlim ended = new();
        EventWaiter waiter = new(ended);
        group.ExitEvents.Register(waiter);
        while (!group.IsZombie)
        {
            ended.Wait();
            ended.Reset();
        }

        group.ExitEvents.Unregister(waiter);
        return group.ExitStatus;
    }

    /// <summary>Forgets a process that was started from outside and has ended.</summary>
    public void Release(ThreadGroup group)
    {
        lock (kernel.TaskLock)
        {
            if (!group.IsDead && group.Parent is null && !group.IsInit)
            {
                group.ReleaseLocked();
            }
        }
    }

    /// <summary>Blocks until the container has been started: its first process; null when it was destroyed instead.</summary>
    public ThreadGroup? AwaitInit()
    {
        _started.Task.Wait();
        return _init;
    }

    /// <summary>The first process, or another by its number inside; null when it is not there.</summary>
    public ThreadGroup? Find(int id)
    {
        if (id == 0)
        {
            return _init;
        }

        lock (kernel.TaskLock)
        {
            return kernel.FindTaskLocked(id, IdSpace)?.ThreadGroup is ThreadGroup group && group.Home == name ? group : null;
        }
    }

    /// <summary>Processes of the container.</summary>
    public List<ThreadGroup> Processes() => kernel.SnapshotGroups(IdSpace).FindAll(group => group.Home == name);

    /// <summary>Signals a process, or all. The message for the user; null for success.</summary>
    public string? SendSignal(int id, int signal, bool all)
    {
        SignalInfo sent = new() { Signal = signal, Code = SignalInfo.SI_USER };
        if (_init is null)
        {
            if (signal is Signal.SIGKILL or Signal.SIGTERM)
            {
                // A container that never ran has nothing that could handle it.
                EndUnstarted(128 + signal);
                return null;
            }

            return "container not running";
        }

        if (all)
        {
            foreach (ThreadGroup group in Processes())
            {
                _ = group.SendSignal(sent, fromOutside: true);
            }

            return null;
        }

        if (Find(id) is not ThreadGroup target || target.IsZombie)
        {
            return "no such process";
        }

        _ = target.SendSignal(sent, fromOutside: true);
        return null;
    }

    /// <summary>The start has failed: the container ends, so that callers who wait for it go on.</summary>
    public void Fail()
    {
        Thread.Sleep(AnswerMilliseconds);
        EndUnstarted(128);
    }

    private void EndUnstarted(int status)
    {
        Volatile.Write(ref _unstartedStatus, status << 8);
        Destroy();
    }

    /// <summary>Ends what runs of it; it cannot be used any more.</summary>
    public void Destroy()
    {
        lock (_mu)
        {
            Volatile.Write(ref _isDestroyed, true);
        }

        _ = _started.TrySetResult();
        for (int i = 0; CountTasks() > 0 && i < 1000; i++)
        {
            KillAll();
            Thread.Sleep(2);
        }

        // Nobody else waits for them: their numbers and what they hold go.
        lock (kernel.TaskLock)
        {
            foreach (Task task in kernel.SnapshotTasksLocked(IdSpace))
            {
                ThreadGroup group = task.ThreadGroup;
                if (group.Leader == task && group.Home == name && group.IsZombie && !group.IsDead)
                {
                    group.ReleaseLocked();
                }
            }
        }
    }

    private void KillAll()
    {
        SignalInfo kill = new() { Signal = Signal.SIGKILL, Code = SignalInfo.SI_USER };
        foreach (ThreadGroup group in Processes())
        {
            _ = group.SendSignal(kill, fromOutside: true);
        }
    }
}
