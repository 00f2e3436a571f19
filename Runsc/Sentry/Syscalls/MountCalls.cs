using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>mount(2), umount2(2), pivot_root(2): file systems of our own only; nothing reaches the host's mounts.</summary>
internal static unsafe class MountCalls
{
    private const ulong FlagsOfMount = Linux.Mount.MS_RDONLY | Linux.Mount.MS_NOSUID | Linux.Mount.MS_NODEV | Linux.Mount.MS_NOEXEC | Linux.Mount.MS_NOATIME
        | Linux.Mount.MS_NODIRATIME | Linux.Mount.MS_RELATIME | Linux.Mount.MS_STRICTATIME;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.mount, "mount", &DoMount, "str,path,str,hex,str");
        b.Add(SysNo.umount2, "umount2", &Unmount, "path,hex");
        b.Add(SysNo.pivot_root, "pivot_root", &PivotRoot, "path,path");
    }

    private static bool MayMount(Task task) => task.Credentials.HasCapability(Capability.CAP_SYS_ADMIN, task.MountNamespace.Owner);

    private static Errno ReadText(Task task, ulong address, Span<byte> buffer, out ReadOnlySpan<byte> text)
    {
        text = default;
        return address == 0 ? Errno.None : PathArgument.Read(task, address, buffer, out text);
    }

    private static long DoMount(Task task, in SyscallArguments a)
    {
        if (!MayMount(task))
        {
            return -(long)Errno.EPERM;
        }

        ulong flags = a.A3;
        if ((flags & 0xffff0000) == 0xc0ed0000)
        {
            // The magic number of old callers.
            flags &= 0xffff;
        }

        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, a.A1, follow: true, allowEmpty: false, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        const ulong propagation = Linux.Mount.MS_PRIVATE | Linux.Mount.MS_SLAVE | Linux.Mount.MS_SHARED | Linux.Mount.MS_UNBINDABLE;

        // Mounts stay in the mount namespace in which they are made: a shared one is taken as such, but is shared with no other namespace.
        error = (flags & propagation) != 0 ? ((flags & Linux.Mount.MS_UNBINDABLE) != 0 || place.Dentry != place.Mount.Root || place.Mount.Namespace != task.MountNamespace ? Errno.EINVAL : Errno.None)
            : (flags & Linux.Mount.MS_REMOUNT) != 0 ? Remount(task, place, flags)
            : (flags & Linux.Mount.MS_BIND) != 0 ? Bind(task, a.A0, place, (flags & Linux.Mount.MS_REC) != 0)
            : (flags & Linux.Mount.MS_MOVE) != 0 ? Move(task, a.A0, place)
            : MountNew(task, a, flags, place);
        place.DecRef();
        return -(long)error;
    }

    private static Errno Remount(Task task, in VfsPath place, ulong flags)
    {
        Vfs.Mount mount = place.Mount;
        if (place.Dentry != mount.Root || mount.Namespace != task.MountNamespace)
        {
            return Errno.EINVAL;
        }

        // Without MS_BIND the file system itself changes, too.
        if ((flags & Linux.Mount.MS_BIND) == 0 && !task.Credentials.HasCapability(Capability.CAP_SYS_ADMIN, mount.Super.Owner))
        {
            return Errno.EPERM;
        }

        // Who names no way of keeping access times keeps that which is there.
        const ulong accessTimes = Linux.Mount.MS_NOATIME | Linux.Mount.MS_NODIRATIME | Linux.Mount.MS_RELATIME | Linux.Mount.MS_STRICTATIME;
        ulong wanted = flags & FlagsOfMount, locked = mount.LockedFlags;
        wanted |= (wanted & accessTimes) == 0 ? mount.Flags & accessTimes : 0;
        if ((locked & ~(ulong)Linux.Mount.MS_NOATIME & ~wanted) != 0
            || ((locked & Linux.Mount.MS_NOATIME) != 0 && ((wanted ^ mount.Flags) & accessTimes & ~(ulong)Linux.Mount.MS_RELATIME) != 0))
        {
            return Errno.EPERM;
        }

        mount.Flags = (mount.Flags & ~FlagsOfMount) | wanted;
        task.MountNamespace.Changes.Raise();
        return Errno.None;
    }

    private static Errno Move(Task task, ulong sourceAddress, in VfsPath place)
    {
        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, sourceAddress, follow: true, allowEmpty: false, out VfsPath source);
        if (error != Errno.None)
        {
            return error;
        }

        error = source.Dentry == source.Mount.Root ? task.MountNamespace.Move(source.Mount, place) : Errno.EINVAL;
        source.DecRef();
        return error;
    }

    private static long PivotRoot(Task task, in SyscallArguments a)
    {
        if (!MayMount(task))
        {
            return -(long)Errno.EPERM;
        }

        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, a.A0, follow: true, allowEmpty: false, out VfsPath newRoot);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, a.A1, follow: true, allowEmpty: false, out VfsPath putOld);
        if (error == Errno.None)
        {
            VfsPath root = task.Fs.GetRoot();
            error = !newRoot.Dentry.Inode!.IsDirectory || !putOld.Dentry.Inode!.IsDirectory ? Errno.ENOTDIR : task.MountNamespace.PivotRoot(root, newRoot, putOld);
            if (error == Errno.None)
            {
                MoveProcesses(task, root, newRoot);
            }

            root.DecRef();
            putOld.DecRef();
        }

        newRoot.DecRef();
        return -(long)error;
    }

    private static void MoveProcesses(Task task, in VfsPath root, in VfsPath newRoot)
    {
        List<FsContext> contexts = [];
        lock (task.Kernel.TaskLock)
        {
            foreach (Task other in task.Kernel.SnapshotTasksLocked())
            {
                if (!other.HasExited && other.Fs.TryIncRef())
                {
                    contexts.Add(other.Fs);
                }
            }
        }

        foreach (FsContext fs in contexts)
        {
            fs.ReplaceRoot(root, newRoot);
            fs.DecRef();
        }
    }

    private static Errno Bind(Task task, ulong sourceAddress, in VfsPath place, bool recursive)
    {
        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, sourceAddress, follow: true, allowEmpty: false, out VfsPath source);
        if (error != Errno.None)
        {
            return error;
        }

        bool isForeign = source.Mount.Namespace != task.MountNamespace && source.Mount.Super is not NamespaceFileSystem;
        if (isForeign || place.Mount.Namespace != task.MountNamespace || (!recursive && task.MountNamespace.HasLockedBelow(source)))
        {
            source.DecRef();
            return Errno.EINVAL;
        }

        source.Dentry.IncRef();
        Vfs.Mount mount = MountNamespace.NewMount(source.Mount.Super, source.Dentry, source.Mount.Flags);
        mount.LockedFlags = source.Mount.LockedFlags;
        error = task.MountNamespace.Attach(mount, place);
        if (error == Errno.None && recursive)
        {
            error = task.MountNamespace.CopyChildren(source, mount);
        }

        source.DecRef();
        return error;
    }

    private static Errno MountNew(Task task, in SyscallArguments a, ulong flags, in VfsPath place)
    {
        Span<byte> typeBuffer = stackalloc byte[PathArgument.Size], sourceBuffer = stackalloc byte[PathArgument.Size], dataBuffer = stackalloc byte[PathArgument.Size];
        Errno error = ReadText(task, a.A2, typeBuffer, out ReadOnlySpan<byte> type);
        if (error != Errno.None)
        {
            return error;
        }

        error = ReadText(task, a.A0, sourceBuffer, out ReadOnlySpan<byte> source);
        if (error != Errno.None)
        {
            return error;
        }

        error = ReadText(task, a.A4, dataBuffer, out ReadOnlySpan<byte> data);
        if (error != Errno.None)
        {
            return error;
        }

        if (!task.Kernel.FileSystemTypes.TryGetValue(Encoding.Latin1.GetString(type), out FileSystemMaker? maker))
        {
            return Errno.ENODEV;
        }

        if (place.Mount.Namespace != task.MountNamespace)
        {
            return Errno.EINVAL;
        }

        string name = Encoding.Latin1.GetString(type);
        UserNamespace owner = OwnerOf(task, name);
        if (!task.Credentials.HasCapability(Capability.CAP_SYS_ADMIN, owner))
        {
            return Errno.EPERM;
        }

        error = maker(task.Kernel, task, source, Encoding.Latin1.GetString(data), out SuperBlock? super);
        if (error != Errno.None)
        {
            return error;
        }

        if (owner != UserNamespace.Initial && name == "sysfs" && !task.MountNamespace.Shows(name, flags))
        {
            return Errno.EPERM;
        }

        super!.Owner = owner;
        super.GivenSource = source.IsEmpty ? "none" : Encoding.UTF8.GetString(source);
        Vfs.Mount mount = MountNamespace.NewMount(super!, MountNamespace.NewRootDentry(super!), flags & FlagsOfMount);
        return task.MountNamespace.Attach(mount, place);
    }

    /// <summary>The user namespace that a new file system belongs to, and in which one has to be privileged: for most that of who mounts it.</summary>
    private static UserNamespace OwnerOf(Task task, string type) => type switch
    {
        "tmpfs" or "devpts" => task.Credentials.UserNamespace,
        "sysfs" => task.Network.Owner,
        "mqueue" => task.Ipc.Owner,

        // There is only one namespace of process ids.
        _ => UserNamespace.Initial,
    };

    private static long Unmount(Task task, in SyscallArguments a)
    {
        const int known = Linux.Mount.MNT_FORCE | Linux.Mount.MNT_DETACH | Linux.Mount.MNT_EXPIRE | Linux.Mount.UMOUNT_NOFOLLOW;
        if ((a.Int1 & ~known) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (!MayMount(task))
        {
            return -(long)Errno.EPERM;
        }

        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, a.A0, (a.Int1 & Linux.Mount.UMOUNT_NOFOLLOW) == 0, allowEmpty: false, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        // "." too is what is mounted on top of it.
        while (task.MountNamespace.TryGetMountAt(place, out Vfs.Mount? over))
        {
            over!.Root.IncRef();
            place.DecRef();
            place = new VfsPath(over, over.Root);
        }

        Vfs.Mount mount = place.Mount;
        error = place.Dentry != mount.Root ? Errno.EINVAL : Errno.None;

        // Our own references would count as use.
        place.DecRef();
        if (error == Errno.None)
        {
            error = task.MountNamespace.Detach(mount, (a.Int1 & Linux.Mount.MNT_DETACH) != 0);
        }

        return -(long)error;
    }
}
