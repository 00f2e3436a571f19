using System;
using System.Collections.Generic;
using System.IO;
using Runsc.Common;
using Runsc.Config;
using Runsc.Control;
using Runsc.Host.Processes;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>What the commands do to containers. Failures are <see cref="RunscException"/>s with one line for the user.</summary>
internal sealed class ContainerManager(RunscConfig config)
{
    private readonly StateDirectory _states = new(config.Root);

    public StateDirectory States => _states;

    /// <summary>create: sandbox and gofer run, the first process waits for <see cref="Start"/>.</summary>
    /// <param name="id">A new id.</param>
    /// <param name="bundle">Directory of config.json.</param>
    /// <param name="pidFile">Where the sandbox's process id is written; null for nowhere.</param>
    /// <param name="standard">Standard input, output and error of the container; they stay the caller's.</param>
    public ContainerState Create(string id, string bundle, string? pidFile, IReadOnlyList<int> standard)
    {
        StateDirectory.CheckId(id);
        bundle = Path.GetFullPath(bundle);
        Spec spec = SpecLoader.LoadBundle(bundle);
        return Create(id, bundle, spec, pidFile, standard);
    }

    public ContainerState Create(string id, string bundle, Spec spec, string? pidFile, IReadOnlyList<int> standard)
    {
        ContainerState state = new()
        {
            Id = id,
            Bundle = bundle,
            OciVersion = spec.OciVersion!,
            Created = DateTime.UtcNow,
            Owner = Environment.GetEnvironmentVariable("SUDO_USER") ?? Environment.GetEnvironmentVariable("USER") ?? "root",
            Annotations = spec.Annotations ?? [],
        };
        using ContainerLock held = _states.Lock(id);
        try
        {
            new Launcher(config, _states).Create(state, spec, standard);
            if (pidFile is not null)
            {
                WritePidFile(pidFile, state.SandboxPid);
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

    // In one step, for readers that wait for the file.
    private static void WritePidFile(string path, int pid)
    {
        string temporary = path + ".new";
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
        using ContainerLock held = _states.Lock(state.Id);
        state = _states.Load(state.Id);
        if (state.Status != "created")
        {
            throw new RunscException($"cannot start container \"{state.Id}\": it is {state.Status}");
        }

        ControlSocket.Call(_states.SocketOf(state.Id), new ControlRequest { Command = "start" });
        state.Phase = "running";
        _states.Save(state);
    }

    /// <summary>The end of a container that this process has created: its exit status as a shell tells it.</summary>
    public int WaitForOwn(ContainerState state)
    {
        int result = HostProcess.Wait(state.SandboxPid, out int status);
        if (result < 0)
        {
            throw new RunscException($"cannot wait for the sandbox: errno {-result}");
        }

        int signal = status & 0x7f;
        return signal != 0 ? 128 + signal : (status >> 8) & 0xff;
    }

    /// <summary>wait: blocks until the first process of a container has ended; its exit status.</summary>
    public int Wait(string id, int process)
    {
        ContainerState state = _states.Load(id);
        if (state.Status == "stopped")
        {
            throw new RunscException($"container \"{state.Id}\" is stopped");
        }

        ControlAnswer answer = ControlSocket.Call(_states.SocketOf(state.Id), new ControlRequest { Command = "wait", ProcessId = process });
        int signal = answer.Status & 0x7f;
        return signal != 0 ? 128 + signal : (answer.Status >> 8) & 0xff;
    }

    /// <summary>kill: a signal for the first process, for another, or for all.</summary>
    public void Kill(string id, int signal, int process, bool all)
    {
        ContainerState state = _states.Load(id);
        if (state.Status is not ("created" or "running"))
        {
            throw new RunscException($"cannot kill container \"{state.Id}\": container not running");
        }

        ControlSocket.Call(_states.SocketOf(state.Id), new ControlRequest { Command = "signal", Signal = signal, ProcessId = process, All = all });
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
            using ContainerLock orphan = _states.Lock(id);
            _states.Remove(id);
            orphan.RemoveFile();
            return;
        }

        using ContainerLock held = _states.Lock(state.Id);
        state = _states.TryRead(state.Id) ?? state;
        if (!force && state.Status is not ("stopped" or "created"))
        {
            throw new RunscException($"cannot delete container \"{state.Id}\" that is not stopped: it is {state.Status}");
        }

        new Launcher(config, _states).Destroy(state);
        held.RemoveFile();
    }

    public OciState State(string id)
    {
        ContainerState state = _states.Load(id);
        string status = state.Status;
        return new OciState
        {
            OciVersion = state.OciVersion,
            Id = state.Id,
            Status = status,
            Pid = status == "stopped" ? 0 : state.SandboxPid,
            Bundle = state.Bundle,
            Annotations = state.Annotations.Count == 0 ? null : state.Annotations,
        };
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
                    Pid = status == "stopped" ? 0 : state.SandboxPid,
                    Status = status,
                    Bundle = state.Bundle,
                    Created = state.Created,
                    Owner = state.Owner,
                });
            }
        }

        return entries;
    }

    public List<ProcessEntry> Processes(string id)
    {
        ContainerState state = RunningState(id);
        return ControlSocket.Call(_states.SocketOf(state.Id), new ControlRequest { Command = "ps" }).Processes ?? [];
    }

    /// <summary>exec: starts another process; its number inside.</summary>
    /// <param name="id">The container.</param>
    /// <param name="request">What to run.</param>
    /// <param name="standard">Its standard input, output and error; they stay the caller's.</param>
    public int Execute(string id, ExecRequest request, ReadOnlySpan<int> standard)
    {
        ContainerState state = RunningState(id);
        return ControlSocket.Call(_states.SocketOf(state.Id), new ControlRequest { Command = "exec", Exec = request }, standard).ProcessId;
    }

    /// <summary>The end of a process that <see cref="Execute"/> has started: its exit status.</summary>
    public int WaitForProcess(string id, int process)
    {
        ControlAnswer answer = ControlSocket.Call(_states.SocketOf(_states.Load(id).Id), new ControlRequest { Command = "reap", ProcessId = process });
        int signal = answer.Status & 0x7f;
        return signal != 0 ? 128 + signal : (answer.Status >> 8) & 0xff;
    }

    public void Pause(string id) => Simple(id, "pause");

    public void Resume(string id) => Simple(id, "resume");

    private void Simple(string id, string command)
    {
        ContainerState state = RunningState(id);
        ControlSocket.Call(_states.SocketOf(state.Id), new ControlRequest { Command = command });
    }

    private ContainerState RunningState(string id)
    {
        ContainerState state = _states.Load(id);
        return state.Status == "running" ? state : throw new RunscException($"container \"{state.Id}\" is not running: it is {state.Status}");
    }
}
