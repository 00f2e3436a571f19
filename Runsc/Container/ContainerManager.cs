using System;
using System.Collections.Generic;
using System.IO;
using Runsc.Common;
using Runsc.Config;
using Runsc.Container.Hooks;
using Runsc.Container.Network;
using Runsc.Control;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>What the commands do to containers. Failures are <see cref="RunscException"/>s with one line for the user.</summary>
internal sealed partial class ContainerManager(RunscConfig config)
{
    private readonly StateDirectory _states = new(config.Root);

    public StateDirectory States => _states;

    /// <summary>create: sandbox and gofer run, the first process waits for <see cref="Start"/>.</summary>
    /// <param name="id">A new id.</param>
    /// <param name="bundle">Directory of config.json.</param>
    /// <param name="spec">What config.json says.</param>
    /// <param name="pidFile">Where the sandbox's process id is written; null for nowhere.</param>
    /// <param name="standard">Standard input, output and error of the container; they stay the caller's.</param>
    public ContainerState Create(string id, string bundle, Spec spec, string? pidFile, IReadOnlyList<int> standard)
    {
        ConfigAnnotations.Apply(config, spec.Annotations);
        config.Check();
        using Placement place = Placement.Find(_states, config, spec);
        ContainerState state = new()
        {
            Id = id,
            Sandbox = place.Sandbox?.Key ?? Guid.NewGuid().ToString("N")[..16],
            IsFirst = place.Sandbox is null,
            Bundle = bundle,
            OciVersion = spec.OciVersion!,
            Created = DateTime.UtcNow,
            Owner = Environment.GetEnvironmentVariable("SUDO_USER") ?? Environment.GetEnvironmentVariable("USER") ?? "root",
            Annotations = spec.Annotations ?? [],
            Spec = spec,
        };

        using FileLock held = _states.Lock(id);
        try
        {
            new Launcher(config, _states).Create(state, spec, standard, place);
            if (pidFile is not null)
            {
                try
                {
                    WritePidFile(pidFile, state.Pid);
                }
                catch
                {
                    new Launcher(config, _states).Destroy(state);
                    throw;
                }
            }
        }
        catch
        {
            if (!Directory.Exists(_states.PathOf(id)))
            {
                held.RemoveFile();
            }

            throw;
        }

        return state;
    }

    /// <summary>In one step, for readers that wait for the file.</summary>
    public static void WritePidFile(string path, int pid)
    {
        string temporary = Path.Combine(Path.GetDirectoryName(Path.GetFullPath(path))!, "." + Path.GetFileName(path));
        try
        {
            File.WriteAllText(temporary, pid.ToString(System.Globalization.CultureInfo.InvariantCulture));
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot write the pid file {path}: {error.Message}");
        }
    }

    /// <summary>start: lets the first process of a created container run.</summary>
    public void Start(string id)
    {
        ContainerState state = _states.Load(id);
        using FileLock? sandbox = _states.LockSandbox(state.Sandbox);
        using FileLock held = _states.Lock(state.Id);
        state = _states.Load(state.Id);
        if (state.Status != "created")
        {
            throw new RunscException($"cannot start container \"{state.Id}\": it is {state.Status}");
        }

        HooksSpec? hooks = state.Spec?.Hooks;
        List<int> descriptors = [];
        try
        {
            ControlRequest request = new() { Command = "start" };
            if (hooks?.StartContainer is { Count: > 0 })
            {
                request.Hooks = hooks.StartContainer;
                descriptors.Add(HookRunner.Pack(state.Describe("created")));
                descriptors.Add(HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDWR | Fcntl.O_CLOEXEC));
                if (descriptors.Exists(fd => fd < 0))
                {
                    throw new RunscException("cannot open the files of startContainer hooks");
                }
            }

            MoveNetwork(state);

            // The rest concerns this container alone.
            sandbox?.Dispose();
            Call(state, request, [.. descriptors]);
        }
        catch (RunscException)
        {
            // It ends by itself; callers look for that right after this error.
            for (int i = 0; HostProcesses.IsAlive(state.Pid, state.PidStart) && i < 1000; i++)
            {
                System.Threading.Thread.Sleep(2);
            }

            throw;
        }
        finally
        {
            descriptors.ForEach(fd => HostFile.Close(fd));
        }

