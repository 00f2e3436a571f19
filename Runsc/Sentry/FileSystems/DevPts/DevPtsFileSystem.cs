using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Terminals;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>devpts: the pseudo-terminals of one mount, and the devices that lead to terminals (tty(4), console(4), pts(4)).</summary>
internal static class DevPtsFileSystem
{
    public const long Magic = 0x1cd1;

    public static SuperBlock Create(SentryKernel kernel, in DevPtsOptions options)
    {
        long now = kernel.Clock.Realtime;
        PseudoSuperBlock super = new("devpts", Magic)
        {
            Device = kernel.NewDevice(),
            Created = new FileTime(now / ClockMath.Second, (uint)(now % ClockMath.Second)),
        };
        DevPtsDirectory root = new(super, kernel, options);
        root.Add("ptmx", new PtmxInode(super, root, options));
        super.SetRoot(root);
        return super;
    }

    public static void Register(SpecialFiles special)
    {
        special.Register(5, 0, OpenControlling);
        special.Register(5, 1, OpenConsole);
        special.Register(5, 2, OpenPtmx);
    }

    /// <summary>/dev/tty: the caller's controlling terminal. ENXIO when it has none.</summary>
    private static Errno OpenControlling(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        Terminal? terminal = caller is Task task ? Terminal.Of(task.ThreadGroup) : null;
        return terminal?.OpenAgain(caller, path, flags, out file) ?? Errno.ENXIO;
    }

    /// <summary>/dev/console: the terminal that the container was started with. It never becomes the controlling one by being opened.</summary>
    private static Errno OpenConsole(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        Terminal? terminal = caller is Task task ? task.Kernel.FindConsole(task.ThreadGroup.Container) : null;
        return terminal?.OpenAgain(caller, path, flags, out file) ?? Errno.ENXIO;
    }

    /// <summary>A node 5:2 outside of devpts belongs to the devpts at "pts" beside it. ENODEV when there is none.</summary>
    private static Errno OpenPtmx(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        if (path.Dentry.Parent is not Dentry parent)
        {
            return Errno.ENODEV;
        }

        Errno error = PathWalker.Resolve(caller, new VfsPath(path.Mount, parent), "pts"u8, WalkFlags.Directory, out VfsPath pts);
        if (error != Errno.None)
        {
            return Errno.ENODEV;
        }

        error = Errno.ENODEV;
        if (pts.Dentry.Inode is DevPtsDirectory directory)
        {
            // The description belongs to the devpts, so that the slave is found from there.
            error = PathWalker.Resolve(caller, pts, "ptmx"u8, WalkFlags.None, out VfsPath ptmx);
            if (error == Errno.None)
            {
                error = directory.OpenMaster(caller, ptmx, flags, out file);
                if (error == Errno.None)
                {
                    path.DecRef();
                }
                else
                {
                    ptmx.DecRef();
                }
            }
        }

        pts.DecRef();
        return error;
    }

    /// <summary>The place of a slave, from the place of its master; with references.</summary>
    public static Errno FindSlave(ICaller caller, in VfsPath master, int index, out VfsPath place)
    {
        place = default;
        return master.Dentry.Parent is Dentry root
            ? PathWalker.Resolve(caller, new VfsPath(master.Mount, root), Encoding.ASCII.GetBytes(index.ToString(CultureInfo.InvariantCulture)), WalkFlags.None, out place)
            : Errno.ENOENT;
    }
}
