using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>stat(2), statx(2), statfs(2), access(2).</summary>
internal static unsafe class FileStatus
{
    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.stat, "stat", &StatPath, "path,ptr");
        b.Add(SysNo.lstat, "lstat", &LStat, "path,ptr");
        b.Add(SysNo.fstat, "fstat", &FStat, "fd,ptr");
        b.Add(SysNo.newfstatat, "newfstatat", &NewFStatAt, "dirfd,path,ptr,atflags");
        b.Add(SysNo.statx, "statx", &Statx, "dirfd,path,atflags,hex,ptr");
        b.Add(SysNo.statfs, "statfs", &StatfsPath, "path,ptr");
        b.Add(SysNo.fstatfs, "fstatfs", &FStatfs, "fd,ptr");
        b.Add(SysNo.access, "access", &Access, "path,int");
        b.Add(SysNo.faccessat, "faccessat", &FAccessAt, "dirfd,path,int");
        b.Add(SysNo.faccessat2, "faccessat2", &FAccessAt2, "dirfd,path,int,atflags");
    }

    private static long StatPath(Task task, in SyscallArguments a) => DoStat(task, Fcntl.AT_FDCWD, a.A0, a.A1, true, false);

    private static long LStat(Task task, in SyscallArguments a) => DoStat(task, Fcntl.AT_FDCWD, a.A0, a.A1, false, false);

    private static long FStat(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        Errno error = file.Inode.GetAttributes(out FileAttributes attributes);
        file.DecRef();
        return error == Errno.None ? WriteStat(task, a.A1, attributes) : -(long)error;
    }

    private static long NewFStatAt(Task task, in SyscallArguments a)
    {
        const int known = Fcntl.AT_SYMLINK_NOFOLLOW | Fcntl.AT_EMPTY_PATH | Fcntl.AT_NO_AUTOMOUNT;
        return (a.Int3 & ~known) != 0
            ? -(long)Errno.EINVAL
            : DoStat(task, a.Int0, a.A1, a.A2, (a.Int3 & Fcntl.AT_SYMLINK_NOFOLLOW) == 0, (a.Int3 & Fcntl.AT_EMPTY_PATH) != 0);
    }

    private static long DoStat(Task task, int directory, ulong path, ulong result, bool follow, bool allowEmpty)
    {
        Errno error = PathArgument.Resolve(task, directory, path, follow, allowEmpty, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = place.Dentry.Inode!.GetAttributes(out FileAttributes attributes);
        place.DecRef();
        return error == Errno.None ? WriteStat(task, result, attributes) : -(long)error;
    }

    private static long WriteStat(Task task, ulong address, in FileAttributes attributes)
    {
        UserNamespace users = task.Credentials.UserNamespace;
        StatBuffer buffer = new()
        {
            Device = attributes.Device,
            Inode = attributes.Inode,
            Links = attributes.Links,
            Mode = attributes.Mode,
            Uid = users.Uids.Shown(attributes.Uid),
            Gid = users.Gids.Shown(attributes.Gid),
            DeviceNumber = attributes.DeviceNumber,
            Size = attributes.Size,
            BlockSize = attributes.BlockSize,
            Blocks = (long)attributes.Blocks,
            AccessTime = ToTimespec(attributes.AccessTime),
            ModifyTime = ToTimespec(attributes.ModifyTime),
            ChangeTime = ToTimespec(attributes.ChangeTime),
        };
        return -(long)task.Memory.CopyOut(address, buffer);
    }

    private static Timespec ToTimespec(FileTime time) => new() { Seconds = time.Seconds, Nanoseconds = time.Nanoseconds };

    private static long Statx(Task task, in SyscallArguments a)
    {
        const int known = Fcntl.AT_SYMLINK_NOFOLLOW | Fcntl.AT_EMPTY_PATH | Fcntl.AT_NO_AUTOMOUNT | 0x6000;
        if ((a.Int2 & ~known) != 0 || (a.Int2 & 0x6000) == 0x6000 || (a.UInt3 & 0x80000000) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = PathArgument.Resolve(task, a.Int0, a.A1, (a.Int2 & Fcntl.AT_SYMLINK_NOFOLLOW) == 0, (a.Int2 & Fcntl.AT_EMPTY_PATH) != 0, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = place.Dentry.Inode!.GetAttributes(out FileAttributes at);
        ulong mount = (ulong)place.Mount.Id;
        bool isMountRoot = place.Dentry == place.Mount.Root;
        place.DecRef();
        if (error != Errno.None)
        {
            return -(long)error;
        }

        uint mask = Stat.STATX_BASIC_STATS | Stat.STATX_MNT_ID | (at.BirthTime == default ? 0u : (uint)Stat.STATX_BTIME);
        UserNamespace users = task.Credentials.UserNamespace;
        StatxBuffer buffer = new()
        {
            Mask = mask,
            BlockSize = at.BlockSize,
            Attributes = isMountRoot ? (ulong)Stat.STATX_ATTR_MOUNT_ROOT : 0,
            AttributesMask = Stat.STATX_ATTR_MOUNT_ROOT,
            Links = (uint)at.Links,
            Uid = users.Uids.Shown(at.Uid),
            Gid = users.Gids.Shown(at.Gid),
            Mode = (ushort)at.Mode,
            Inode = at.Inode,
            Size = (ulong)at.Size,
            Blocks = at.Blocks,
            AccessTime = ToStatx(at.AccessTime),
            BirthTime = ToStatx(at.BirthTime),
            ChangeTime = ToStatx(at.ChangeTime),
            ModifyTime = ToStatx(at.ModifyTime),
            RdevMajor = SpecialFiles.Major(at.DeviceNumber),
            RdevMinor = SpecialFiles.Minor(at.DeviceNumber),
            DeviceMajor = SpecialFiles.Major(at.Device),
            DeviceMinor = SpecialFiles.Minor(at.Device),
            MountId = mount,
        };
        return -(long)task.Memory.CopyOut(a.A4, buffer);
    }

    private static StatxTimestamp ToStatx(FileTime time) => new() { Seconds = time.Seconds, Nanoseconds = time.Nanoseconds };

    private static long StatfsPath(Task task, in SyscallArguments a)
    {
        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, a.A0, true, false, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long result = WriteStatfs(task, a.A1, place);
        place.DecRef();
        return result;
    }

    private static long FStatfs(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        long result = WriteStatfs(task, a.A1, file.Path);
        file.DecRef();
        return result;
    }

    private static long WriteStatfs(Task task, ulong address, in VfsPath place)
    {
        Errno error = place.Mount.Super.GetStatfs(out Statfs statfs);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        // ST_VALID and the mount's own flags; MS_* and ST_* have the same values for these.
        statfs.Flags |= 0x20 | (long)(place.Mount.Flags & (Linux.Mount.MS_RDONLY | Linux.Mount.MS_NOSUID | Linux.Mount.MS_NODEV | Linux.Mount.MS_NOEXEC));
        return -(long)task.Memory.CopyOut(address, statfs);
    }

    private static long Access(Task task, in SyscallArguments a) => DoAccess(task, Fcntl.AT_FDCWD, a.A0, a.Int1, 0);

    private static long FAccessAt(Task task, in SyscallArguments a) => DoAccess(task, a.Int0, a.A1, a.Int2, 0);

    private static long FAccessAt2(Task task, in SyscallArguments a) => DoAccess(task, a.Int0, a.A1, a.Int2, a.Int3);

    private static long DoAccess(Task task, int directory, ulong path, int mask, int flags)
    {
        if ((mask & ~7) != 0 || (flags & ~(Fcntl.AT_EACCESS | Fcntl.AT_SYMLINK_NOFOLLOW | Fcntl.AT_EMPTY_PATH)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        // Checked with the real ids, and root's capabilities only if the real user is root.
        Credentials own = task.Credentials, checking = own;
        if ((flags & Fcntl.AT_EACCESS) == 0 && (own.FsUid != own.RealUid || own.FsGid != own.RealGid || own.RealUid != own.RootUid))
        {
            checking = own with { FsUid = own.RealUid, FsGid = own.RealGid, Effective = own.RealUid == own.RootUid ? own.Permitted : own.RealUid == own.EffectiveUid ? own.Effective : 0 };
        }

        task.Credentials = checking;
        Errno error = PathArgument.Resolve(task, directory, path, (flags & Fcntl.AT_SYMLINK_NOFOLLOW) == 0, (flags & Fcntl.AT_EMPTY_PATH) != 0, out VfsPath place);
        if (error == Errno.None)
        {
            Inode inode = place.Dentry.Inode!;
            if (mask != 0)
            {
                error = inode.CheckPermission(checking, mask);
            }

            if (error == Errno.None && (mask & Permissions.Write) != 0 && place.Mount.IsReadOnly && (inode.IsRegular || inode.IsDirectory))
            {
                error = Errno.EROFS;
            }

            if (error == Errno.None && (mask & Permissions.Execute) != 0 && inode.IsRegular && (place.Mount.Flags & Linux.Mount.MS_NOEXEC) != 0)
            {
                error = Errno.EACCES;
            }

            place.DecRef();
        }

        task.Credentials = own;
        return -(long)error;
    }
}