        state.Phase = "running";
        _states.Save(state);
        HookRunner.RunAll("poststart", hooks?.Poststart, state.Describe("running"));
    }

    /// <summary>
    /// Interfaces that are in the network namespace by the first start of a container move into the sandbox; with the host's sockets it only learns of them.
    /// The sandbox's lock is held.
    /// </summary>
    private void MoveNetwork(ContainerState state)
    {
        SandboxState? sandbox = _states.TryReadSandbox(state.Sandbox);
        if (sandbox is null || sandbox.HasNetwork || config.Network == "none")
        {
            return;
        }

        List<int> sockets = [];
        try
        {
            // Kept before anything is changed, so that it can be put back whatever happens to this process.
            NetworkSetup setup = config.Network == "host"
                ? NetworkScraper.Look(sandbox.Pid, config.Rootless)
                : NetworkScraper.TakeOver(sandbox.Pid, sockets, found => Keep(sandbox, found), config.Rootless, withSysctls: sandbox.NetworkPath is not null);
            Call(state, new ControlRequest { Command = "network", Network = setup }, [.. sockets]);
            sandbox.HasNetwork = true;
            _states.SaveSandbox(sandbox);
        }
        finally
        {
            sockets.ForEach(fd => HostFile.Close(fd));
        }
    }

    private void Keep(SandboxState sandbox, NetworkSetup found)
    {
        sandbox.Taken = sandbox.NetworkPath is null ? null : found;
        _states.SaveSandbox(sandbox);
    }

    /// <summary>The end of a container that this process has created: its exit status as a shell tells it.</summary>
    public static int WaitForOwn(ContainerState state)
    {
        int result = HostProcess.Wait(state.Pid, out int status);
        return result < 0 ? throw new RunscException($"cannot wait for the container: errno {-result}") : ShellStatus(status);
    }

    /// <summary>wait: blocks until the first process of a container has ended; its exit status.</summary>
    public int Wait(string id, int process)
    {
        ContainerState state = _states.Load(id);
        try
        {
            return ShellStatus(Call(state, new ControlRequest { Command = "wait", ProcessId = process }).Status);
        }
        catch (SandboxGoneException) when (process == 0)
        {
            return ReadExitFile(state);
        }
    }

    /// <summary>The exit status that a sandbox has left; one that was killed has left none, and counts as killed.</summary>
    private int ReadExitFile(ContainerState state)
    {
        for (int i = 0; HostProcesses.IsAlive(state.SandboxPid, state.SandboxStart) && i < 1000; i++)
        {
            System.Threading.Thread.Sleep(2);
        }

        try
        {
            string text = File.ReadAllText(_states.ExitFileOf(state.Id));
            return text.Length > 0 && int.TryParse(text, out int status) ? ShellStatus(status) : 128 + Signal.SIGKILL;
        }
        catch (IOException)
        {
            throw new RunscException($"container \"{state.Id}\" is not running and its exit status is unavailable");
        }
    }

    private static int ShellStatus(int status)
    {
        int signal = status & 0x7f;
        return signal != 0 ? 128 + signal : (status >> 8) & 0xff;
    }

    /// <summary>kill: a signal for the first process, for another, for a process group, or for all.</summary>
    public void Kill(string id, int signal, int process, bool all)
    {
        ContainerState state = _states.Load(id);
        if (state.Status is not ("created" or "running" or "paused"))
        {
            throw new RunscException($"cannot kill container \"{state.Id}\": container not running");
        }

        try
        {
            Call(state, new ControlRequest { Command = "signal", Signal = signal, ProcessId = process, All = all });
        }
        catch (SandboxGoneException error)
        {
            // The signal was its last, and the answer was lost; or it went before: then there was nobody to signal.
            if (!error.WasAsked)
            {
                throw new RunscException($"cannot kill container \"{state.Id}\": container not running");
            }
        }
    }

    /// <summary>delete: removes a stopped container; with <paramref name="force"/> one in any state, and one that is not there is no error.</summary>
    public void Delete(string id, bool force)
    {
        ContainerState state;
        try
        {
            state = _states.Load(id);
        }
        catch (RunscException) when (force)
        {
            StateDirectory.CheckId(id);
            using FileLock orphan = _states.Lock(id);
            _states.Remove(id);
            orphan.RemoveFile();
            return;
        }

        using FileLock? sandbox = _states.LockSandbox(state.Sandbox);
        using FileLock held = _states.Lock(state.Id);
        state = _states.TryRead(state.Id) ?? state;
        if (!force && state.Status is not ("stopped" or "created"))
        {
            throw new RunscException($"cannot delete container \"{state.Id}\" that is not stopped: {state.Status}");
        }

        new Launcher(config, _states).Destroy(state);
        held.RemoveFile();
        HookRunner.RunAll("poststop", state.Spec?.Hooks?.Poststop, state.Describe("stopped"));
    }

    public OciState State(string id)
    {
        ContainerState state = _states.Load(id);
        return state.Describe(state.Status);
    }

    public List<ListEntry> List()
    {
        List<ListEntry> entries = [];
        foreach (string id in _states.Ids())
        {
            if (_states.TryRead(id) is ContainerState state)
            {
                string status = state.Status;
                entries.Add(new ListEntry
                {
                    OciVersion = state.OciVersion,
                    Id = state.Id,
                    Pid = status == "stopped" ? 0 : state.Pid,
                    Status = status,
                    Bundle = state.Bundle,
                    Rootfs = state.Spec?.Root?.Path is string root ? Path.GetFullPath(Path.Combine(state.Bundle, root)) : null,
                    Created = state.Created,
                    Annotations = state.Annotations.Count == 0 ? null : state.Annotations,
                    Owner = state.Owner,
                });
            }
        }

        return entries;
    }

    public List<ProcessEntry> Processes(string id) => Call(RunningState(id), new ControlRequest { Command = "ps" }).Processes ?? [];

    /// <summary>exec: starts another process; its number inside.</summary>
    /// <param name="id">The container.</param>
    /// <param name="process">What to run.</param>
    /// <param name="standard">Its standard input, output and error; they stay the caller's.</param>
    /// <param name="evenPaused">A paused container takes it too; it runs once the container does.</param>
    public int Execute(string id, ProcessSpec process, ReadOnlySpan<int> standard, bool evenPaused)
    {
        ContainerState state = _states.Load(id);
        if (state.Status == "paused" && !evenPaused)
        {
            throw new RunscException($"cannot exec in a paused container (use --ignore-paused to override): \"{state.Id}\"");
        }

        if (state.Status is not ("running" or "paused"))
        {
            throw new RunscException($"cannot exec in a container that is not running: \"{state.Id}\" is {state.Status}");
        }

        return Call(state, new ControlRequest { Command = "exec", Exec = process }, standard).ProcessId;
    }

    /// <summary>The end of a process that <see cref="Execute"/> has started: its exit status.</summary>
    public int WaitForProcess(string id, int process)
    {
        try
        {
            return ShellStatus(Call(_states.Load(id), new ControlRequest { Command = "reap", ProcessId = process }).Status);
        }
        catch (SandboxGoneException)
        {
            // The container has ended, and with it all its processes, by SIGKILL.
            return 128 + Signal.SIGKILL;
        }
    }

    public void Pause(string id) => ChangePhase(id, "running", "pause", "paused");

    public void Resume(string id) => ChangePhase(id, "paused", "resume", "running");

    private void ChangePhase(string id, string from, string command, string to)
    {
        ContainerState state = _states.Load(id);
        using FileLock held = _states.Lock(state.Id);
        state = _states.Load(state.Id);
        if (state.Status != from)
        {
            throw new RunscException($"cannot {command} container \"{state.Id}\": container not {from}: it is {state.Status}");
        }

        Call(state, new ControlRequest { Command = command });
        state.Phase = to;
        _states.Save(state);
    }

    private ContainerState RunningState(string id)
    {
        ContainerState state = _states.Load(id);
        return state.Status is "running" or "paused" ? state : throw new RunscException($"container \"{state.Id}\" is not running: it is {state.Status}");
    }

    /// <summary>A request about a container to its sandbox.</summary>
    public ControlAnswer Call(ContainerState state, ControlRequest request, ReadOnlySpan<int> descriptors = default)
    {
        request.Container = state.IsFirst ? "" : state.Id;
        return ControlSocket.Call(_states.SocketOf(state.Sandbox), request, descriptors);
    }
}
