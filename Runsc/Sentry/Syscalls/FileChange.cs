using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>Attributes and contents as a whole: chmod(2), chown(2), utimensat(2), truncate(2), fallocate(2), fsync(2).</summary>
internal static unsafe class FileChange
{
    private const uint Unchanged = uint.MaxValue;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.chmod, "chmod", &ChMod, "path,mode");
        b.Add(SysNo.fchmod, "fchmod", &FChMod, "fd,mode");
        b.Add(SysNo.fchmodat, "fchmodat", &FChModAt, "dirfd,path,mode");
        b.Add(SysNo.fchmodat2, "fchmodat2", &FChModAt2, "dirfd,path,mode,atflags");
        b.Add(SysNo.chown, "chown", &ChOwn, "path,int,int");
        b.Add(SysNo.lchown, "lchown", &LChOwn, "path,int,int");
        b.Add(SysNo.fchown, "fchown", &FChOwn, "fd,int,int");
        b.Add(SysNo.fchownat, "fchownat", &FChOwnAt, "dirfd,path,int,int,atflags");
        b.Add(SysNo.utime, "utime", &UTime, "path,ptr");
        b.Add(SysNo.utimes, "utimes", &UTimes, "path,ptr");
        b.Add(SysNo.futimesat, "futimesat", &FUTimesAt, "dirfd,path,ptr");
        b.Add(SysNo.utimensat, "utimensat", &UTimensAt, "dirfd,path,ptr,atflags");
        b.Add(SysNo.truncate, "truncate", &Truncate, "path,off");
        b.Add(SysNo.ftruncate, "ftruncate", &FTruncate, "fd,off");
        b.Add(SysNo.fallocate, "fallocate", &FAllocate, "fd,hex,off,off");
        b.Add(SysNo.fsync, "fsync", &FSync, "fd");
        b.Add(SysNo.fdatasync, "fdatasync", &FDataSync, "fd");
        b.Add(SysNo.sync, "sync", &Sync, "");
        b.Add(SysNo.syncfs, "syncfs", &SyncFs, "fd");
        b.Add(SysNo.sync_file_range, "sync_file_range", &SyncFileRange, "fd,off,off,hex");
        b.Add(SysNo.fadvise64, "fadvise64", &FAdvise, "fd,off,off,int");
        b.Add(SysNo.readahead, "readahead", &ReadAhead, "fd,off,size");
    }

    private static long ChMod(Task task, in SyscallArguments a) => SetMode(task, Fcntl.AT_FDCWD, a.A0, a.UInt1, 0);

    private static long FChModAt(Task task, in SyscallArguments a) => SetMode(task, a.Int0, a.A1, a.UInt2, 0);

    private static long FChModAt2(Task task, in SyscallArguments a) => SetMode(task, a.Int0, a.A1, a.UInt2, a.Int3);

    private static long FChMod(Task task, in SyscallArguments a) => OnDescriptor(task, a.Int0, new AttributeChange { Mask = AttributeMask.Mode, Mode = a.UInt1 & 0xfff });

    private static long SetMode(Task task, int fd, ulong path, uint mode, int flags) =>
        OnPath(task, fd, path, flags, new AttributeChange { Mask = AttributeMask.Mode, Mode = mode & 0xfff });

    private static long ChOwn(Task task, in SyscallArguments a) => OnPath(task, Fcntl.AT_FDCWD, a.A0, 0, OwnerChange(task, a.UInt1, a.UInt2));

    private static long LChOwn(Task task, in SyscallArguments a) => OnPath(task, Fcntl.AT_FDCWD, a.A0, Fcntl.AT_SYMLINK_NOFOLLOW, OwnerChange(task, a.UInt1, a.UInt2));

    private static long FChOwn(Task task, in SyscallArguments a) => OnDescriptor(task, a.Int0, OwnerChange(task, a.UInt1, a.UInt2));

    private static long FChOwnAt(Task task, in SyscallArguments a) => OnPath(task, a.Int0, a.A1, a.Int4, OwnerChange(task, a.UInt2, a.UInt3));

    private static AttributeChange OwnerChange(Task task, uint uid, uint gid) => new()
    {
        Mask = (uid != Unchanged ? AttributeMask.Uid : 0) | (gid != Unchanged ? AttributeMask.Gid : 0),
        Uid = task.Credentials.UserNamespace.Uids.ToKernel(uid),
        Gid = task.Credentials.UserNamespace.Gids.ToKernel(gid),
    };

    private static long OnPath(Task task, int fd, ulong path, int flags, AttributeChange change)
    {
        if ((flags & ~(Fcntl.AT_SYMLINK_NOFOLLOW | Fcntl.AT_EMPTY_PATH)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = PathArgument.Resolve(task, fd, path, (flags & Fcntl.AT_SYMLINK_NOFOLLOW) == 0, (flags & Fcntl.AT_EMPTY_PATH) != 0, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = AttributeRules.Change(task, place, change);
        place.DecRef();
        return -(long)error;
    }

    private static long OnDescriptor(Task task, int fd, AttributeChange change)
    {
        FileDescription? file = task.Files.Get(fd);
        if (file is null || (file.StatusFlags & Fcntl.O_PATH) != 0)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        Errno error = AttributeRules.Change(task, file.Path, change);
        file.DecRef();
        return -(long)error;
    }

    private static long UTime(Task task, in SyscallArguments a)
    {
        AttributeChange change = Now;
        if (a.A1 != 0)
        {
            Span<byte> bytes = stackalloc byte[16];
            if (task.Memory.CopyIn(a.A1, bytes) != 16)
            {
                return -(long)Errno.EFAULT;
            }

            change = Exact(new FileTime(BitConverter.ToInt64(bytes), 0), new FileTime(BitConverter.ToInt64(bytes[8..]), 0));
        }

        return OnPath(task, Fcntl.AT_FDCWD, a.A0, 0, change);
    }

    private static AttributeChange Now =>
        new() { Mask = AttributeMask.AccessTime | AttributeMask.ModifyTime | AttributeMask.AccessTimeNow | AttributeMask.ModifyTimeNow };

    private static AttributeChange Exact(FileTime access, FileTime modify) =>
        new() { Mask = AttributeMask.AccessTime | AttributeMask.ModifyTime, AccessTime = access, ModifyTime = modify };

    private static long UTimes(Task task, in SyscallArguments a) => TimesAt(task, Fcntl.AT_FDCWD, a.A0, a.A1);

    private static long FUTimesAt(Task task, in SyscallArguments a) => TimesAt(task, a.Int0, a.A1, a.A2);

    private static long TimesAt(Task task, int fd, ulong path, ulong times)
    {
        AttributeChange change = Now;
        if (times != 0)
        {
            if (task.Memory.CopyIn(times, out Timeval access) != Errno.None || task.Memory.CopyIn(times + 16, out Timeval modify) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            if (access.Microseconds is < 0 or >= 1_000_000 || modify.Microseconds is < 0 or >= 1_000_000)
            {
                return -(long)Errno.EINVAL;
            }

            change = Exact(
                new FileTime(access.Seconds, (uint)access.Microseconds * 1000), new FileTime(modify.Seconds, (uint)modify.Microseconds * 1000));
        }

        return path == 0 && fd != Fcntl.AT_FDCWD ? OnDescriptor(task, fd, change) : OnPath(task, fd, path, 0, change);
    }

    private static long UTimensAt(Task task, in SyscallArguments a)
    {
        const long UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe;
        AttributeChange change = Now;
        if (a.A2 != 0)
        {
            if (task.Memory.CopyIn(a.A2, out Timespec access) != Errno.None || task.Memory.CopyIn(a.A2 + 16, out Timespec modify) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            if (!IsValid(access.Nanoseconds) || !IsValid(modify.Nanoseconds))
            {
                return -(long)Errno.EINVAL;
            }

            if (access.Nanoseconds == UTIME_OMIT && modify.Nanoseconds == UTIME_OMIT)
            {
                return 0;
            }

            change = Exact(new FileTime(access.Seconds, (uint)access.Nanoseconds), new FileTime(modify.Seconds, (uint)modify.Nanoseconds));
            change.Mask = access.Nanoseconds switch
            {
                UTIME_OMIT => 0,
                UTIME_NOW => AttributeMask.AccessTime | AttributeMask.AccessTimeNow,
                _ => AttributeMask.AccessTime,
            };
            change.Mask |= modify.Nanoseconds switch
            {
                UTIME_OMIT => 0,
                UTIME_NOW => AttributeMask.ModifyTime | AttributeMask.ModifyTimeNow,
                _ => AttributeMask.ModifyTime,
            };
        }

        return a.A1 == 0 && a.Int0 != Fcntl.AT_FDCWD ? (a.Int3 != 0 ? -(long)Errno.EINVAL : OnDescriptor(task, a.Int0, change)) : OnPath(task, a.Int0, a.A1, a.Int3, change);

        static bool IsValid(long nanoseconds) => nanoseconds is (>= 0 and < 1_000_000_000) or UTIME_NOW or UTIME_OMIT;
    }

    private static long Truncate(Task task, in SyscallArguments a)
    {
        if (a.Long1 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, a.A0, follow: true, allowEmpty: false, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        Inode inode = place.Dentry.Inode!;
        error = inode.IsDirectory ? Errno.EISDIR
            : !inode.IsRegular ? Errno.EINVAL
            : inode.CheckPermission(task.Credentials, Permissions.Write);
        if (error == Errno.None && place.Mount.IsReadOnly)
        {
            error = Errno.EROFS;
        }

        if (error == Errno.None)
        {
            error = CheckSize(task, a.Long1);
        }

        if (error == Errno.None && !inode.TryBeginWriting())
        {
            error = Errno.ETXTBSY;
        }
        else if (error == Errno.None)
        {
            error = inode.SetAttributes(new AttributeChange { Mask = AttributeMask.Size, Size = a.Long1 });
            inode.EndWriting();
        }

        if (error == Errno.None)
        {
            FileEvents.Raise(place.Dentry, Inotify.IN_MODIFY);
        }

        place.DecRef();
        return -(long)error;
    }

    private static Errno CheckSize(Task task, long size)
    {
        if ((ulong)size <= task.FileSizeLimit)
        {
            return Errno.None;
        }

        task.FileSizeExceeded();
        return Errno.EFBIG;
    }

    private static long FTruncate(Task task, in SyscallArguments a)
    {
        if (a.Long1 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = GetForUse(task, a.Int0, out FileDescription? file);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = !file!.IsWritable ? Errno.EINVAL : CheckSize(task, a.Long1);
        if (error == Errno.None)
        {
            error = file.Truncate(task, a.Long1);
        }

        file.DecRef();
        return -(long)error;
    }

    private static long FAllocate(Task task, in SyscallArguments a)
    {
        Errno error = GetForUse(task, a.Int0, out FileDescription? file);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long offset = a.Long2, length = a.Long3;
        if (offset < 0 || length <= 0)
        {
            error = Errno.EINVAL;
        }
        else if (!file!.IsWritable)
        {
            error = Errno.EBADF;
        }
        else if (offset > long.MaxValue - length)
        {
            error = Errno.EFBIG;
        }
        else
        {
            error = (a.Int1 & Fcntl.FALLOC_FL_KEEP_SIZE) == 0 ? CheckSize(task, offset + length) : Errno.None;
            error = error == Errno.None ? file.Allocate(task, a.Int1, offset, length) : error;
        }

        file!.DecRef();
        return -(long)error;
    }

    private static Errno GetForUse(Task task, int fd, out FileDescription? file)
    {
        file = task.Files.Get(fd);
        if (file is not null && (file.StatusFlags & Fcntl.O_PATH) != 0)
        {
            file.DecRef();
            file = null;
        }

        return file is null ? Errno.EBADF : Errno.None;
    }

    private static long FSync(Task task, in SyscallArguments a) => SyncFile(task, a.Int0, dataOnly: false);

    private static long FDataSync(Task task, in SyscallArguments a) => SyncFile(task, a.Int0, dataOnly: true);

    private static long SyncFile(Task task, int fd, bool dataOnly)
    {
        Errno error = GetForUse(task, fd, out FileDescription? file);
        if (error == Errno.None)
        {
            error = file!.Sync(dataOnly);
            file.DecRef();
        }

        return -(long)error;
    }

    private static long Sync(Task task, in SyscallArguments a)
    {
        foreach (Vfs.Mount mount in task.MountNamespace.Snapshot())
        {
            _ = mount.Super.Sync();
        }

        return 0;
    }

    private static long SyncFs(Task task, in SyscallArguments a)
    {
        Errno error = GetForUse(task, a.Int0, out FileDescription? file);
        if (error == Errno.None)
        {
            error = file!.Inode.Super.Sync();
            file.DecRef();
        }

        return -(long)error;
    }

    private static long SyncFileRange(Task task, in SyscallArguments a)
    {
        if ((a.UInt3 & ~7u) != 0 || a.Long1 < 0 || a.Long2 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = GetForUse(task, a.Int0, out FileDescription? file);
        if (error == Errno.None)
        {
            error = !file!.Inode.IsRegular && !file.Inode.IsDirectory ? Errno.ESPIPE : file.Sync(dataOnly: true);
            file.DecRef();
        }

        return -(long)error;
    }

    private static long FAdvise(Task task, in SyscallArguments a)
    {
        Errno error = GetForUse(task, a.Int0, out FileDescription? file);
        if (error == Errno.None)
        {
            error = file!.Inode.FileType == Stat.S_IFIFO ? Errno.ESPIPE : a.Long2 < 0 || a.Int3 is < 0 or > 5 ? Errno.EINVAL : Errno.None;
            file.DecRef();
        }

        return -(long)error;
    }

    private static long ReadAhead(Task task, in SyscallArguments a)
    {
        Errno error = GetForUse(task, a.Int0, out FileDescription? file);
        if (error == Errno.None)
        {
            error = !file!.IsReadable ? Errno.EBADF : !file.Inode.IsRegular ? Errno.EINVAL : Errno.None;
            file.DecRef();
        }

        return -(long)error;
    }
}
