using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Text.Json;
using Runsc.Common;
using Runsc.Config;
using Runsc.Container.Cgroups;
using Runsc.Container.Hooks;
using Runsc.Container.Namespaces;
using Runsc.Container.Network;
using Runsc.Container.Systemd;
using Runsc.Control;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>Starts the processes of a sandbox: the gofer and the Sentry. Everything that they need is opened here and inherited.</summary>
internal sealed partial class Launcher(RunscConfig config, StateDirectory states)
{
    private const ulong DefaultMemory = 64UL << 30;

    // A user that owns nothing on any system.
    private const uint Nobody = 65534;

    // sd_booted(3).
    private const string SystemdRuns = "/run/systemd/system";

    /// <summary>Descriptors that this process opened for its children, closed at the end whatever happens.</summary>
    private readonly List<int> _own = [];

    // Waits in a new scope of systemd until the socket among the above is closed.
    private int _placeholder;

    /// <summary>
    /// Makes a container that waits for its start. Its state is saved before the processes do anything, so that `delete --force` finds them;
    /// on failure nothing is left.
    /// </summary>
    /// <param name="state">Id, bundle and so on; process ids are filled in.</param>
    /// <param name="spec">The checked specification.</param>
    /// <param name="standard">Standard input, output and error of the container; they stay the caller's.</param>
    /// <param name="place">The sandbox that it goes to.</param>
    /// <exception cref="RunscException">One line for the user.</exception>
    public void Create(ContainerState state, Spec spec, IReadOnlyList<int> standard, Placement place)
    {
        Dictionary<string, string> shared = place.FindShared(states, spec.Linux);
        states.Create(state);
        bool done = false;
        try
        {
            if (place.Sandbox is SandboxState sandbox)
            {
                StartInSandbox(state, spec, standard, sandbox, place.IsPod, shared);
            }
            else
            {
                StartSandbox(state, spec, standard);
            }

            done = true;
        }
        finally
        {
            foreach (int fd in _own)
            {
                HostFile.Close(fd);
            }

            _own.Clear();
            if (_placeholder > 0)
            {
                _ = HostProcess.Wait(_placeholder, out _);
            }

            if (!done)
            {
                Destroy(state);
            }
        }
    }

    /// <summary>
    /// Ends the processes of a container, and removes its control group and its state. The last container takes its sandbox along. The locks of both are held,
    /// but that of a sandbox which nobody knows yet.
    /// </summary>
    public void Destroy(ContainerState state)
    {
        bool isLast = !states.ContainersOf(state.Sandbox).Exists(other => other.Id != state.Id);
        SandboxState? sandbox = states.TryReadSandbox(state.Sandbox);
        if (isLast)
        {
            End(state.SandboxPid, state.SandboxStart);
        }
        else
        {
            EndInSandbox(state);
        }

        End(state.Pid, state.PidStart);
        End(state.GoferPid, state.GoferStart);
        if (isLast || !state.IsFirst)
        {
            // The Sentry may still be in the group of the container that it was made for.
            ControlGroup.Load(state.CgroupPaths)?.Remove();
        }

        if (isLast && sandbox is not null)
        {
            ControlGroup.Load(sandbox.CgroupPaths)?.Remove();
            NetworkReturn.PutBack(states, sandbox, config.Rootless);
        }

        if (isLast)
        {
            states.RemoveSandbox(state.Sandbox);
        }

        states.Remove(state.Id);
    }

    private static void End(int pid, ulong start)
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

