using System;
using System.Collections.Generic;
using System.Text;
using System.Text.Json;
using Runsc.Common;
using Runsc.Container;
using Runsc.Container.Hooks;
using Runsc.Container.Namespaces;
using Runsc.Control;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Boot;

/// <summary>
/// The first stage of the gofer and of the Sentry (`runsc sandbox`): in fresh namespaces, still with rights, it opens what only paths can name,
/// moves into an empty root, gives up its rights, and executes the program anew, so that no thread is left from before.
/// </summary>
internal static class Stage
{
    // Enough to serve files of any owner.
    private const ulong GoferCapabilities =
        (1UL << Capability.CAP_CHOWN) | (1UL << Capability.CAP_DAC_OVERRIDE) | (1UL << Capability.CAP_DAC_READ_SEARCH)
        | (1UL << Capability.CAP_FOWNER) | (1UL << Capability.CAP_FSETID) | (1UL << Capability.CAP_SETFCAP);

    // With the host's sockets a container with CAP_NET_BIND_SERVICE serves the well-known ports; the Sentry looks at the caller's capabilities.
    private const ulong HostNetworkCapabilities = 1UL << Capability.CAP_NET_BIND_SERVICE;

    // Files that the application has open or that are cached cost descriptors on both sides of 9P; fs.nr_open of most hosts.
    private const ulong DescriptorWish = 1 << 20;

    /// <summary>Returns only on failure, with the exit status.</summary>
    public static int Run(string stage, int infoFd)
    {
        StartInfo info = ReadInfo(infoFd);
        try
        {
            // Signals of the caller's terminal are the caller's to pass on.
            _ = HostProcess.NewSession();
            AwaitWord(info.ReadyFd);
            int label = OpenLabel(info);
            LeaveStandardDescriptors(info);
            if (stage == "gofer")
            {
                RunHooks(info);
                LeavePropagation(info.Trees.Exists(tree => tree.Follows));
                OpenTrees(info);
                MountPoints.Make(info);
                WriteInfo(infoFd, info);
            }

            HostLimits.RaiseOpenFiles(DescriptorWish);
            EnterEmptyRoot(info.Trees.FindAll(tree => tree.Follows));
            bool keeps = stage == "gofer";
            DropRights(keeps ? GoferCapabilities : info.Config.Network == "host" ? HostNetworkCapabilities : 0, keeps ? 0 : info.User);
            WriteLabel(label, info.ExecLabel);
            int result = HostProcess.Execute(info.ProgramFd, [keeps ? "runsc-gofer" : "runsc-sandbox", stage, infoFd.ToString(System.Globalization.CultureInfo.InvariantCulture)], Settings);
            throw new RunscException($"cannot execute the second stage: errno {-result}");
        }
        catch (RunscException error)
        {
            _ = HostPacketSocket.Send(info.ReadyFd, Encoding.UTF8.GetBytes(error.Message));
            return 128;
        }
    }

    /// <summary>Waits for the caller to have given this process its place: control group, ids, priority for the OOM killer.</summary>
    private static void AwaitWord(int socket)
    {
        Span<byte> word = stackalloc byte[1];
        long n;
        while ((n = HostFile.Read(socket, word)) == -(long)Errno.EINTR)
        {
        }

        if (n <= 0)
        {
            throw new RunscException("whoever started this process has gone");
        }
    }

    /// <summary>The file that takes the label of the next program; −1 when there is none to set.</summary>
    private static int OpenLabel(StartInfo info)
    {
        if (info.ExecLabel is null)
        {
            return -1;
        }

        bool isProfile = info.ExecLabel.StartsWith("exec ", StringComparison.Ordinal);
        int fd = isProfile ? HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/thread-self/attr/apparmor/exec\0"u8, Fcntl.O_WRONLY | Fcntl.O_CLOEXEC) : -1;
        fd = fd >= 0 ? fd : HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/thread-self/attr/exec\0"u8, Fcntl.O_WRONLY | Fcntl.O_CLOEXEC);
        return fd >= 0 ? fd : throw new RunscException($"cannot open /proc/thread-self/attr/exec: errno {-fd}");
    }

    private static void WriteLabel(int fd, string? label)
    {
        if (fd >= 0)
        {
            Check((int)HostFile.Write(fd, Encoding.UTF8.GetBytes(label!)), $"set the label \"{label}\"");
        }
    }

