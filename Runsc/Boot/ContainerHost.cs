using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Control;
using Runsc.Linux;
using Runsc.Oci;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Host;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Boot;

/// <summary>A container in the Sentry: what the control server does to it.</summary>
internal sealed class ContainerHost(SentryKernel kernel, StartInfo info)
{
    private readonly HostFileSystem _host = new() { Device = kernel.NewDevice() };
    private readonly TaskCompletionSource _started = new();
    private readonly Lock _mu = new();
    private MountNamespace? _mounts;

    // Guarded by _mu until it is set.
    private ThreadGroup? _init;

    public SentryKernel Kernel => kernel;

    /// <summary>Builds the container's file systems.</summary>
    /// <exception cref="RunscException">One line for the user.</exception>
    public void Prepare()
    {
        Spec spec = info.Spec!;
        if (!string.IsNullOrEmpty(spec.Hostname))
        {
            kernel.RootUts.HostName = spec.Hostname;
        }

        if (!string.IsNullOrEmpty(spec.Domainname))
        {
            kernel.RootUts.DomainName = spec.Domainname;
        }

        _mounts = ContainerMounts.Build(kernel, info);
    }

    /// <summary>Lets the first process run. The message for the user when it cannot; null for success.</summary>
    public string? Start()
    {
        lock (_mu)
        {
            if (_init is not null)
            {
                return "the container has been started already";
            }

            ProcessSpec process = info.Spec!.Process!;
            ThreadGroup? group = ProcessStarter.Start(kernel, Describe(process, info.StandardFds, isInit: true), out string message);
            if (group is null)
            {
                return message;
            }

            _init = group;
        }

        _started.SetResult();
        return null;
    }

    private ProcessRequest Describe(ProcessSpec process, List<int> descriptors, bool isInit)
    {
        UserSpec user = process.User ?? new UserSpec();
        CapabilitiesSpec sets = process.Capabilities ?? new CapabilitiesSpec();
        ulong permitted = CapabilityNames.ToMask(sets.Permitted, "permitted"), effective = CapabilityNames.ToMask(sets.Effective, "effective");
        Dictionary<int, (ulong, ulong)> limits = [];
        foreach (RlimitSpec limit in process.Rlimits ?? [])
        {
            limits[SpecLoader.LimitNumber(limit.Type)!.Value] = (limit.Soft, limit.Hard);
        }

        return new ProcessRequest
        {
            Arguments = process.Args!,
            Environment = process.Env ?? [],
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
                Groups = user.AdditionalGids?.ToArray() ?? [],
                Permitted = permitted,
                Effective = user.Uid == 0 ? effective | permitted : effective,
                Inheritable = CapabilityNames.ToMask(sets.Inheritable, "inheritable"),
                Bounding = CapabilityNames.ToMask(sets.Bounding, "bounding"),
                Ambient = CapabilityNames.ToMask(sets.Ambient, "ambient"),
                NoNewPrivileges = process.NoNewPrivileges,
            },
            Umask = user.Umask ?? 0x12,
            Files = OpenAll(descriptors),
            Limits = limits,
            Mounts = _mounts!,
            IsInit = isInit,
            OomScoreAdjust = process.OomScoreAdj ?? 0,
        };
    }

    private List<FileDescription?> OpenAll(List<int> descriptors)
    {
        List<FileDescription?> files = [];
        foreach (int fd in descriptors)
        {
            _ = _host.Open(fd, out FileDescription? file);
            files.Add(file);
        }

        return files;
    }

    /// <summary>Starts another process: its group, or null and the message. The descriptors are taken over.</summary>
    public ThreadGroup? Execute(ExecRequest request, List<int> descriptors, out string message)
    {
        if (_init is null)
        {
            message = "the container is not running";
            return null;
        }

        ulong set = request.Capabilities;
        ProcessRequest process = new()
        {
            Arguments = request.Arguments,
            Environment = request.Environment,
            WorkingDirectory = request.WorkingDirectory,
            Credentials = new Credentials
            {
                RealUid = request.Uid,
                EffectiveUid = request.Uid,
                SavedUid = request.Uid,
                FsUid = request.Uid,
                RealGid = request.Gid,
                EffectiveGid = request.Gid,
                SavedGid = request.Gid,
                FsGid = request.Gid,
                Groups = [.. request.Groups],
                Permitted = set,
                Effective = request.Uid == 0 ? set : 0,
                Bounding = set,
                NoNewPrivileges = request.NoNewPrivileges,
            },
            Umask = request.Umask,
            Files = OpenAll(descriptors),
            Mounts = _mounts!,
        };
        return ProcessStarter.Start(kernel, process, out message);
    }

    /// <summary>Blocks until the first process has ended: its wait status. The other processes of the container end too.</summary>
    public int WaitForEnd()
    {
        _started.Task.Wait();
        int status = WaitFor(_init!);

        // Their output and their locks should be out before the sandbox goes.
        for (int i = 0; Volatile.Read(ref kernel.LiveTasks) > 0 && i < 500; i++)
        {
            Thread.Sleep(2);
        }

        return status;
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

    /// <summary>The first process, or another by its number inside; null when it is not there.</summary>
    public ThreadGroup? Find(int id)
    {
        if (id == 0)
        {
            return _init;
        }

        lock (kernel.TaskLock)
        {
            return kernel.FindTaskLocked(id)?.ThreadGroup;
        }
    }

    /// <summary>Signals a process, or all. The message for the user; null for success.</summary>
    public string? SendSignal(int id, int signal, bool all)
    {
        SignalInfo sent = new() { Signal = signal, Code = SignalInfo.SI_USER };
        if (_init is null)
        {
            if (signal is Signal.SIGKILL or Signal.SIGTERM)
            {
                // A container that never ran has nothing that could handle it.
                Environment.Exit(128 + signal);
            }

            return "the container is not running";
        }

        if (all)
        {
            foreach (ThreadGroup group in kernel.SnapshotGroups())
            {
                _ = group.SendSignal(sent, fromOutside: true);
            }

            return null;
        }

        if (Find(id) is not ThreadGroup target || target.IsZombie)
        {
            return "process not found";
        }

        _ = target.SendSignal(sent, fromOutside: true);
        return null;
    }

    private sealed class EventWaiter : Waiter
    {
        private readonly ManualResetEventSlim _event;

        public EventWaiter(ManualResetEventSlim signal)
        {
            _event = signal;
            Mask = EventMask.All;
        }

        public override void Notify(EventMask events) => _event.Set();
    }
}
