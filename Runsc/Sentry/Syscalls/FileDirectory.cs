using System;
using System.Buffers.Binary;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>Names: mkdir(2), unlink(2), rename(2), link(2), symlink(2), mknod(2), getdents(2), chdir(2) and their kin.</summary>
internal static unsafe class FileDirectory
{
    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.getdents, "getdents", &GetDents, "fd,ptr,size");
        b.Add(SysNo.getdents64, "getdents64", &GetDents64, "fd,ptr,size");
        b.Add(SysNo.mkdir, "mkdir", &MkDir, "path,mode");
        b.Add(SysNo.mkdirat, "mkdirat", &MkDirAt, "dirfd,path,mode");
        b.Add(SysNo.rmdir, "rmdir", &RmDir, "path");
        b.Add(SysNo.unlink, "unlink", &Unlink, "path");
        b.Add(SysNo.unlinkat, "unlinkat", &UnlinkAt, "dirfd,path,atflags");
        b.Add(SysNo.rename, "rename", &Rename, "path,path");
        b.Add(SysNo.renameat, "renameat", &RenameAt, "dirfd,path,dirfd,path");
        b.Add(SysNo.renameat2, "renameat2", &RenameAt2, "dirfd,path,dirfd,path,hex");
        b.Add(SysNo.link, "link", &Link, "path,path");
        b.Add(SysNo.linkat, "linkat", &LinkAt, "dirfd,path,dirfd,path,atflags");
        b.Add(SysNo.symlink, "symlink", &Symlink, "path,path");
        b.Add(SysNo.symlinkat, "symlinkat", &SymlinkAt, "path,dirfd,path");
        b.Add(SysNo.readlink, "readlink", &ReadLink, "path,outbuf,size");
        b.Add(SysNo.readlinkat, "readlinkat", &ReadLinkAt, "dirfd,path,outbuf,size");
        b.Add(SysNo.mknod, "mknod", &MkNod, "path,mode,hex");
        b.Add(SysNo.mknodat, "mknodat", &MkNodAt, "dirfd,path,mode,hex");
        b.Add(SysNo.chdir, "chdir", &ChDir, "path");
        b.Add(SysNo.fchdir, "fchdir", &FChDir, "fd");
        b.Add(SysNo.chroot, "chroot", &ChRoot, "path");
        b.Add(SysNo.getcwd, "getcwd", &GetCwd, "outbuf,size");
        b.Add(SysNo.umask, "umask", &Umask, "mode");
    }

    private static long GetDents(Task task, in SyscallArguments a) => ReadEntries(task, a, old: true);

    private static long GetDents64(Task task, in SyscallArguments a) => ReadEntries(task, a, old: false);

    private static long ReadEntries(Task task, in SyscallArguments a, bool old)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null || (file.StatusFlags & Fcntl.O_PATH) != 0)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        EntrySink sink = new(task.Memory, a.A1, a.UInt2, old);
        Errno error = file.Inode.IsDirectory && file.Path.Dentry.IsUnlinked ? Errno.ENOENT : file.ReadDirectory(task, sink);
        file.DecRef();
        if (sink.Written > 0)
        {
            return sink.Written;
        }

        return error != Errno.None ? -(long)error : sink.Error != Errno.None ? -(long)sink.Error : 0;
    }

    /// <summary>Puts entries into the application's memory as struct linux_dirent64, or linux_dirent.</summary>
    private sealed class EntrySink(MemoryManager memory, ulong address, uint size, bool old) : IDirectorySink
    {
        public long Written { get; private set; }

        /// <summary>Why the first entry could not be written.</summary>
        public Errno Error { get; private set; }

        public bool Add(ReadOnlySpan<byte> name, ulong inode, byte type, long next)
        {
            // Both layouts: inode, offset, record length; the old one keeps the type in the record's last byte.
            int length = ((old ? 18 : 19) + name.Length + (old ? 2 : 1) + 7) & ~7;
            if (Written + length > size)
            {
                Error = Errno.EINVAL;
                return false;
            }

            Span<byte> record = stackalloc byte[288];
            record = record[..length];
            record.Clear();
            BinaryPrimitives.WriteUInt64LittleEndian(record, inode);
            BinaryPrimitives.WriteInt64LittleEndian(record[8..], next);
            BinaryPrimitives.WriteUInt16LittleEndian(record[16..], (ushort)length);
            if (old)
            {
                name.CopyTo(record[18..]);
                record[length - 1] = type;
            }
            else
            {
                record[18] = type;
                name.CopyTo(record[19..]);
            }

            if (memory.CopyOut(address + (ulong)Written, record) != length)
            {
                Error = Errno.EFAULT;
                return false;
            }

            Written += length;
            return true;
        }
    }

    private static long MkDir(Task task, in SyscallArguments a) => Make(task, Fcntl.AT_FDCWD, a.A0, (a.UInt1 & 0x3ff) | (uint)Stat.S_IFDIR, 0);

    private static long MkDirAt(Task task, in SyscallArguments a) => Make(task, a.Int0, a.A1, (a.UInt2 & 0x3ff) | (uint)Stat.S_IFDIR, 0);

    private static long MkNod(Task task, in SyscallArguments a) => MakeNode(task, Fcntl.AT_FDCWD, a.A0, a.UInt1, a.UInt2);

    private static long MkNodAt(Task task, in SyscallArguments a) => MakeNode(task, a.Int0, a.A1, a.UInt2, a.UInt3);

    private static long MakeNode(Task task, int directory, ulong path, uint mode, uint device)
    {
        uint type = mode & (uint)Stat.S_IFMT;
        type = type == 0 ? (uint)Stat.S_IFREG : type;
        switch (type)
        {
            case (uint)Stat.S_IFREG:
            case (uint)Stat.S_IFIFO:
            case (uint)Stat.S_IFSOCK:
                device = 0;
                break;
            case (uint)Stat.S_IFCHR:
            case (uint)Stat.S_IFBLK:
                // A whiteout (0, 0) needs no right.
                if (!task.Credentials.HasCapability(Capability.CAP_MKNOD) && !(type == (uint)Stat.S_IFCHR && device == 0))
                {
                    return -(long)Errno.EPERM;
                }

                break;
            case (uint)Stat.S_IFDIR:
                return -(long)Errno.EPERM;
            default:
                return -(long)Errno.EINVAL;
        }

        return Make(task, directory, path, (mode & 0xfff) | type, device);
    }

    private static long Make(Task task, int directory, ulong pathAddress, uint mode, ulong device)
    {
        Span<byte> buffer = stackalloc byte[PathArgument.Size];
        Errno error = PathArgument.Read(task, pathAddress, buffer, out ReadOnlySpan<byte> path);
        if (error == Errno.None)
        {
            error = PathArgument.GetStart(task, directory, path, out VfsPath start);
            if (error == Errno.None)
            {
                error = VirtualFileSystem.Create(task, start, path, mode & ~task.Fs.Umask, device, out VfsPath made);
                start.DecRef();
                if (error == Errno.None)
                {
                    made.DecRef();
                }
            }
        }

        return -(long)error;
    }

    private static long RmDir(Task task, in SyscallArguments a) => Remove(task, Fcntl.AT_FDCWD, a.A0, directory: true);

    private static long Unlink(Task task, in SyscallArguments a) => Remove(task, Fcntl.AT_FDCWD, a.A0, directory: false);

    private static long UnlinkAt(Task task, in SyscallArguments a) =>
        (a.Int2 & ~Fcntl.AT_REMOVEDIR) != 0 ? -(long)Errno.EINVAL : Remove(task, a.Int0, a.A1, (a.Int2 & Fcntl.AT_REMOVEDIR) != 0);

    private static long Remove(Task task, int fd, ulong pathAddress, bool directory)
    {
        Span<byte> buffer = stackalloc byte[PathArgument.Size];
        Errno error = PathArgument.Read(task, pathAddress, buffer, out ReadOnlySpan<byte> path);
        if (error == Errno.None)
        {
            error = PathArgument.GetStart(task, fd, path, out VfsPath start);
            if (error == Errno.None)
            {
                error = VirtualFileSystem.Remove(task, start, path, directory);
                start.DecRef();
            }
        }

        return -(long)error;
    }

    private static long Rename(Task task, in SyscallArguments a) => DoRename(task, Fcntl.AT_FDCWD, a.A0, Fcntl.AT_FDCWD, a.A1, 0);

    private static long RenameAt(Task task, in SyscallArguments a) => DoRename(task, a.Int0, a.A1, a.Int2, a.A3, 0);

    private static long RenameAt2(Task task, in SyscallArguments a) => DoRename(task, a.Int0, a.A1, a.Int2, a.A3, a.UInt4);

    private static long DoRename(Task task, int oldFd, ulong oldAddress, int newFd, ulong newAddress, uint flags)
    {
        const uint known = Fcntl.RENAME_NOREPLACE | Fcntl.RENAME_EXCHANGE | Fcntl.RENAME_WHITEOUT;
        if ((flags & ~known) != 0 || ((flags & Fcntl.RENAME_EXCHANGE) != 0 && (flags & (Fcntl.RENAME_NOREPLACE | Fcntl.RENAME_WHITEOUT)) != 0))
        {
            return -(long)Errno.EINVAL;
        }

        Span<byte> oldBuffer = stackalloc byte[PathArgument.Size], newBuffer = stackalloc byte[PathArgument.Size];
        Errno error = PathArgument.Read(task, oldAddress, oldBuffer, out ReadOnlySpan<byte> oldPath);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = PathArgument.Read(task, newAddress, newBuffer, out ReadOnlySpan<byte> newPath);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = PathArgument.GetStart(task, oldFd, oldPath, out VfsPath oldStart);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = PathArgument.GetStart(task, newFd, newPath, out VfsPath newStart);
        if (error == Errno.None)
        {
            error = task.Kernel.Vfs.Rename(task, oldStart, oldPath, newStart, newPath, flags);
            newStart.DecRef();
        }

        oldStart.DecRef();
        return -(long)error;
    }

    private static long Link(Task task, in SyscallArguments a) => DoLink(task, Fcntl.AT_FDCWD, a.A0, Fcntl.AT_FDCWD, a.A1, 0);

    private static long LinkAt(Task task, in SyscallArguments a) => DoLink(task, a.Int0, a.A1, a.Int2, a.A3, a.Int4);

    private static long DoLink(Task task, int oldFd, ulong oldAddress, int newFd, ulong newAddress, int flags)
    {
        if ((flags & ~(Fcntl.AT_SYMLINK_FOLLOW | Fcntl.AT_EMPTY_PATH)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if ((flags & Fcntl.AT_EMPTY_PATH) != 0 && !task.Credentials.HasCapability(Capability.CAP_DAC_READ_SEARCH))
        {
            return -(long)Errno.ENOENT;
        }

        Errno error = PathArgument.Resolve(task, oldFd, oldAddress, (flags & Fcntl.AT_SYMLINK_FOLLOW) != 0, (flags & Fcntl.AT_EMPTY_PATH) != 0, out VfsPath target);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        Span<byte> buffer = stackalloc byte[PathArgument.Size];
        error = PathArgument.Read(task, newAddress, buffer, out ReadOnlySpan<byte> path);
        if (error == Errno.None)
        {
            error = PathArgument.GetStart(task, newFd, path, out VfsPath start);
            if (error == Errno.None)
            {
                error = VirtualFileSystem.Link(task, target, start, path);
                start.DecRef();
            }
        }

        target.DecRef();
        return -(long)error;
    }

    private static long Symlink(Task task, in SyscallArguments a) => DoSymlink(task, a.A0, Fcntl.AT_FDCWD, a.A1);

    private static long SymlinkAt(Task task, in SyscallArguments a) => DoSymlink(task, a.A0, a.Int1, a.A2);

    private static long DoSymlink(Task task, ulong targetAddress, int fd, ulong pathAddress)
    {
        Span<byte> targetBuffer = stackalloc byte[PathArgument.Size], buffer = stackalloc byte[PathArgument.Size];
        Errno error = PathArgument.Read(task, targetAddress, targetBuffer, out ReadOnlySpan<byte> target);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (target.IsEmpty)
        {
            return -(long)Errno.ENOENT;
        }

        error = PathArgument.Read(task, pathAddress, buffer, out ReadOnlySpan<byte> path);
        if (error == Errno.None)
        {
            error = PathArgument.GetStart(task, fd, path, out VfsPath start);
            if (error == Errno.None)
            {
                error = VirtualFileSystem.Symlink(task, start, path, target);
                start.DecRef();
            }
        }

        return -(long)error;
    }

    private static long ReadLink(Task task, in SyscallArguments a) => DoReadLink(task, Fcntl.AT_FDCWD, a.A0, a.A1, a.Int2);

    private static long ReadLinkAt(Task task, in SyscallArguments a) => DoReadLink(task, a.Int0, a.A1, a.A2, a.Int3);

    private static long DoReadLink(Task task, int fd, ulong path, ulong buffer, int size)
    {
        if (size <= 0)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = PathArgument.Resolve(task, fd, path, follow: false, allowEmpty: true, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        Inode inode = place.Dentry.Inode!;
        error = inode.IsSymlink ? inode.ReadLink(task, out byte[] target) : NoLink(out target);
        place.DecRef();
        if (error != Errno.None)
        {
            return -(long)error;
        }

        ReadOnlySpan<byte> part = target.AsSpan(0, Math.Min(target.Length, size));
        return task.Memory.CopyOut(buffer, part) == part.Length ? part.Length : -(long)Errno.EFAULT;

        static Errno NoLink(out byte[] target)
        {
            target = [];
            return Errno.EINVAL;
        }
    }

    private static long ChDir(Task task, in SyscallArguments a)
    {
        Errno error = ResolveDirectory(task, a.A0, out VfsPath place);
        if (error == Errno.None)
        {
            task.Fs.SetWorkingDirectory(place);
        }

        return -(long)error;
    }

    private static Errno ResolveDirectory(Task task, ulong path, out VfsPath place)
    {
        Errno error = PathArgument.Resolve(task, Fcntl.AT_FDCWD, path, follow: true, allowEmpty: false, out place);
        if (error != Errno.None)
        {
            return error;
        }

        error = !place.Dentry.Inode!.IsDirectory ? Errno.ENOTDIR : place.Dentry.Inode.CheckPermission(task.Credentials, Permissions.Execute);
        if (error != Errno.None)
        {
            place.DecRef();
        }

        return error;
    }

    private static long FChDir(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        Errno error = !file.Inode.IsDirectory ? Errno.ENOTDIR : file.Inode.CheckPermission(task.Credentials, Permissions.Execute);
        if (error == Errno.None)
        {
            file.Path.IncRef();
            task.Fs.SetWorkingDirectory(file.Path);
        }

        file.DecRef();
        return -(long)error;
    }

    private static long ChRoot(Task task, in SyscallArguments a)
    {
        Errno error = ResolveDirectory(task, a.A0, out VfsPath place);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (!task.Credentials.HasOwnCapability(Capability.CAP_SYS_CHROOT))
        {
            place.DecRef();
            return -(long)Errno.EPERM;
        }

        task.Fs.SetRoot(place);
        return 0;
    }

    private static long GetCwd(Task task, in SyscallArguments a)
    {
        VfsPath root = task.Fs.GetRoot(), directory = task.Fs.GetWorkingDirectory();
        byte[]? path = task.MountNamespace.GetPath(directory, root, out bool unlinked);
        root.DecRef();
        directory.DecRef();
        if (unlinked)
        {
            return -(long)Errno.ENOENT;
        }

        path ??= "(unreachable)/"u8.ToArray();
        if ((ulong)path.Length + 1 > a.A1)
        {
            return -(long)Errno.ERANGE;
        }

        byte[] terminated = [.. path, 0];
        return task.Memory.CopyOut(a.A0, terminated) == terminated.Length ? terminated.Length : -(long)Errno.EFAULT;
    }

    private static long Umask(Task task, in SyscallArguments a) => task.Fs.ExchangeUmask(a.UInt0);
}
