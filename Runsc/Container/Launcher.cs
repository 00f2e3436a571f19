using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Text.Json;
using Runsc.Common;
using Runsc.Config;
using Runsc.Control;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>Starts the processes of a sandbox: the gofer and the Sentry. Everything that they need is opened here and inherited.</summary>
internal sealed class Launcher(RunscConfig config, StateDirectory states)
{
    private const ulong DefaultMemory = 64UL << 30;

    /// <summary>Descriptors that this process opened for its children, closed at the end whatever happens.</summary>
    private readonly List<int> _own = [];

    /// <summary>
    /// Makes a container that waits for its start. Its state is saved before the processes do anything, so that `delete --force` finds them;
    /// on failure nothing is left.
    /// </summary>
    /// <param name="state">Id, bundle and so on; process ids are filled in.</param>
    /// <param name="spec">The checked specification.</param>
    /// <param name="standard">Standard input, output and error of the container; they stay the caller's.</param>
    /// <exception cref="RunscException">One line for the user.</exception>
    public void Create(ContainerState state, Spec spec, IReadOnlyList<int> standard)
    {
        states.Create(state);
        bool done = false;
        try
        {
            Start(state, spec, standard);
            done = true;
        }
        finally
        {
            foreach (int fd in _own)
            {
                HostFile.Close(fd);
            }

            _own.Clear();
            if (!done)
            {
                Destroy(state);
            }
        }
    }

    /// <summary>Ends the processes of a container and removes its state.</summary>
    public void Destroy(ContainerState state)
    {
        foreach ((int pid, ulong start) in new[] { (state.SandboxPid, state.SandboxStart), (state.GoferPid, state.GoferStart) })
        {
            if (HostProcesses.IsAlive(pid, start))
            {
                _ = HostProcess.Kill(pid, Signal.SIGKILL);
            }

            // Ours to reap if we started it; else its parent does that.
            for (int i = 0; pid > 0 && HostProcess.Wait(pid, out _, 1) == 0 && i < 500; i++)
            {
                System.Threading.Thread.Sleep(2);
            }

            for (int i = 0; HostProcesses.IsAlive(pid, start) && i < 1000; i++)
            {
                System.Threading.Thread.Sleep(2);
            }
        }

        states.Remove(state.Id);
    }