    private void StartSandbox(ContainerState state, Spec spec, IReadOnlyList<int> standard)
    {
        if (!config.Rootless && !Environment.IsPrivilegedProcess)
        {
            throw new RunscException("root is needed to make a sandbox, or --rootless");
        }

        NamespacePlan plan = NamespacePlan.For(spec.Linux, config.Network, config.Rootless);
        if (config.Network == "sandbox" && plan.InheritsNetwork)
        {
            NetworkScraper.RefuseHostNamespace();
        }

        SandboxState sandbox = new() { Key = state.Sandbox, FirstId = state.Id, NetworkPath = plan.NetworkPlace };
        states.CreateSandbox(sandbox);
        string? label = HostLabels.Check(spec);
        int program = Own(HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/self/exe\0"u8, Fcntl.O_RDONLY | Fcntl.O_CLOEXEC), "/proc/self/exe");
        int kvm = config.Platform == "kvm" ? OpenKvm() : -1;
        int log = OpenLog(state.Id);
        int control = Own(HostPacketSocket.Listen(states.SocketOf(sandbox.Key)), "the control socket");
        int network = plan.NetworkPath is null ? -1 : Own(plan.OpenNetwork(), plan.NetworkPath);
        List<TreeInfo> goferTrees = [], bootTrees = [];
        AddTrees(state, spec, goferTrees, bootTrees);
        ControlGroup? group = MakeGroup(state, spec, sandbox);

        Pair(out int holder, out int holderChild);
        Pair(out int goferReady, out int goferReadyChild);
        StartGofer(state, spec, plan, program, log, goferTrees, goferReady, goferReadyChild, group, label);

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
            PcapFd = OpenPcap(state.Id),
            ExitFd = OpenStateFile(states.ExitFileOf(state.Id)),
            HolderFd = holder,
            Trees = bootTrees,
            MemoryLimit = HostMemoryLimit(),
            TotalMemory = MemoryOf(group),
            Processors = ProcessorCount(spec.Linux?.Resources?.Cpu?.Cpus),
            TaskLimit = Math.Max(spec.Linux?.Resources?.Pids?.Limit ?? 0, 0),
            ExecLabel = label,
            User = NamespacePlan.Maps(plan.UserIds, Nobody) && NamespacePlan.Maps(plan.GroupIds, Nobody) ? Nobody : 0,
        };
        List<int> bootFds = [program, kvm, control, bootReadyChild, log, boot.PcapFd, boot.ExitFd, holder];
        bootTrees.ForEach(tree => bootFds.Add(tree.Socket));
        foreach (int fd in standard)
        {
            // Copies above the standard numbers: in between, those are the sandbox's own.
            int copy = Own(HostFile.Duplicate(fd, 10), "standard descriptor");
            boot.StandardFds.Add(copy);
            bootFds.Add(copy);
        }

        state.SandboxPid = Run("runsc-sandbox", "boot", program, boot, bootFds, plan, plan.Sentry, network < 0 ? [] : [network]);
        state.SandboxStart = HostProcesses.StartOf(state.SandboxPid);
        states.Save(state);
        (sandbox.Pid, sandbox.Start) = (state.SandboxPid, state.SandboxStart);
        Identify(sandbox, network);
        states.SaveSandbox(sandbox);
        StartHolder(state, spec, holderChild, network, group);
        Admit(state.SandboxPid, group, spec, bootReady);

        CloseOwn(goferReadyChild);
        CloseOwn(bootReadyChild);
        goferTrees.ForEach(tree => CloseOwn(tree.Socket));
        bootTrees.ForEach(tree => CloseOwn(tree.Socket));
        OciState seen = state.Describe("creating");
        HookRunner.Run("prestart", spec.Hooks?.Prestart, seen);
        HookRunner.Run("createRuntime", spec.Hooks?.CreateRuntime, seen);
        GoOn(goferReady, spec, seen);
        AwaitReady(goferReady, "gofer");

        // Without this word the processes end: whoever started them has gone. The gofer ends with its clients, too.
        _ = HostFile.Write(goferReady, "c"u8);
        AwaitReady(bootReady, "sandbox");
        state.Phase = "created";
        states.Save(state);
        sandbox.IsReady = true;
        states.SaveSandbox(sandbox);
        _ = HostFile.Write(bootReady, "c"u8);
    }

