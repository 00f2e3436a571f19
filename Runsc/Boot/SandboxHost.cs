using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using Runsc.Boot.Wiring;
using Runsc.Common;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.Platform;
using Runsc.Sentry.FileSystems.Host;
using Runsc.Sentry.FileSystems.Proc;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Sockets.HostInet;
using Runsc.Sentry.Syscalls;

namespace Runsc.Boot;

/// <summary>The containers of a sandbox. They come and go; the sandbox ends with the last of them, which need not be the first.</summary>
internal sealed class SandboxHost(SentryKernel kernel, SyscallTable calls, StartInfo info)
{
    private readonly HostFileSystem _host = new() { Device = kernel.NewDevice() };
    private readonly Lock _mu = new();
    private readonly System.Threading.Tasks.TaskCompletionSource _empty = new();

    // Guarded by _mu: further containers, and how many have not ended, with the first; 0 for good.
    private readonly Dictionary<string, ContainerHost> _containers = new(StringComparer.Ordinal);
    private int _living = 1;

    // --pcap-log and --log-packets.
    private PacketRecorder? _recorder;

    public SentryKernel Kernel => kernel;

    public ContainerHost First { get; private set; } = null!;

    /// <summary>The network of the sandbox: with lo only, until interfaces of the host move in.</summary>
    public NetworkStack Network => ((NetNamespace)kernel.RootNetwork).Inet.Stack;

    /// <summary>Moves interfaces of the host into the sandbox, once; takes their sockets. With the host's sockets they are there to be looked at.</summary>
    /// <returns>The message for the user; null for success.</returns>
    public string? SetNetwork(NetworkSetup setup, List<int> sockets)
    {
        try
        {
            // What the specification says has been set already, and wins.
            Dictionary<string, string> given = info.Spec?.Linux?.Sysctl ?? [];
            TakeSysctls(setup.Sysctls, given, ofInterfaces: false);
            foreach (LinkSetup link in setup.Links)
            {
                link.Ipv6Disabled &= !IsGiven(given, "ipv6/conf/all/disable_ipv6") && !IsGiven(given, $"ipv6/conf/{link.Name}/disable_ipv6");
            }

            SandboxNetwork.Populate(Network, setup, sockets, info.Config.Network == "host", _recorder);
            TakeSysctls(setup.Sysctls, given, ofInterfaces: true);

            // Those that the specification has for interfaces, which were not there yet.
            Dictionary<string, string> own = [];
            foreach ((string name, string value) in given)
            {
                string path = name.Contains('/', StringComparison.Ordinal) ? name : name.Replace('.', '/');
                own[path.StartsWith("net/", StringComparison.Ordinal) ? path["net/".Length..] : path] = value;
            }

            TakeSysctls(own, [], ofInterfaces: true);
            return null;
        }
        catch (RunscException error)
        {
            return error.Message;
        }
    }

    private static bool IsGiven(Dictionary<string, string> given, string path) =>
        given.ContainsKey("net." + path.Replace('/', '.')) || given.ContainsKey("net/" + path);

    private void TakeSysctls(Dictionary<string, string> values, Dictionary<string, string> given, bool ofInterfaces)
    {
        foreach ((string path, string value) in values)
        {
            bool isOfInterface = path.Split('/') is [_, "conf", not ("all" or "default"), _];
            if (isOfInterface == ofInterfaces && !IsGiven(given, path) && NetSysctls.Store(kernel, path, value) is not Errno.None and var error)
            {
                Log.Debug($"net/{path} = {value} has no effect: {ErrorText.Of(error)}");
            }
        }
    }

    /// <exception cref="RunscException">One line for the user.</exception>
    public void Prepare()
    {
        if (info.Config.Network == "host")
        {
            HostInetFamily.Register((NetNamespace)kernel.RootNetwork);
        }

        if (info.PcapFd >= 0 || info.Config.LogPackets)
        {
            _recorder = new PacketRecorder(Network, info.PcapFd, info.Config.LogPackets);
            _recorder.Watch();
        }

        First = new ContainerHost(kernel, info, _host, "", kernel.RootUts, kernel.RootIpc);
        First.Prepare();
    }

    /// <summary>Blocks until the last container has ended: the wait status of the first.</summary>
    public int AwaitEnd()
    {
        Follow(First);
        _empty.Task.Wait();
        return First.WaitForEnd();
    }

    /// <summary>An internal error: all containers end with this exit status.</summary>
    public void Abandon(byte status)
    {
        First?.TellHolder(status);
        lock (_mu)
        {
            foreach (ContainerHost container in _containers.Values)
            {
                container.TellHolder(status);
            }
        }
    }

    /// <summary>Sees to the end of a container. It ends, too, when its process on the host is killed.</summary>
    private void Follow(ContainerHost container)
    {
        new Thread(() => { _ = container.WaitForEnd(); HasEnded(container); }, 256 << 10) { IsBackground = true, Name = "container" }.Start();
        new Thread(container.FollowHolder, 256 << 10) { IsBackground = true, Name = "holder" }.Start();
    }

