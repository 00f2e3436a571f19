using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/PID/mounts and mountinfo: the mounts that the task can reach from its root.</summary>
internal static class MountFiles
{
    public static Errno Mounts(Task task, ICaller caller, StringBuilder text) => Write(task, text, withIds: false);

    public static Errno MountInfo(Task task, ICaller caller, StringBuilder text) => Write(task, text, withIds: true);

    private static Errno Write(Task task, StringBuilder text, bool withIds)
    {
        FsContext fs = task.Fs;
        if (task.HasExited || !fs.TryIncRef())
        {
            return Errno.EINVAL;
        }

        VfsPath root = fs.GetRoot();
        fs.DecRef();
        MountNamespace mounts = task.MountNamespace;
        foreach (Vfs.Mount mount in mounts.Snapshot())
        {
            byte[]? path = mounts.GetPath(new VfsPath(mount, mount.Root), root, out _);
            if (path is null)
            {
                continue;
            }

            string place = Escape(path), options = Options(mount.Flags), super = mount.Super.ShownOptions;
            string source = Escape(Encoding.UTF8.GetBytes(mount.Super.Source));
            string access = mount.IsReadOnly ? "ro" : "rw";
            if (withIds)
            {
                int parent = mounts.GetAttachment(mount).Parent?.Id ?? 1;
                ulong device = mount.Super.Device;
                string below = mount.Root.PathInFileSystem();
                string inside = Escape([.. Encoding.UTF8.GetBytes(mount.Super.RootPath), .. Encoding.Latin1.GetBytes(below == "/" && mount.Super.RootPath.Length > 0 ? "" : below)]);
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"{mount.Id} {parent} {SpecialFiles.Major(device)}:{SpecialFiles.Minor(device)} {inside} {place} {access}{options} - {mount.Super.TypeName} {source} {access}{(super.Length > 0 ? "," + super : "")}\n");
            }
            else
            {
                text.Append(CultureInfo.InvariantCulture, $"{source} {place} {mount.Super.TypeName} {access}{options}{(super.Length > 0 ? "," + super : "")} 0 0\n");
            }
        }

        root.DecRef();
        return Errno.None;
    }

    private static string Options(ulong flags)
    {
        StringBuilder text = new();

        // What a mount has unless it was asked for something else.
        flags |= (flags & (Linux.Mount.MS_NOATIME | Linux.Mount.MS_STRICTATIME)) == 0 ? Linux.Mount.MS_RELATIME : 0UL;
        foreach ((ulong flag, string name) in new (ulong, string)[]
        {
            (Linux.Mount.MS_NOSUID, ",nosuid"), (Linux.Mount.MS_NODEV, ",nodev"), (Linux.Mount.MS_NOEXEC, ",noexec"), (Linux.Mount.MS_NOATIME, ",noatime"),
            (Linux.Mount.MS_NODIRATIME, ",nodiratime"), (Linux.Mount.MS_RELATIME, ",relatime"),
        })
        {
            text.Append((flags & flag) != 0 ? name : "");
        }

        return text.ToString();
    }

    // Blanks and backslashes as octal numbers (fstab(5)).
    private static string Escape(byte[] path)
    {
        StringBuilder text = new();
        foreach (byte c in path)
        {
            _ = c is (byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\\' ? text.Append('\\').Append(System.Convert.ToString(c, 8).PadLeft(3, '0')) : text.Append((char)c);
        }

        return text.ToString();
    }
}