    /// <summary>Which network namespace a sandbox has: the one that it has joined, or what its process has made.</summary>
    private static void Identify(SandboxState sandbox, int network)
    {
        int result = network >= 0
            ? HostFile.Stat(network, out StatBuffer space)
            : HostFile.StatAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes($"/proc/{sandbox.Pid}/ns/net"), 0], 0, out space);
        (sandbox.NetworkDevice, sandbox.NetworkInode) = result == 0 ? (space.Device, space.Inode) : (0, 0);
    }

    /// <summary>Starts the process that stands for the container; it ends with the byte that the sandbox writes to the other end of its socket.</summary>
    /// <param name="state">Gets its number.</param>
    /// <param name="spec">For its place on the host.</param>
    /// <param name="socket">Its end.</param>
    /// <param name="network">The sandbox's network namespace; −1: what the Sentry has made.</param>
    /// <param name="group">The container's control group.</param>
    private void StartHolder(ContainerState state, Spec spec, int socket, int network, ControlGroup? group)
    {
        int program = Own(HolderProgram.Open(socket), "the container's process");

        // It shows the container's namespaces to those who look for them by its number, as far as this user may make some.
        int spaces = Environment.IsPrivilegedProcess ? HostProcess.CLONE_NEWNS | HostProcess.CLONE_NEWIPC | HostProcess.CLONE_NEWUTS | HostProcess.CLONE_NEWPID : 0;
        List<int> joined = [];
        if (Environment.IsPrivilegedProcess)
        {
            int space = network >= 0 ? network : Own(NamespacePlan.Open($"/proc/{state.SandboxPid}/ns/net"), "the network namespace");
            if (!NamespacePlan.IsOwn(space, "net"))
            {
                joined.Add(space);
            }
        }

        _ = HostFile.SetCloseOnExec(socket, false);

        // What `docker top` shows is the host's ps.
        using RootView? view = spaces == 0 ? null : ViewOf(state, spec);
        state.Pid = HostProcess.Start(program, spec.Process!.Args!, [], spaces, joined, view: view);
        if (state.Pid < 0)
        {
            throw new RunscException($"cannot start the container's process: errno {-state.Pid}");
        }

        state.PidStart = HostProcesses.StartOf(state.Pid);
        states.Save(state);
        CloseOwn(socket);
        CloseOwn(program);
        PlaceOnHost(state.Pid, group, spec);
    }

    /// <summary>The container's root and its volumes as the host has them, for those who look for files through its process on the host (`podman cp`).</summary>
    private RootView ViewOf(ContainerState state, Spec spec)
    {
        List<PlacedTree> trees = [];
        foreach (MountSpec mount in spec.Mounts ?? [])
        {
            string source = Path.GetFullPath(Path.Combine(state.Bundle, mount.Source ?? ""));
            if (MountOptions.Parse(mount).IsBind && TreeMount.TryClone(source) is int tree)
            {
                trees.Add(new PlacedTree(Own(tree, source), Directory.Exists(source), mount.Destination!));
            }
        }

        // As the mounts of the container are made, unless changes stay in memory.
        return new RootView(SpecLoader.RootOf(spec, state.Bundle), trees, makesPlaces: config.Overlay2 == "none");
    }

    private void StartGofer(
        ContainerState state, Spec spec, NamespacePlan plan, int program, int log, List<TreeInfo> trees, int ready, int readyChild, ControlGroup? group, string? label)
    {
        StartInfo gofer = new()
        {
            Id = state.Id,
            Config = config,
            ProgramFd = program,
            ReadyFd = readyChild,
            LogFd = log,
            Trees = trees,
            ExecLabel = label,
            Hooks = spec.Hooks?.CreateContainer,
            MountPoints = config.Overlay2 == "none" && spec.Root!.Readonly ? MountPointsOf(state, spec) : [],
        };
        List<int> descriptors = [program, readyChild, log];
        if (plan.HasUserNamespace && Environment.IsPrivilegedProcess)
        {
            OpenHere(trees, spec.Hooks?.CreateContainer is { Count: > 0 });
        }

        trees.ForEach(tree => descriptors.AddRange([tree.Socket, tree.RootFd]));
        state.GoferPid = Run("runsc-gofer", "gofer", program, gofer, descriptors, plan, plan.Gofer, []);
        state.GoferStart = HostProcesses.StartOf(state.GoferPid);
        states.Save(state);
        Admit(state.GoferPid, group, spec, ready);
    }

    /// <summary>The root of a user namespace may not pass all directories on the way to its trees. What hooks mount in the container's root is seen there alone.</summary>
    private void OpenHere(List<TreeInfo> trees, bool hasHooks)
    {
        foreach (TreeInfo tree in trees)
        {
            if (tree.RootFd < 0 && !tree.Follows && !(hasHooks && tree.Mount < 0))
            {
                tree.RootFd = Own(TreeMount.OpenTree(tree.Path, tree.IsRecursive), tree.Path);
            }
        }
    }

    /// <summary>Gives a new process its place on the host, and lets it go on.</summary>
    private void Admit(int pid, ControlGroup? group, Spec spec, int ready)
    {
        PlaceOnHost(pid, group, spec);
        _ = HostFile.Write(ready, "g"u8);
    }

    private void PlaceOnHost(int pid, ControlGroup? group, Spec spec)
    {
        group?.Add(pid);
        if (spec.Process!.OomScoreAdj is int score)
        {
            try
            {
                File.WriteAllText($"/proc/{pid}/oom_score_adj", score.ToString(System.Globalization.CultureInfo.InvariantCulture));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                if (!config.Rootless)
                {
                    throw new RunscException($"cannot set process.oomScoreAdj {score}: {error.Message}");
                }
            }
        }
    }

    /// <summary>The hooks of the runtime are through: those of the container may run, which is the gofer's to do.</summary>
    private static void GoOn(int goferReady, Spec spec, OciState seen)
    {
        if (spec.Hooks?.CreateContainer is { Count: > 0 })
        {
            _ = HostPacketSocket.Send(goferReady, JsonSerializer.SerializeToUtf8Bytes(seen, StateJson.Default.OciState));
        }
    }

    /// <param name="state">Gets the container's group.</param>
    /// <param name="spec">Says where it is and what its limits are.</param>
    /// <param name="made">A new sandbox, whose processes get a group; null: the limits of the container's own group are all there are.</param>
    private ControlGroup? MakeGroup(ContainerState state, Spec spec, SandboxState? made)
    {
        if (config.IgnoreCgroups)
        {
            return null;
        }

        if (config.SystemdCgroup && !Directory.Exists(SystemdRuns))
        {
            throw new RunscException($"--systemd-cgroup: systemd does not run on this host ({SystemdRuns} is not there)");
        }

        CgroupMounts mounts = CgroupMounts.Read();
        ControlGroup? group = ControlGroup.For(mounts, spec.Linux?.CgroupsPath, state.Id, config.SystemdCgroup);
        if (group is null)
        {
            return null;
        }

        // Saved first: what is made from here on is found by `delete --force`.
        state.CgroupPaths = new Dictionary<string, string>(group.Paths);
        ControlGroup sandbox = group;
        if (made is not null)
        {
            sandbox = state.Annotations.TryGetValue("dev.gvisor.spec.cgroup-parent", out string? parent)
                ? ControlGroup.For(mounts, $"{parent.TrimEnd('/')}/{state.Id}", state.Id, systemd: false)!
                : group;
            made.CgroupPaths = new Dictionary<string, string>(sandbox.Paths);
            states.SaveSandbox(made);
        }

        states.Save(state);
        try
        {
            StartScope(state, spec, mounts.IsUnifiedOnly);
            group.Create();
            sandbox.Create();
            sandbox.Apply(spec.Linux?.Resources ?? new ResourcesSpec());
        }
        catch (RunscException) when (config.Rootless)
        {
            // An ordinary user has no groups, unless the system has given some away.
            state.CgroupPaths = [];
            states.Save(state);
            if (made is not null)
            {
                made.CgroupPaths = [];
                states.SaveSandbox(made);
            }

            return null;
        }

        return sandbox;
    }

    /// <summary>Tells systemd of the container's group. A scope has a process from its beginning: one that waits until the sandbox's are in.</summary>
    private void StartScope(ContainerState state, Spec spec, bool isUnified)
    {
        if (!config.SystemdCgroup || !RootlessIds.IsHostRoot())
        {
            return;
        }

        (string slice, string unit) = SystemdPath.Parse(spec.Linux?.CgroupsPath, state.Id);
        if (!unit.EndsWith(".scope", StringComparison.Ordinal))
        {
            throw new RunscException($"linux.cgroupsPath: {unit}: a container is a scope");
        }

        Pair(out _, out int socket);
        int program = Own(HolderProgram.Open(socket), "a process for the scope");
        _ = HostFile.SetCloseOnExec(socket, false);
        _placeholder = HostProcess.Start(program, ["runsc-scope"], [], 0);
        CloseOwn(socket);
        if (_placeholder < 0)
        {
            throw new RunscException($"cannot start a process for the scope: errno {-_placeholder}");
        }

        new SystemdScope().Start(unit, slice, _placeholder, spec.Linux?.Resources ?? new ResourcesSpec(), isUnified);
    }

    /// <summary>Where mounts go: a directory with a slash behind it.</summary>
    private static List<string> MountPointsOf(ContainerState state, Spec spec)
    {
        List<string> places = ["/proc/", "/sys/", "/dev/"];
        foreach (MountSpec mount in spec.Mounts ?? [])
        {
            string place = Path.GetFullPath("/" + mount.Destination).TrimEnd('/');
            if (places.Exists(other => other.EndsWith('/') && place.StartsWith(other, StringComparison.Ordinal)))
            {
                // On another mount, where the application kernel makes it.
                continue;
            }

            bool isFile = MountOptions.Parse(mount).IsBind && File.Exists(Path.Combine(state.Bundle, mount.Source!));
            places.Add(isFile ? place : place + "/");
        }

        return places;
    }

    private void AddTrees(ContainerState state, Spec spec, List<TreeInfo> gofer, List<TreeInfo> boot)
    {
        AddTree(gofer, boot, SpecLoader.RootOf(spec, state.Bundle), -1, readOnly: config.Overlay2 != "none" || spec.Root!.Readonly);
        for (int i = 0; i < (spec.Mounts?.Count ?? 0); i++)
        {
            MountSpec mount = spec.Mounts![i];
            MountOptions options = MountOptions.Parse(mount);
            if (options.IsBind)
            {
                string source = Path.GetFullPath(Path.Combine(state.Bundle, mount.Source ?? ""));
                if (!Path.Exists(source))
                {
                    throw new RunscException($"{Path.Combine(state.Bundle, "config.json")}: mounts: source {source}: no such file or directory");
                }

                AddTree(gofer, boot, source, i, readOnly: (options.Flags & Mount.MS_RDONLY) != 0 || config.Overlay2.StartsWith("all:", StringComparison.Ordinal));

                gofer[^1].IsRecursive = options.IsRecursive;
                MapIds(gofer[^1], mount, options, spec.Linux);
                boot[^1].UserIds = gofer[^1].UserIds;

                // A container's own mounts are in its own kernel, so that sharing them is following only.
                gofer[^1].Follows = options.Propagation is "slave" or "rslave" or "shared" or "rshared" && Directory.Exists(source);
            }
        }
    }

    /// <summary>Mapped ids: of the mount, or as the container's own where only the option is given.</summary>
    private void MapIds(TreeInfo tree, MountSpec mount, MountOptions options, LinuxSpec? linux)
    {
        List<IdMappingSpec>? users = mount.UidMappings is { Count: > 0 } ? mount.UidMappings : options.MapsIds ? linux?.UidMappings : null;
        List<IdMappingSpec>? groups = mount.GidMappings is { Count: > 0 } ? mount.GidMappings : options.MapsIds ? linux?.GidMappings : null;
        if (users is null || groups is null)
        {
            return;
        }

        if (linux?.UidMappings is { Count: > 0 })
        {
            tree.RootFd = Own(TreeMount.OpenMapped(tree.Path, options.IsRecursive, options.MapsBelow, users, groups), tree.Path);
        }
        else
        {
            (tree.UserIds, tree.GroupIds, tree.MapsBelow) = (users, groups, options.MapsBelow);
        }
    }

    private void AddTree(List<TreeInfo> gofer, List<TreeInfo> boot, string path, int mount, bool readOnly)
    {
        Pair(out int one, out int other);
        gofer.Add(new TreeInfo { Socket = one, Path = path, Mount = mount, ReadOnly = readOnly });
        boot.Add(new TreeInfo { Socket = other, Path = path, Mount = mount, ReadOnly = readOnly });
    }

    /// <summary>Bytes that programs in a control group are told there are.</summary>
    internal static ulong MemoryOf(ControlGroup? group) => Math.Min(HostMemoryLimit(), (ulong)Math.Max(group?.ReadMemoryLimit() ?? long.MaxValue, 1));

    private static ulong HostMemoryLimit()
    {
        long available = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        return available > 0 ? (ulong)available : DefaultMemory;
    }

    /// <summary>Processors that applications see: those of a list like "0-2,7", or all.</summary>
    internal static int ProcessorCount(string? list)
    {
        int count = 0;
        foreach (string range in (list ?? "").Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
        {
            string[] ends = range.Split('-');
            if (!int.TryParse(ends[0], out int first) || !int.TryParse(ends[^1], out int last) || last < first)
            {
                return Environment.ProcessorCount;
            }

            count += last - first + 1;
        }

        return count == 0 ? Environment.ProcessorCount : Math.Min(count, Environment.ProcessorCount);
    }

    private int OpenKvm()
    {
        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/kvm\0"u8, Fcntl.O_RDWR | Fcntl.O_CLOEXEC);
        return fd switch
        {
            -(int)Errno.ENOENT => throw new RunscException("/dev/kvm is not there: KVM is not available on this host; --platform=systrap does without"),
            -(int)Errno.EACCES or -(int)Errno.EPERM => throw new RunscException("/dev/kvm: permission denied; --platform=systrap does without"),
            _ => Own(fd, "/dev/kvm"),
        };
    }

    private int OpenStateFile(string path) =>
        Own(HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(path), 0], Fcntl.O_RDWR | Fcntl.O_CREAT | Fcntl.O_CLOEXEC, 0x180), path);

    private int OpenLog(string id)
    {
        if (!config.Debug && !config.Strace && !config.LogPackets)
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
        if (Path.GetDirectoryName(path) is { Length: > 0 } directory)
        {
            Directory.CreateDirectory(directory);
        }

        byte[] name = [.. Encoding.UTF8.GetBytes(path), 0];
        return Own(HostFile.OpenAt(Fcntl.AT_FDCWD, name, Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_APPEND | Fcntl.O_CLOEXEC, 0x1a4), path);
    }

    private int OpenPcap(string id)
    {
        if (config.PcapLog is not string path)
        {
            return -1;
        }

        path = path.Replace("%ID%", id, StringComparison.Ordinal);
        return Own(
            HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(path), 0], Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_TRUNC | Fcntl.O_CLOEXEC, 0x180), path);
    }

    private int Run(string name, string stage, int program, StartInfo info, List<int> descriptors, NamespacePlan plan, int namespaces, List<int> joined)
    {
        int memory = Pack(info);
        _ = HostFile.SetCloseOnExec(memory, false);
        foreach (int fd in descriptors)
        {
            if (fd >= 0)
            {
                _ = HostFile.SetCloseOnExec(fd, false);
            }
        }

        int gate = -1, gateWriter = -1;
        if (plan.HasUserNamespace)
        {
            int made = HostFile.Pipe(out gate, out gateWriter);
            Own(made < 0 ? made : gate, "pipe");
            Own(gateWriter, "pipe");
        }

        int pid = HostProcess.Start(
            program, [name, "sandbox", stage, memory.ToString(System.Globalization.CultureInfo.InvariantCulture)], [], namespaces, joined, gate, gateWriter);
        foreach (int fd in descriptors)
        {
            if (fd >= 0)
            {
                _ = HostFile.SetCloseOnExec(fd, true);
            }
        }

        CloseOwn(memory);
        if (pid < 0)
        {
            throw new RunscException($"cannot start the {stage} process: errno {-pid}{(pid == -1 ? " (are namespaces allowed? root is needed, or --rootless)" : "")}");
        }

        if (gate >= 0)
        {
            // Without the byte, when the map is refused, the process ends by itself.
            CloseOwn(gate);
            plan.MapIds(pid);
            _ = HostFile.Write(gateWriter, "m"u8);
            CloseOwn(gateWriter);
        }

        return pid;
    }

    /// <summary>A file with start information.</summary>
    private int Pack(StartInfo info)
    {
        int memory = Own(HostMemory.CreateFile("runsc-start\0"u8, Mman.MFD_CLOEXEC), "start information");
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(info, StartInfoJson.Default.StartInfo);
        return HostFile.PWrite(memory, json, 0) == json.Length ? memory : throw new RunscException("cannot write the start information");
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