    private void Start(ContainerState state, Spec spec, IReadOnlyList<int> standard)
    {
        int program = Own(HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/self/exe\0"u8, Fcntl.O_RDONLY | Fcntl.O_CLOEXEC), "/proc/self/exe");
        int kvm = OpenKvm();
        int log = OpenLog(state.Id);
        int control = Own(HostPacketSocket.Listen(states.SocketOf(state.Id)), "the control socket");
        List<TreeInfo> goferTrees = [], bootTrees = [];
        AddTree(goferTrees, bootTrees, SpecLoader.RootOf(spec, state.Bundle), -1, readOnly: config.Overlay2 != "none" || spec.Root!.Readonly);
        for (int i = 0; i < (spec.Mounts?.Count ?? 0); i++)
        {
            MountSpec mount = spec.Mounts![i];
            if (IsBind(mount))
            {
                string source = Path.GetFullPath(Path.Combine(state.Bundle, mount.Source ?? ""));
                if (!Path.Exists(source))
                {
                    throw new RunscException($"{Path.Combine(state.Bundle, "config.json")}: mounts: source {source}: no such file or directory");
                }

                AddTree(goferTrees, bootTrees, source, i, readOnly: mount.Options?.Contains("ro") == true || config.Overlay2.StartsWith("all:", StringComparison.Ordinal));
            }
        }

        Pair(out int goferReady, out int goferReadyChild);
        StartInfo gofer = new() { Id = state.Id, Config = config, ProgramFd = program, ReadyFd = goferReadyChild, LogFd = log, Trees = goferTrees };
        List<int> goferFds = [program, goferReadyChild, log];
        goferTrees.ForEach(tree => goferFds.Add(tree.Socket));
        int namespaces = HostProcess.CLONE_NEWNS | HostProcess.CLONE_NEWIPC | HostProcess.CLONE_NEWNET | HostProcess.CLONE_NEWUTS | HostProcess.CLONE_NEWPID;
        state.GoferPid = Run("runsc-gofer", "gofer", program, gofer, goferFds, namespaces);
        state.GoferStart = HostProcesses.StartOf(state.GoferPid);
        states.Save(state);

        Pair(out int bootReady, out int bootReadyChild);
        StartInfo boot = new()
        {
            Id = state.Id,
            Config = config,
            Spec = spec,
            ProgramFd = program,
            KvmFd = kvm,
            ControlFd = control,
            ReadyFd = bootReadyChild,
            LogFd = log,
            Trees = bootTrees,
            MemoryLimit = MemoryLimit(),
            Processors = Environment.ProcessorCount,
        };
        List<int> bootFds = [program, kvm, control, bootReadyChild, log];
        bootTrees.ForEach(tree => bootFds.Add(tree.Socket));
        foreach (int fd in standard)
        {
            // Copies above the standard numbers: in between, those are the sandbox's own.
            int copy = Own(HostFile.Duplicate(fd, 10), "standard descriptor");
            boot.StandardFds.Add(copy);
            bootFds.Add(copy);
        }

        state.SandboxPid = Run("runsc-sandbox", "boot", program, boot, bootFds, namespaces);
        state.SandboxStart = HostProcesses.StartOf(state.SandboxPid);
        states.Save(state);

        CloseOwn(goferReadyChild);
        CloseOwn(bootReadyChild);
        goferTrees.ForEach(tree => CloseOwn(tree.Socket));
        bootTrees.ForEach(tree => CloseOwn(tree.Socket));
        AwaitReady(goferReady, "gofer");

        // Without this word the processes end: whoever started them has gone. The gofer ends with its clients, too.
        _ = HostFile.Write(goferReady, "c"u8);
        AwaitReady(bootReady, "sandbox");
        state.Phase = "created";
        states.Save(state);
        _ = HostFile.Write(bootReady, "c"u8);
    }

    private static bool IsBind(MountSpec mount) => mount.Type == "bind" || mount.Options?.Contains("bind") == true || mount.Options?.Contains("rbind") == true;

    private void AddTree(List<TreeInfo> gofer, List<TreeInfo> boot, string path, int mount, bool readOnly)
    {
        Pair(out int one, out int other);
        gofer.Add(new TreeInfo { Socket = one, Path = path, Mount = mount, ReadOnly = readOnly });
        boot.Add(new TreeInfo { Socket = other, Path = path, Mount = mount, ReadOnly = readOnly });
    }

    private static ulong MemoryLimit()
    {
        long available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return available > 0 ? (ulong)available : DefaultMemory;
    }

    private int OpenKvm()
    {
        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/kvm\0"u8, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        return fd switch
        {
            -(int)Errno.ENOENT => throw new RunscException("/dev/kvm is not there: KVM is not available on this host"),
            -(int)Errno.EACCES or -(int)Errno.EPERM => throw new RunscException("/dev/kvm: permission denied"),
            _ => Own(fd, "/dev/kvm"),
        };
    }

    private int OpenLog(string id)
    {
        if (!config.Debug && !config.Strace)
        {
            return -1;
        }

        if (config.DebugLog is not string path)
        {
            return Own(HostFile.Duplicate(2, 10), "standard error");
        }

        if (path.EndsWith('/'))
        {
            Directory.CreateDirectory(path);
            path = Path.Combine(path, $"runsc.log.{DateTime.UtcNow:yyyyMMdd-HHmmss}.{id}.boot.txt");
        }

        path = path.Replace("%ID%", id, StringComparison.Ordinal).Replace("%COMMAND%", "boot", StringComparison.Ordinal);
        byte[] name = [.. Encoding.UTF8.GetBytes(path), 0];
        return Own(HostFile.OpenAt(Fcntl.AT_FDCWD, name, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND | Fcntl.O_CLOEXEC, 0x1a4), path);
    }

    private int Run(string name, string stage, int program, StartInfo info, List<int> descriptors, int namespaces)
    {
        int memory = Own(HostMemory.CreateFile("runsc-start\0"u8, 0), "start information");
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(info, StartInfoJson.Default.StartInfo);
        if (HostFile.PWrite(memory, json, 0) != json.Length)
        {
            throw new RunscException("cannot write the start information");
        }

        foreach (int fd in descriptors)
        {
            if (fd >= 0)
            {
                _ = HostFile.SetCloseOnExec(fd, false);
            }
        }

        int pid = HostProcess.Start(program, [name, "sandbox", stage, memory.ToString(System.Globalization.CultureInfo.InvariantCulture)], [], namespaces);
        foreach (int fd in descriptors)
        {
            if (fd >= 0)
            {
                _ = HostFile.SetCloseOnExec(fd, true);
            }
        }

        CloseOwn(memory);
        return pid < 0 ? throw new RunscException($"cannot start the {stage} process: errno {-pid}{(pid == -1 ? " (are namespaces allowed? root is needed)" : "")}") : pid;
    }

    /// <summary>Waits until a process says that it is ready; what it says else is why it is not.</summary>
    private static void AwaitReady(int socket, string process)
    {
        byte[] buffer = new byte[4096];
        long n = HostPacketSocket.Receive(socket, buffer, default, out _);
        if (n <= 0)
        {
            throw new RunscException($"the {process} process has ended at its start");
        }

        if (buffer[0] != 0)
        {
            throw new RunscException(Encoding.UTF8.GetString(buffer, 0, (int)n));
        }
    }

    private void Pair(out int one, out int other)
    {
        int result = HostPacketSocket.Pair(out one, out other);
        Own(result < 0 ? result : one, "socket pair");
        Own(other, "socket pair");
    }

    private int Own(int fd, string what)
    {
        if (fd < 0)
        {
            throw new RunscException($"cannot open {what}: errno {-fd}");
        }

        _own.Add(fd);
        return fd;
    }

    private void CloseOwn(int fd)
    {
        if (_own.Remove(fd))
        {
            HostFile.Close(fd);
        }
    }
}
