using System.Collections.Generic;
using System.IO;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Linux;
using Runsc.Shim.Messages;

namespace Runsc.Shim.Tasks;

/// <summary>Mounts and unmounts what a snapshotter of containerd says is the root of a container.</summary>
internal static class RootMounter
{
    private const int MaxUnmounts = 64;

    /// <summary>Options that are flags of mount(2), and whether they set or clear it.</summary>
    private static readonly Dictionary<string, (ulong Flag, bool Clear)> s_flags = new()
    {
        ["async"] = (Mount.MS_SYNCHRONOUS, true), ["atime"] = (Mount.MS_NOATIME, true), ["bind"] = (Mount.MS_BIND, false), ["defaults"] = (0, false),
        ["dev"] = (Mount.MS_NODEV, true), ["diratime"] = (Mount.MS_NODIRATIME, true), ["dirsync"] = (Mount.MS_DIRSYNC, false), ["exec"] = (Mount.MS_NOEXEC, true),
        ["mand"] = (Mount.MS_MANDLOCK, false), ["noatime"] = (Mount.MS_NOATIME, false), ["nodev"] = (Mount.MS_NODEV, false), ["nodiratime"] = (Mount.MS_NODIRATIME, false),
        ["noexec"] = (Mount.MS_NOEXEC, false), ["nomand"] = (Mount.MS_MANDLOCK, true), ["norelatime"] = (Mount.MS_RELATIME, true),
        ["nostrictatime"] = (Mount.MS_STRICTATIME, true), ["nosuid"] = (Mount.MS_NOSUID, false), ["rbind"] = (Mount.MS_BIND | Mount.MS_REC, false),
        ["relatime"] = (Mount.MS_RELATIME, false), ["remount"] = (Mount.MS_REMOUNT, false), ["ro"] = (Mount.MS_RDONLY, false), ["rw"] = (Mount.MS_RDONLY, true),
        ["strictatime"] = (Mount.MS_STRICTATIME, false), ["suid"] = (Mount.MS_NOSUID, true), ["sync"] = (Mount.MS_SYNCHRONOUS, false),
    };

    /// <summary>Flags of mount(2), and the options that are the file system's own.</summary>
    internal static (ulong Flags, string Data) Parse(List<string> options)
    {
        ulong flags = 0;
        List<string> data = [];
        foreach (string option in options)
        {
            if (!s_flags.TryGetValue(option, out (ulong Flag, bool Clear) known))
            {
                data.Add(option);
            }
            else
            {
                flags = known.Clear ? flags & ~known.Flag : flags | known.Flag;
            }
        }

        return (flags, string.Join(',', data));
    }

    /// <exception cref="RunscException">One fails; those before it are unmounted again.</exception>
    public static void MountAll(List<RootMount> mounts, string root)
    {
        if (mounts.Count > 0)
        {
            Directory.CreateDirectory(root);
        }

        foreach (RootMount mount in mounts)
        {
            string target = mount.Target.Length > 0 ? Path.Combine(root, mount.Target.TrimStart('/')) : root;
            (ulong flags, string data) = Parse(mount.Options);
            int result = HostProcess.Mount(mount.Source, target, mount.Type, flags, data);

            // A bind mount takes other flags only when it is mounted again.
            if (result == 0 && (flags & Mount.MS_BIND) != 0 && (flags & ~(ulong)(Mount.MS_BIND | Mount.MS_REC)) != 0)
            {
                result = HostProcess.Mount(mount.Source, target, mount.Type, flags | Mount.MS_REMOUNT, data);
            }

            if (result < 0)
            {
                UnmountAll(root);
                throw new RunscException($"cannot mount {mount.Type} {mount.Source} on {target}: errno {-result}");
            }
        }
    }

    /// <summary>Unmounts whatever is mounted there; fine if nothing is.</summary>
    public static void UnmountAll(string root)
    {
        for (int i = 0; i < MaxUnmounts && HostProcess.Unmount(root, Mount.MNT_DETACH | Mount.UMOUNT_NOFOLLOW) == 0; i++)
        {
        }
    }
}