    /// <summary>
    /// createContainer hooks: they see the host's files and the container's root at its place, with the container's network. What they mount
    /// there is in this process's mount namespace, and so in the trees that are opened next.
    /// </summary>
    private static void RunHooks(StartInfo info)
    {
        if (info.Hooks is not { Count: > 0 })
        {
            return;
        }

        byte[] buffer = new byte[64 << 10];
        long n = HostPacketSocket.Receive(info.ReadyFd, buffer, default, out _);
        OciState state = n > 0 ? JsonSerializer.Deserialize(buffer.AsSpan(0, (int)n), StateJson.Default.OciState)! : throw new RunscException("whoever started this process has gone");
        Check(HostProcess.Mount(null, "/", null, Linux.Mount.MS_REC | Linux.Mount.MS_SLAVE, null), "keep mounts of hooks inside");
        int network = HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes($"/proc/{state.Pid}/ns/net"), 0], Fcntl.O_RDONLY | Fcntl.O_CLOEXEC);
        HookRunner.Run("createContainer", info.Hooks, state, network);
        _ = HostFile.Close(network);
    }

    // The runtime reads its settings from the environment: small steps for the heap, since it is small.
    private static readonly List<string> Settings = ["DOTNET_GCgen0size=400000", "DOTNET_GCHeapAffinitizeMask=1", "DOTNET_TieredCompilation=0"];

    public static StartInfo ReadInfo(int fd)
    {
        if (HostFile.Stat(fd, out StatBuffer stat) < 0 || stat.Size > 64 << 20)
        {
            throw new RunscException("no start information: this command is internal");
        }

        byte[] json = new byte[stat.Size];
        if (HostFile.PRead(fd, json, 0) != json.Length)
        {
            throw new RunscException("the start information cannot be read");
        }

        return JsonSerializer.Deserialize(json, StartInfoJson.Default.StartInfo) ?? throw new RunscException("the start information is empty");
    }

    private static void WriteInfo(int fd, StartInfo info)
    {
        byte[] json = JsonSerializer.SerializeToUtf8Bytes(info, StartInfoJson.Default.StartInfo);
        _ = HostFile.Truncate(fd, 0);
        if (HostFile.PWrite(fd, json, 0) != json.Length)
        {
            throw new RunscException("the start information cannot be written");
        }
    }

    /// <summary>
    /// The caller's standard descriptors are the container's, and end with it: whoever reads its output waits for the last copy to be closed.
    /// Standard error remains, the container's, for a message of the Sentry's about its own end; the caller's may be a pipe that is read to its end.
    /// </summary>
    private static void LeaveStandardDescriptors(StartInfo info)
    {
        int nothing = HostFile.OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDWR);
        if (nothing < 0)
        {
            throw new RunscException($"cannot open /dev/null: errno {-nothing}");
        }

        for (int fd = 0; fd < 3; fd++)
        {
            int source = fd != 2 ? nothing : info.LogFd >= 0 ? info.LogFd : info.StandardFds.Count > 2 ? info.StandardFds[2] : nothing;
            _ = HostFile.Syscall(SysNo.dup3, source, fd);
        }

        _ = HostFile.Close(nothing);
    }

    /// <summary>The first container has ended and others go on: whoever reads its standard error comes to the end of it.</summary>
    public static void LeaveStandardError() => _ = HostFile.Syscall(SysNo.dup3, 0, 2);

    private static void OpenTrees(StartInfo info)
    {
        foreach (TreeInfo tree in info.Trees)
        {
            if (tree.RootFd < 0)
            {
                tree.RootFd = TreeMount.OpenTree(tree.Path, tree.IsRecursive);
            }

            _ = HostFile.SetCloseOnExec(tree.RootFd, false);
        }

        info.DescriptorsFd = HostFile.OpenAt(Fcntl.AT_FDCWD, "/proc/self/fd\0"u8, Fcntl.O_PATH | Fcntl.O_DIRECTORY);
        if (info.DescriptorsFd < 0)
        {
            throw new RunscException($"cannot open /proc/self/fd: errno {-info.DescriptorsFd}");
        }

        _ = HostFile.SetCloseOnExec(info.DescriptorsFd, false);
    }

    /// <summary>From here on nothing that is mounted in this process's namespace reaches the host's, nor the other way but where a tree follows.</summary>
    private static void LeavePropagation(bool follows)
    {
        int result = HostProcess.Mount(null, "/", null, Linux.Mount.MS_REC | (follows ? (ulong)Linux.Mount.MS_SLAVE : Linux.Mount.MS_PRIVATE), null);
        if (result == -(int)Errno.EINVAL)
        {
            throw new RunscException("cannot make mounts private: the root directory is not a mount point, as in a plain chroot (mount --bind DIR DIR before chroot DIR)");
        }

        Check(result, "make mounts private");
    }

    /// <summary>
    /// A root with nothing in it, in this process's own mount namespace. Trees that follow the host's mounts must stay mounted for that, and this is the place.
    /// </summary>
    private static void EnterEmptyRoot(List<TreeInfo> followers)
    {
        // Any directory that is everywhere serves as the place.
        const string place = "/proc";
        const ulong flags = Linux.Mount.MS_NOSUID | Linux.Mount.MS_NODEV | Linux.Mount.MS_NOEXEC;
        LeavePropagation(followers.Count > 0);
        Check(HostProcess.Mount("tmpfs", place, "tmpfs", flags, $"size=4k,nr_inodes={8 + followers.Count},mode=555"), "mount the empty root");
        Check(HostProcess.ChangeDirectory(place), "enter the empty root");
        followers.ForEach(Keep);
        if (HostProcess.PivotRoot(".", ".") >= 0)
        {
            Check(HostProcess.Unmount(".", Linux.Mount.MNT_DETACH), "leave the old root");
        }
        else
        {
            // The initial file system of a machine cannot be exchanged (pivot_root(2)): the old root stays out of reach behind this one.
            Check(HostProcess.Mount(place, "/", null, Linux.Mount.MS_MOVE, null), "move the empty root");
            Check(HostProcess.ChangeRoot("."), "change the root");
        }

        Check(HostProcess.ChangeDirectory("/"), "enter the empty root");
        followers.ForEach(Reopen);
        Check(HostProcess.Mount(null, "/", null, Linux.Mount.MS_REMOUNT | Linux.Mount.MS_BIND | Linux.Mount.MS_RDONLY | flags, null), "make the root read-only");
    }

    private static string NameOf(TreeInfo tree) => tree.RootFd.ToString(System.Globalization.CultureInfo.InvariantCulture);

    private static void Keep(TreeInfo tree)
    {
        Check(HostFile.MkdirAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(NameOf(tree)), 0], 0x1c0), "make a mount point");
        ulong recursive = tree.IsRecursive ? (ulong)Linux.Mount.MS_REC : 0;
        Check(HostProcess.Mount(tree.Path, NameOf(tree), null, Linux.Mount.MS_BIND | recursive, null), $"bind {tree.Path}");
        Check(HostProcess.Mount(null, NameOf(tree), null, Linux.Mount.MS_SLAVE | Linux.Mount.MS_REC, null), $"make {tree.Path} a slave");
    }

    /// <summary>The tree's descriptor is that of the mount which follows.</summary>
    private static void Reopen(TreeInfo tree)
    {
        int fd = HostFile.OpenAt(Fcntl.AT_FDCWD, [.. Encoding.UTF8.GetBytes(NameOf(tree)), 0], Fcntl.O_PATH | Fcntl.O_CLOEXEC);
        Check(fd, $"open {tree.Path}");
        Check((int)HostFile.Syscall(SysNo.dup3, fd, tree.RootFd), $"keep {tree.Path}");
        _ = HostFile.Close(fd);
    }

    private static void DropRights(ulong keep, uint user)
    {
        const int PR_SET_PDEATHSIG = 1;
        _ = HostProcess.Prctl(PR_SET_PDEATHSIG, 0);
        Check(HostProcess.Prctl(Prctl.PR_SET_NO_NEW_PRIVS, 1), "set no_new_privs");
        for (int capability = 0; capability <= 63; capability++)
        {
            if ((keep >> capability & 1) == 0 && HostProcess.Prctl(Prctl.PR_CAPBSET_DROP, (ulong)capability) == -(int)Errno.EINVAL)
            {
                break;
            }
        }

        if (user != 0)
        {
            Check(HostProcess.Prctl(Prctl.PR_SET_KEEPCAPS, 1), "keep capabilities");
            Check(HostProcess.SetIds(user, user), "change the user");
        }

        Check(HostProcess.SetCapabilities(keep), "drop capabilities");
        for (int capability = 0; user != 0 && keep >> capability != 0; capability++)
        {
            if ((keep >> capability & 1) != 0)
            {
                // Only root keeps capabilities over exec by itself.
                Check(HostProcess.Prctl(Prctl.PR_CAP_AMBIENT, Prctl.PR_CAP_AMBIENT_RAISE, (ulong)capability), "keep capabilities");
            }
        }
    }

    private static void Check(int result, string what)
    {
        if (result < 0)
        {
            throw new RunscException($"cannot {what}: errno {-result}");
        }
    }
}
