using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container.Namespaces;

/// <summary>
/// The host's namespaces for the processes of a sandbox. Only the network namespace is the container's own, since the sandbox's interfaces are
/// there: a new one, one that is named, or the caller's with host networking. All others are new and empty, whatever the specification says,
/// and the application kernel makes the container's.
/// </summary>
internal sealed class NamespacePlan
{
    private const int Always = HostProcess.CLONE_NEWNS | HostProcess.CLONE_NEWIPC | HostProcess.CLONE_NEWUTS | HostProcess.CLONE_NEWPID;

    /// <summary>CLONE_NEW* for the Sentry.</summary>
    public int Sentry { get; private init; }

    /// <summary>CLONE_NEW* for the gofer, which has no use for a network.</summary>
    public int Gofer { get; private init; }

    /// <summary>The named network namespace; null for none.</summary>
    public string? NetworkPath { get; private init; }

    /// <summary>A path at which the network namespace is found again, as long as it is there: the named one, or the caller's; null for one of the sandbox's own.</summary>
    public string? NetworkPlace => NetworkPath ?? (InheritsNetwork ? "/proc/self/ns/net" : null);

    /// <summary>The network namespace is the caller's.</summary>
    public bool InheritsNetwork { get; private init; }

    public IReadOnlyList<IdMappingSpec> UserIds { get; private init; } = [];

    public IReadOnlyList<IdMappingSpec> GroupIds { get; private init; } = [];

    public bool HasUserNamespace => (Sentry & HostProcess.CLONE_NEWUSER) != 0;

    /// <param name="linux">linux of the specification.</param>
    /// <param name="network">--network.</param>
    /// <param name="rootless">An ordinary user gets a user namespace, whatever the specification says of ids.</param>
    public static NamespacePlan For(LinuxSpec? linux, string network, bool rootless)
    {
        NamespaceSpec? space = linux?.Namespaces?.Find(one => one.Type == "network");
        bool named = !string.IsNullOrEmpty(space?.Path);

        // Without a word about it, the container has the caller's network (runtime-spec, config-linux.md). There is nothing to have without a network.
        bool inherited = space is null && network != "none";

        // The container's ids on the host: the gofer serves files by them, the Sentry has no others.
        IReadOnlyList<IdMappingSpec> users = linux?.UidMappings ?? [], groups = linux?.GidMappings ?? [];
        if (rootless && users.Count == 0 && !Environment.IsPrivilegedProcess)
        {
            (users, groups) = RootlessIds.Read();
        }

        int user = users.Count > 0 ? HostProcess.CLONE_NEWUSER : 0;
        return new NamespacePlan
        {
            Sentry = Always | user | (named || inherited ? 0 : HostProcess.CLONE_NEWNET),
            Gofer = Always | user | HostProcess.CLONE_NEWNET,
            NetworkPath = named ? space!.Path : null,
            InheritsNetwork = inherited,
            UserIds = users,
            GroupIds = groups,
        };
    }

    /// <summary>The named network namespace, open; −1 for none.</summary>
    /// <exception cref="RunscException">It cannot be opened.</exception>
    public int OpenNetwork() => NetworkPath is null ? -1 : Open(NetworkPath);

    /// <summary>Is an open namespace the one that this process is in?</summary>
    /// <param name="space">The namespace.</param>
    /// <param name="name">Of its file in /proc/PID/ns.</param>
    public static bool IsOwn(int space, string name) =>
        HostFile.Stat(space, out StatBuffer one) == 0
        && HostFile.StatAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes($"/proc/self/ns/{name}"), 0], 0, out StatBuffer own) == 0
        && one.Inode == own.Inode && one.Device == own.Device;

    /// <summary>A namespace by its path, close-on-exec.</summary>
    /// <exception cref="RunscException">It cannot be opened.</exception>
    public static int Open(string path)
    {
        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(path), 0], Fcntl.O_RDONLY | Fcntl.O_CLOEXEC);
        return fd >= 0 ? fd : throw new RunscException($"cannot open the namespace {path}: errno {-fd}");
    }

    /// <summary>Writes the id maps of a process that is in a new user namespace (user_namespaces(7)).</summary>
    /// <exception cref="RunscException">The kernel refuses them.</exception>
    public void MapIds(int process)
    {
        if (HasUserNamespace && !Environment.IsPrivilegedProcess)
        {
            RootlessIds.Write(process, UserIds, GroupIds);
        }
        else if (HasUserNamespace)
        {
            WriteMap($"/proc/{process}/uid_map", UserIds);
            WriteMap($"/proc/{process}/gid_map", GroupIds);
        }
    }

    internal static void WriteMap(string file, IReadOnlyList<IdMappingSpec> map)
    {
        StringBuilder text = new();
        foreach (IdMappingSpec range in map)
        {
            text.Append(range.ContainerID).Append(' ').Append(range.HostID).Append(' ').Append(range.Size).Append('\n');
        }

        try
        {
            System.IO.File.WriteAllText(file, text.ToString());
        }
        catch (Exception error) when (error is System.IO.IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot map the ids of linux.uidMappings and gidMappings: {error.Message}");
        }
    }

    /// <summary>Is an id mapped?</summary>
    public static bool Maps(IReadOnlyList<IdMappingSpec>? map, uint id)
    {
        if (map is null or { Count: 0 })
        {
            return true;
        }

        foreach (IdMappingSpec range in map)
        {
            if (id >= range.ContainerID && id - range.ContainerID < range.Size)
            {
                return true;
            }
        }

        return false;
    }
}
