using Runsc.Linux;
using Runsc.Sentry.FileSystems.Events;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>inotify_init(2), inotify_add_watch(2), inotify_rm_watch(2).</summary>
internal static unsafe class InotifyCalls
{
    private const uint KnownBits = Inotify.IN_ALL_EVENTS | Inotify.IN_ONLYDIR | Inotify.IN_DONT_FOLLOW | Inotify.IN_EXCL_UNLINK | Inotify.IN_MASK_CREATE
        | Inotify.IN_MASK_ADD | Inotify.IN_ONESHOT;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.inotify_init, "inotify_init", &InotifyInit, "");
        b.Add(SysNo.inotify_init1, "inotify_init1", &InotifyInit1, "hex");
        b.Add(SysNo.inotify_add_watch, "inotify_add_watch", &AddWatch, "fd,path,hex");
        b.Add(SysNo.inotify_rm_watch, "inotify_rm_watch", &RemoveWatch, "fd,int");
    }

    private static long InotifyInit(Task task, in SyscallArguments a) => Create(task, 0);

    private static long InotifyInit1(Task task, in SyscallArguments a) =>
        (a.Int0 & ~(Inotify.IN_CLOEXEC | Inotify.IN_NONBLOCK)) != 0 ? -(long)Errno.EINVAL : Create(task, a.Int0);

    private static long Create(Task task, int flags)
    {
        InotifyDescription file = new(task.Kernel, flags & Fcntl.O_NONBLOCK);
        long fd = task.Files.Add(file, (flags & Fcntl.O_CLOEXEC) != 0, task.DescriptorLimit);
        if (fd < 0)
        {
            file.DecRef();
        }

        return fd;
    }

    private static long AddWatch(Task task, in SyscallArguments a)
    {
        uint mask = a.UInt2;
        const uint both = Inotify.IN_MASK_ADD | Inotify.IN_MASK_CREATE;
        if ((mask & Inotify.IN_ALL_EVENTS) == 0 || (mask & ~KnownBits) != 0 || (mask & both) == both)
        {
            return -(long)Errno.EINVAL;
        }

        FileDescription? file = task.Files.Get(a.Int0);
        if (file is not InotifyDescription inotify)
        {
            long bad = file is null ? -(long)Errno.EBADF : -(long)Errno.EINVAL;
            file?.DecRef();
            return bad;
        }

        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, a.A1, (mask & Inotify.IN_DONT_FOLLOW) == 0, allowEmpty: false, out VfsPath place);
        long result = -(long)error;
        if (error == Errno.None)
        {
            error = (mask & Inotify.IN_ONLYDIR) != 0 && !place.Dentry.Inode!.IsDirectory
                ? Errno.ENOTDIR
                : place.Dentry.Inode!.CheckPermission(task.Credentials, Permissions.Read);
            result = -(long)error;
            if (error == Errno.None)
            {
                place.Dentry.IncRef();
                result = inotify.AddWatch(place.Dentry, mask);
            }

            place.DecRef();
        }

        file.DecRef();
        return result;
    }

    private static long RemoveWatch(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        long result = file switch
        {
            null => -(long)Errno.EBADF,
            InotifyDescription inotify => -(long)inotify.RemoveWatch(a.Int1),
            _ => -(long)Errno.EINVAL,
        };
        file?.DecRef();
        return result;
    }
}