    private void HasEnded(ContainerHost container)
    {
        lock (_mu)
        {
            if (--_living == 0)
            {
                _empty.SetResult();
                return;
            }
        }

        if (container == First)
        {
            Stage.LeaveStandardError();
        }
    }

    /// <summary>A container that comes. False when the last one has ended, and the sandbox with it.</summary>
    private bool TryCount()
    {
        lock (_mu)
        {
            _living += _living > 0 ? 1 : 0;
            return _living > 0;
        }
    }

    /// <summary>A container by its id, empty for the first; null when it is not in this sandbox.</summary>
    public ContainerHost? Find(string id)
    {
        if (id.Length == 0)
        {
            return First;
        }

        lock (_mu)
        {
            return _containers.GetValueOrDefault(id);
        }
    }

    /// <summary>
    /// Adds a container. The descriptors are a file with its start information, the connections to its gofer, one for each tree, a file for
    /// its exit status, one for its kills for want of memory, and its standard descriptors.
    /// </summary>
    /// <returns>The message for the user; null for success.</returns>
    public string? Add(string id, List<int> descriptors)
    {
        StartInfo container;
        try
        {
            if (id.Length == 0 || descriptors.Count == 0)
            {
                throw new RunscException("a container needs an id and its start information");
            }

            container = Stage.ReadInfo(descriptors[0]);
            int next = 1;
            if (container.Spec?.Process is null || container.Trees.Count == 0 || descriptors.Count < container.Trees.Count + 4)
            {
                throw new RunscException("the start information of the container is not whole");
            }

            container.Trees.ForEach(tree => tree.Socket = descriptors[next++]);
            container.ExitFd = descriptors[next++];
            container.MemoryEventsFd = descriptors[next++];
            container.HolderFd = descriptors[next++];
            container.StandardFds = descriptors[next..];
            ContainerHost host = new(
                kernel, container, _host, id, Sharer(container, "uts")?.Uts ?? new UtsNamespace(), Sharer(container, "ipc")?.Ipc ?? new IpcNamespace(), Sharer(container, "pid"));
            lock (_mu)
            {
                if (!_containers.TryAdd(id, host))
                {
                    throw new RunscException($"container \"{id}\" is in the sandbox already");
                }
            }

            try
            {
                host.Prepare();
                if (!TryCount())
                {
                    throw new RunscException("the sandbox has ended");
                }
            }
            catch
            {
                Remove(id);
                throw;
            }

            HostFile.Close(descriptors[0]);
            Follow(host);
            return null;
        }
        catch (RunscException error)
        {
            descriptors.ForEach(fd => HostFile.Close(fd));
            return error.Message;
        }
    }

    /// <summary>The container whose namespace of a type a new one shares; null for none.</summary>
    /// <exception cref="RunscException">It has gone.</exception>
    private ContainerHost? Sharer(StartInfo container, string type) => !container.Shared.TryGetValue(type, out string? id) ? null
        : Find(id) ?? throw new RunscException($"linux.namespaces: {type}: container \"{id}\" has gone");

    /// <summary>Ends a container; a further one is forgotten.</summary>
    public void Remove(string id)
    {
        if (id.Length == 0)
        {
            First.Destroy();
            return;
        }

        ContainerHost? container;
        lock (_mu)
        {
            _ = _containers.Remove(id, out container);
        }

        container?.Destroy();
        lock (kernel.TaskLock)
        {
            kernel.TaskLimits.Remove(id);
            if (kernel.MemoryReapers.Remove(id, out MemoryReaper? reaper))
            {
                reaper.End();
            }
        }
    }

    /// <summary>Switches the trace of system calls: "off", "all", or names with commas between.</summary>
    public void Trace(string what) => calls.Trace = what == "off" ? null
        : new Strace(line => LogWriter.Write("strace", line), what == "all" ? [] : what.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries));

    /// <summary>What each task does: for `debug --stacks`.</summary>
    public string DescribeTasks()
    {
        StringBuilder text = new();
        lock (kernel.TaskLock)
        {
            foreach (Task task in kernel.SnapshotTasksLocked())
            {
                // The registers belong to the task's thread: this is a look at a moving object, good enough to see where it stands.
                ref TrapFrame frame = ref task.Context.Frame;
                string state = task.HasExited ? "ended" : task.IsStopped ? "stopped" : task.IsSleeping ? "sleeping" : "running";
                text.Append($"task {task.ThreadId} (process {task.ThreadGroup.Id}{(task.ThreadGroup.Home.Length == 0 ? "" : $", container {task.ThreadGroup.Home}")}) {task.Name}: {state}");
                text.Append($", last call {calls.NameOf(unchecked((int)frame.OrigRax))}({frame.Rdi:x}, {frame.Rsi:x}, {frame.Rdx:x}), rip={frame.Rip:x} rsp={frame.Rsp:x}\n");
            }
        }

        return text.ToString();
    }
}
