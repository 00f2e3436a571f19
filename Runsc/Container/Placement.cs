using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Common;
using Runsc.Config;
using Runsc.Container.Namespaces;
using Runsc.Container.Network;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>
/// The sandbox that a new container goes to: that of its pod; or the one that has the network namespace which its specification names, since the interfaces
/// there are inside that sandbox; or a new one. Until it is disposed, the sandbox does not go, and nobody else decides about the same network namespace.
/// </summary>
internal sealed class Placement : IDisposable
{
    private const int LOCK_EX = 2;

    private FileLock? _sandboxLock;

    // The namespace's own file is the lock. Before that of a sandbox.
    private int _network = -1;

    private Placement()
    {
    }

    /// <summary>The sandbox to join; null: a new one.</summary>
    public SandboxState? Sandbox { get; private set; }

    /// <summary>By the annotations of a pod: names and IPC are the pod's, too.</summary>
    public bool IsPod { get; private set; }

    /// <exception cref="RunscException">One line for the user.</exception>
    public static Placement Find(StateDirectory states, RunscConfig config, Spec spec)
    {
        Placement result = new();
        try
        {
            if (PodAnnotations.SandboxOf(spec.Annotations) is string pod)
            {
                result.JoinPod(states, pod);
            }
            else if (config.Network == "sandbox" && NamespacePlan.For(spec.Linux, config.Network, config.Rootless).NetworkPlace is string path)
            {
                result.JoinNetwork(states, path, config.Rootless);
            }

            return result;
        }
        catch
        {
            result.Dispose();
            throw;
        }
    }

    private void JoinPod(StateDirectory states, string id)
    {
        ContainerState first = states.TryRead(id) ?? throw new RunscException($"sandbox container \"{id}\" does not exist");
        IsPod = true;
        if (!TryJoin(states, first.Sandbox))
        {
            throw new RunscException($"sandbox container \"{id}\" is not running");
        }
    }

    private void JoinNetwork(StateDirectory states, string path, bool rootless)
    {
        _network = NamespacePlan.Open(path);
        while (HostFile.FLock(_network, LOCK_EX) == -(int)Errno.EINTR)
        {
        }

        if (HostFile.Stat(_network, out StatBuffer wanted) < 0)
        {
            throw new RunscException($"cannot look at the namespace {path}");
        }

        foreach (SandboxState sandbox in states.Sandboxes())
        {
            if (sandbox.NetworkInode != wanted.Inode || sandbox.NetworkDevice != wanted.Device)
            {
                continue;
            }

            if (TryJoin(states, sandbox.Key))
            {
                return;
            }

            // It has ended, and its containers have not been deleted yet.
            using FileLock? held = states.LockSandbox(sandbox.Key);
            if (held is not null && states.TryReadSandbox(sandbox.Key) is { IsAlive: false } ended)
            {
                NetworkReturn.PutBack(states, ended, rootless);
            }
        }
    }

    private bool TryJoin(StateDirectory states, string key)
    {
        FileLock? held = states.LockSandbox(key);
        if (held is not null && states.TryReadSandbox(key) is { IsReady: true, IsAlive: true } sandbox)
        {
            (_sandboxLock, Sandbox) = (held, sandbox);
            return true;
        }

        held?.Dispose();
        return false;
    }

    /// <summary>
    /// Which containers of the sandbox a new one shares its names (uts), its IPC (ipc) and its process ids (pid) with: the other's id by type, empty for the
    /// first container. The specification names namespaces by paths on the host, where the process of each container has some of its own.
    /// </summary>
    /// <exception cref="RunscException">A path leads elsewhere: a sandbox cannot share what is in another kernel.</exception>
    public Dictionary<string, string> FindShared(StateDirectory states, LinuxSpec? linux)
    {
        List<ContainerState> members = Sandbox is null ? [] : states.ContainersOf(Sandbox.Key);
        Dictionary<string, string> shared = IsPod ? new(StringComparer.Ordinal) { ["uts"] = "", ["ipc"] = "" } : new(StringComparer.Ordinal);
        foreach (NamespaceSpec space in linux?.Namespaces ?? [])
        {
            if (space.Type == "network" || string.IsNullOrEmpty(space.Path))
            {
                continue;
            }

            if (!TryIdentify(space.Path, out StatBuffer wanted))
            {
                throw new RunscException($"linux.namespaces: {space.Type}: {space.Path}: no such namespace");
            }

            if (members.Find(member => IsOf(member, space.Type!, wanted)) is ContainerState owner)
            {
                shared[space.Type!] = owner.IsFirst ? "" : owner.Id;
            }
            else if (!TryIdentify($"/proc/self/ns/{NameOf(space.Type!)}", out StatBuffer own) || own.Inode != wanted.Inode || own.Device != wanted.Device)
            {
                // The caller's own is what a container has that asks for none: its kernel's.
                throw new RunscException($"linux.namespaces: {space.Type}: {space.Path} is not of a container in this sandbox, and cannot be shared");
            }
        }

        return shared;
    }

    private static bool IsOf(ContainerState member, string type, in StatBuffer wanted)
    {
        foreach (int process in member.IsFirst ? [member.Pid, member.SandboxPid] : new[] { member.Pid })
        {
            if (process > 0 && TryIdentify($"/proc/{process}/ns/{NameOf(type)}", out StatBuffer own) && own.Inode == wanted.Inode && own.Device == wanted.Device)
            {
                return true;
            }
        }

        return false;
    }

    private static string NameOf(string type) => type switch { "mount" => "mnt", "network" => "net", _ => type };

    private static bool TryIdentify(string path, out StatBuffer stat) => HostFile.StatAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(path), 0], 0, out stat) == 0;

    public void Dispose()
    {
        _sandboxLock?.Dispose();
        if (_network >= 0)
        {
            _ = HostFile.Close(_network);
            _network = -1;
        }
    }
}
