using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>open(2), close(2), dup(2) and their kin.</summary>
internal static unsafe class FileOpen
{
    private const int KnownOpenFlags = Fcntl.O_ACCMODE | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOCTTY | Fcntl.O_TRUNC | Fcntl.O_APPEND | Fcntl.O_NONBLOCK
        | Fcntl.O_SYNC | Fcntl.O_ASYNC | Fcntl.O_DIRECT | Fcntl.O_LARGEFILE | Fcntl.O_DIRECTORY | Fcntl.O_NOFOLLOW | Fcntl.O_NOATIME | Fcntl.O_CLOEXEC
        | Fcntl.O_PATH | Fcntl.O_TMPFILE;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.open, "open", &Open, "path,oflags,mode");
        b.Add(SysNo.openat, "openat", &OpenAt, "dirfd,path,oflags,mode");
        b.Add(SysNo.openat2, "openat2", &OpenAt2, "dirfd,path,ptr,size");
        b.Add(SysNo.creat, "creat", &Creat, "path,mode");
        b.Add(SysNo.close, "close", &Close, "fd");
        b.Add(SysNo.close_range, "close_range", &CloseRange, "fd,fd,hex");
        b.Add(SysNo.dup, "dup", &Dup, "fd");
        b.Add(SysNo.dup2, "dup2", &Dup2, "fd,fd");
        b.Add(SysNo.dup3, "dup3", &Dup3, "fd,fd,oflags");
    }

    private static long Open(Task task, in SyscallArguments a) => DoOpen(task, Fcntl.AT_FDCWD, a.A0, a.Int1, a.UInt2, WalkFlags.None);

    private static long OpenAt(Task task, in SyscallArguments a) => DoOpen(task, a.Int0, a.A1, a.Int2, a.UInt3, WalkFlags.None);

    private static long Creat(Task task, in SyscallArguments a) =>
        DoOpen(task, Fcntl.AT_FDCWD, a.A0, Fcntl.O_CREAT | Fcntl.O_WRONLY | Fcntl.O_TRUNC, a.UInt1, WalkFlags.None);

    private static long OpenAt2(Task task, in SyscallArguments a)
    {
        if (a.A3 < OpenHow.SizeInBytes)
        {
            return -(long)Errno.EINVAL;
        }

        if (a.A3 > 4096)
        {
            return -(long)Errno.E2BIG;
        }

        Errno error = task.Memory.CopyIn(a.A2, out OpenHow how);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        // What a later version of the structure has must be zero.
        Span<byte> rest = stackalloc byte[(int)a.A3 - OpenHow.SizeInBytes];
        if (rest.Length > 0 && (task.Memory.CopyIn(a.A2 + OpenHow.SizeInBytes, rest) != rest.Length || rest.ContainsAnyExcept((byte)0)))
        {
            return -(long)Errno.E2BIG;
        }

        const ulong known = Fcntl.RESOLVE_NO_XDEV | Fcntl.RESOLVE_NO_MAGICLINKS | Fcntl.RESOLVE_NO_SYMLINKS | Fcntl.RESOLVE_BENEATH | Fcntl.RESOLVE_IN_ROOT | Fcntl.RESOLVE_CACHED;
        bool creates = (how.Flags & (Fcntl.O_CREAT | (Fcntl.O_TMPFILE & ~Fcntl.O_DIRECTORY))) != 0;
        if ((how.Flags & ~(ulong)KnownOpenFlags) != 0 || (how.Mode != 0 && !creates) || (how.Mode & ~0xfffUL) != 0 || (how.Resolve & ~known) != 0
            || (how.Resolve & (Fcntl.RESOLVE_BENEATH | Fcntl.RESOLVE_IN_ROOT)) == (Fcntl.RESOLVE_BENEATH | Fcntl.RESOLVE_IN_ROOT))
        {
            return -(long)Errno.EINVAL;
        }

        WalkFlags walk = ((how.Resolve & Fcntl.RESOLVE_NO_XDEV) != 0 ? WalkFlags.NoCrossMounts : 0)
            | ((how.Resolve & Fcntl.RESOLVE_NO_MAGICLINKS) != 0 ? WalkFlags.NoMagicLinks : 0)
            | ((how.Resolve & Fcntl.RESOLVE_NO_SYMLINKS) != 0 ? WalkFlags.NoSymlinks : 0)
            | ((how.Resolve & Fcntl.RESOLVE_BENEATH) != 0 ? WalkFlags.Beneath : 0)
            | ((how.Resolve & Fcntl.RESOLVE_IN_ROOT) != 0 ? WalkFlags.InRoot : 0);
        return DoOpen(task, a.Int0, a.A1, (int)how.Flags, (uint)how.Mode, walk);
    }

    private static long DoOpen(Task task, int directory, ulong address, int flags, uint mode, WalkFlags walk)
    {
        const int nameless = Fcntl.O_TMPFILE & ~Fcntl.O_DIRECTORY;
        if ((flags & (nameless | Fcntl.O_DIRECTORY)) == nameless)
        {
            return -(long)Errno.EINVAL;
        }

        Span<byte> buffer = stackalloc byte[PathArgument.Size];
        Errno error = PathArgument.Read(task, address, buffer, out ReadOnlySpan<byte> path);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        error = PathArgument.GetStart(task, directory, path, out VfsPath start);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        FileDescription? file;
        while (true)
        {
            error = task.Kernel.Vfs.Open(task, start, path, flags & KnownOpenFlags, mode & 0xfff, walk, out file);

            // A FIFO without its other end says so, and is what to wait for.
            if (error != Errno.EAGAIN || file is null)
            {
                break;
            }

            error = task.WaitFor(file, Waiting.EventMask.Internal, Kernel.Time.Deadline.Infinite);
            if (error != Errno.None)
            {
                file.DecRef();
                break;
            }

            break;
        }

        start.DecRef();
        if (error != Errno.None)
        {
            return -(long)error;
        }

        int fd = task.Files.Add(file!, (flags & Fcntl.O_CLOEXEC) != 0, task.DescriptorLimit);
        if (fd < 0)
        {
            file!.DecRef();
        }

        return fd;
    }

    private static long Close(Task task, in SyscallArguments a)
    {
        SocketDescription? lingering = SocketIo.BeginLinger(task, a.Int0);
        long result = -(long)task.Files.Close(task, a.Int0);
        if (lingering is not null)
        {
            SocketIo.Linger(task, lingering);
        }

        return result;
    }

    private static long CloseRange(Task task, in SyscallArguments a)
    {
        const uint unshare = 2, closeOnExec = 4;
        if ((a.UInt2 & ~(unshare | closeOnExec)) != 0 || a.UInt0 > a.UInt1)
        {
            return -(long)Errno.EINVAL;
        }

        if ((a.UInt2 & unshare) != 0)
        {
            task.UnshareFiles();
        }

        int first = (int)Math.Min(a.UInt0, int.MaxValue), last = (int)Math.Min(a.UInt1, int.MaxValue);
        for (int fd = task.Files.Next(first); fd >= 0 && fd <= last; fd = task.Files.Next(fd + 1))
        {
            if ((a.UInt2 & closeOnExec) != 0)
            {
                task.Files.SetCloseOnExec(fd, true);
            }
            else
            {
                task.Files.Close(task, fd);
            }
        }

        return 0;
    }

    private static long Dup(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        int fd = task.Files.Add(file, false, task.DescriptorLimit);
        if (fd < 0)
        {
            file.DecRef();
        }

        return fd;
    }

    private static long Dup2(Task task, in SyscallArguments a) =>
        a.Int0 != a.Int1 ? DoDup3(task, a.Int0, a.Int1, false) : task.Files.GetCloseOnExec(a.Int0) is null ? -(long)Errno.EBADF : a.Int0;

    private static long Dup3(Task task, in SyscallArguments a) =>
        (a.Int2 & ~Fcntl.O_CLOEXEC) != 0 || a.Int0 == a.Int1 ? -(long)Errno.EINVAL : DoDup3(task, a.Int0, a.Int1, a.Int2 != 0);

    private static long DoDup3(Task task, int oldFd, int newFd, bool closeOnExec)
    {
        if (newFd < 0 || (ulong)newFd >= task.DescriptorLimit)
        {
            return -(long)Errno.EBADF;
        }

        FileDescription? file = task.Files.Get(oldFd);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        FileDescription? replaced = task.Files.Replace(newFd, file, closeOnExec);
        if (replaced is not null)
        {
            replaced.OnClose(task);
            replaced.Inode.Locks?.ReleaseAllOf(task.Files);
            replaced.DecRef();
        }

        return newFd;
    }
}
