using System.Collections.Generic;
using System.Globalization;
using System.Text;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.DevPts;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>A process's terminal: a pseudo-terminal in the container's own devpts, joined to the terminal of the host that the process was given.</summary>
internal sealed class ConsoleSetup
{
    /// <summary>The container's side; to become the controlling terminal of the process.</summary>
    public required Pty Pty { get; init; }

    /// <summary>Passes bytes to and from the host.</summary>
    public required HostConsole Console { get; init; }

    /// <summary>Standard input, output and error: one description, a reference for each.</summary>
    public required List<FileDescription?> Files { get; init; }

    /// <summary>The name under which programs know it: /dev/console.</summary>
    public static void MakeNode(BuilderCaller caller, MountNamespace mounts)
    {
        VfsPath root = mounts.GetRootPath();
        Errno error = VirtualFileSystem.Create(caller, root, "/dev/console"u8, (uint)Stat.S_IFCHR | 0x190, SpecialFiles.DeviceNumber(5, 1), out VfsPath made);
        root.DecRef();
        if (error == Errno.None)
        {
            made.DecRef();
        }
        else if (error != Errno.EEXIST)
        {
            Log.Warning($"/dev/console cannot be made: {ErrorText.Of(error)}");
        }
    }

    /// <summary>
    /// Makes the terminal of a process. Null when the descriptors are no terminal of the host; then they are still the caller's. Else they are taken over.
    /// </summary>
    public static ConsoleSetup? TryOpen(SentryKernel kernel, MountNamespace mounts, Credentials owner, List<int> descriptors)
    {
        if (descriptors.Count == 0 || !HostTerminal.IsTerminal(descriptors[0]))
        {
            return null;
        }

        BuilderCaller caller = new(mounts);
        VfsPath home = FindDevPts(kernel, caller, mounts);
        DevPtsDirectory directory = (DevPtsDirectory)home.Dentry.Inode!;
        ConsoleSetup? setup = null;
        Errno error = directory.Allocate(owner, out Pty? pty);
        if (error == Errno.None)
        {
            pty!.IsLocked = false;
            error = OpenSlave(caller, home, pty, out FileDescription? slave);
            if (error == Errno.None && (error = HostConsole.Start(pty, descriptors[0], out HostConsole? console)) == Errno.None)
            {
                slave!.IncRef();
                slave.IncRef();
                setup = new ConsoleSetup { Pty = pty, Console = console!, Files = [slave, slave, slave] };
            }
            else
            {
                slave?.DecRef();
                pty.ReleaseMaster();
            }
        }

        home.DecRef();
        if (setup is null)
        {
            Log.Warning($"the process gets the host's terminal as it is, without job control: {ErrorText.Of(error)}");
            return null;
        }

        for (int i = 1; i < descriptors.Count; i++)
        {
            _ = HostFile.Close(descriptors[i]);
        }

        return setup;
    }

    /// <summary>What is mounted at /dev/pts, or else a devpts that is mounted nowhere.</summary>
    private static VfsPath FindDevPts(SentryKernel kernel, BuilderCaller caller, MountNamespace mounts)
    {
        VfsPath root = mounts.GetRootPath();
        Errno error = PathWalker.Resolve(caller, root, "/dev/pts"u8, WalkFlags.FollowLast, out VfsPath place);
        root.DecRef();
        if (error == Errno.None)
        {
            if (place.Dentry.Inode is DevPtsDirectory)
            {
                return place;
            }

            place.DecRef();
        }

        _ = DevPtsOptions.TryParse("gid=5,mode=620,ptmxmode=666", out DevPtsOptions options);
        SuperBlock super = DevPtsFileSystem.Create(kernel, options);
        Dentry top = MountNamespace.NewRootDentry(super);
        top.IncRef();
        return new VfsPath(MountNamespace.NewMount(super, top, 0), top);
    }

    private static Errno OpenSlave(BuilderCaller caller, in VfsPath home, Pty pty, out FileDescription? slave)
    {
        slave = null;
        byte[] name = Encoding.ASCII.GetBytes(pty.Index.ToString(CultureInfo.InvariantCulture));
        Errno error = PathWalker.Resolve(caller, home, name, WalkFlags.None, out VfsPath place);
        if (error == Errno.None)
        {
            error = pty.OpenSlave(caller, place, Fcntl.O_RDWR, out slave);
            if (error != Errno.None)
            {
                place.DecRef();
            }
        }

        return error;
    }
}
