using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>Files by descriptor and, for the processes that may name files, by path. Paths are NUL-terminated bytes.</summary>
internal static unsafe partial class HostFile
{
    public static int OpenAt(int directory, ReadOnlySpan<byte> path, int flags, uint mode = 0)
    {
        fixed (byte* p = path)
        {
            return HostResult.Of(OpenAtNative(directory, p, flags | Fcntl.O_CLOEXEC, mode));
        }
    }

    /// <summary>openat2(2); <paramref name="resolve"/> holds RESOLVE_* flags. ENOSYS before Linux 5.6.</summary>
    public static int OpenAt2(int directory, ReadOnlySpan<byte> path, int flags, uint mode, ulong resolve)
    {
        OpenHow how = new() { Flags = (ulong)(uint)(flags | Fcntl.O_CLOEXEC), Mode = mode, Resolve = resolve };
        fixed (byte* p = path)
        {
            return (int)HostResult.Of(SyscallNative(SysNo.openat2, directory, (long)p, (long)&how, OpenHow.SizeInBytes, 0, 0));
        }
    }

    /// <summary>open_tree(2): a descriptor, or −errno.</summary>
    public static int OpenTree(ReadOnlySpan<byte> path, uint flags)
    {
        fixed (byte* p = path)
        {
            return (int)HostResult.Of(SyscallNative(SysNo.open_tree, Fcntl.AT_FDCWD, (long)p, flags, 0, 0, 0));
        }
    }

    /// <summary>mount_setattr(2) of the mount behind a descriptor. <paramref name="attributes"/>: struct mount_attr.</summary>
    public static int SetMountAttributes(int fd, int flags, ReadOnlySpan<byte> attributes)
    {
        ReadOnlySpan<byte> empty = "\0"u8;
        fixed (byte* p = empty, a = attributes)
        {
            return (int)HostResult.Of(SyscallNative(SysNo.mount_setattr, fd, (long)p, flags, (long)a, attributes.Length, 0));
        }
    }

    public static int Close(int fd) => HostResult.Of(CloseNative(fd));

    public static long Read(int fd, Span<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            return HostResult.Of(ReadNative(fd, p, buffer.Length));
        }
    }

    public static long Write(int fd, ReadOnlySpan<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            return HostResult.Of(WriteNative(fd, p, buffer.Length));
        }
    }

    public static long PRead(int fd, Span<byte> buffer, long offset)
    {
        fixed (byte* p = buffer)
        {
            return HostResult.Of(PReadNative(fd, p, buffer.Length, offset));
        }
    }

    public static long PWrite(int fd, ReadOnlySpan<byte> buffer, long offset)
    {
        fixed (byte* p = buffer)
        {
            return HostResult.Of(PWriteNative(fd, p, buffer.Length, offset));
        }
    }

    public static long Seek(int fd, long offset, int whence) => HostResult.Of(LSeekNative(fd, offset, whence));

    public static int StatAt(int directory, ReadOnlySpan<byte> path, int flags, out StatBuffer stat)
    {
        fixed (byte* p = path)
        fixed (StatBuffer* s = &stat)
        {
            return HostResult.Of(FStatAtNative(directory, p, s, flags));
        }
    }

    public static int Stat(int fd, out StatBuffer stat) => StatAt(fd, "\0"u8, Fcntl.AT_EMPTY_PATH, out stat);

    public static int FStatfs(int fd, out Statfs statfs)
    {
        fixed (Statfs* s = &statfs)
        {
            return HostResult.Of(FStatfsNative(fd, s));
        }
    }

    public static int Truncate(int fd, long length) => HostResult.Of(FTruncateNative(fd, length));

    public static int Allocate(int fd, int mode, long offset, long length) => HostResult.Of(FAllocateNative(fd, mode, offset, length));

    public static int Sync(int fd, bool dataOnly) => HostResult.Of(dataOnly ? FDataSyncNative(fd) : FSyncNative(fd));

    /// <summary>getdents64(2): bytes of struct linux_dirent64.</summary>
    public static long GetDirectoryEntries(int fd, Span<byte> buffer)
    {
        fixed (byte* p = buffer)
        {
            return HostResult.Of(SyscallNative(SysNo.getdents64, fd, (long)p, buffer.Length, 0, 0, 0));
        }
    }

    public static long ReadLinkAt(int directory, ReadOnlySpan<byte> path, Span<byte> target)
    {
        fixed (byte* p = path)
        fixed (byte* t = target)
        {
            return HostResult.Of(ReadLinkAtNative(directory, p, t, target.Length));
        }
    }

    public static int MkdirAt(int directory, ReadOnlySpan<byte> path, uint mode)
    {
        fixed (byte* p = path)
        {
            return HostResult.Of(MkdirAtNative(directory, p, mode));
        }
    }

    public static int MknodAt(int directory, ReadOnlySpan<byte> path, uint mode, ulong device)
    {
        fixed (byte* p = path)
        {
            return HostResult.Of(MknodAtNative(directory, p, mode, device));
        }
    }

    public static int SymlinkAt(ReadOnlySpan<byte> target, int directory, ReadOnlySpan<byte> path)
    {
        fixed (byte* t = target)
        fixed (byte* p = path)
        {
            return HostResult.Of(SymlinkAtNative(t, directory, p));
        }
    }

    public static int LinkAt(int oldDirectory, ReadOnlySpan<byte> oldPath, int newDirectory, ReadOnlySpan<byte> newPath, int flags)
    {
        fixed (byte* o = oldPath)
        fixed (byte* n = newPath)
        {
            return HostResult.Of(LinkAtNative(oldDirectory, o, newDirectory, n, flags));
        }
    }

    public static int UnlinkAt(int directory, ReadOnlySpan<byte> path, int flags)
    {
        fixed (byte* p = path)
        {
            return HostResult.Of(UnlinkAtNative(directory, p, flags));
        }
    }

    public static int RenameAt(int oldDirectory, ReadOnlySpan<byte> oldPath, int newDirectory, ReadOnlySpan<byte> newPath, uint flags)
    {
        fixed (byte* o = oldPath)
        fixed (byte* n = newPath)
        {
            return (int)HostResult.Of(SyscallNative(SysNo.renameat2, oldDirectory, (long)o, newDirectory, (long)n, flags, 0));
        }
    }

    public static int ChmodAt(int directory, ReadOnlySpan<byte> path, uint mode)
    {
        fixed (byte* p = path)
        {
            return HostResult.Of(FChmodAtNative(directory, p, mode, 0));
        }
    }

    public static int Chmod(int fd, uint mode) => HostResult.Of(FChmodNative(fd, mode));

    public static int ChownAt(int directory, ReadOnlySpan<byte> path, uint uid, uint gid, int flags)
    {
        fixed (byte* p = path)
        {
            return HostResult.Of(FChownAtNative(directory, p, uid, gid, flags));
        }
    }

    /// <summary>utimensat(2): access and modification time.</summary>
    public static int SetTimesAt(int directory, ReadOnlySpan<byte> path, in Timespec access, in Timespec modify, int flags)
    {
        Timespec* times = stackalloc Timespec[2] { access, modify };
        fixed (byte* p = path)
        {
            return HostResult.Of(UtimensAtNative(directory, path.IsEmpty ? null : p, times, flags));
        }
    }

    public static int Duplicate(int fd, int minimum = 3) => HostResult.Of(FcntlNative(fd, Fcntl.F_DUPFD_CLOEXEC, minimum));

    public static int GetFlags(int fd) => HostResult.Of(FcntlNative(fd, Fcntl.F_GETFL, 0));

    /// <summary>
    /// Standard descriptors that the caller has closed become /dev/null: the next file that this process opens would get such a number, and would
    /// be given to a container as its input or output.
    /// </summary>
    public static void FillStandardDescriptors()
    {
        // The lowest number that is free is given, so nothing below 3 is left when one above 2 comes.
        int fd;
        do
        {
            fd = OpenAt(Fcntl.AT_FDCWD, "/dev/null\0"u8, Fcntl.O_RDWR);
        }
        while (fd is >= 0 and <= 2);
        if (fd > 2)
        {
            Close(fd);
        }
    }

    /// <summary>F_SETFD: whether the descriptor is closed by execve.</summary>
    public static int SetCloseOnExec(int fd, bool close) => HostResult.Of(FcntlNative(fd, Fcntl.F_SETFD, close ? Fcntl.FD_CLOEXEC : 0));

    /// <summary>Adds O_NONBLOCK to the description behind a descriptor; all that share it see it.</summary>
    public static int SetNonBlocking(int fd)
    {
        int flags = GetFlags(fd);
        return flags < 0 ? flags : HostResult.Of(FcntlNative(fd, Fcntl.F_SETFL, flags | Fcntl.O_NONBLOCK));
    }

    /// <summary>Takes O_NONBLOCK away, as <see cref="SetNonBlocking"/> adds it.</summary>
    public static int SetBlocking(int fd)
    {
        int flags = GetFlags(fd);
        return flags < 0 ? flags : HostResult.Of(FcntlNative(fd, Fcntl.F_SETFL, flags & ~Fcntl.O_NONBLOCK));
    }

    /// <summary>An ioctl that answers with an int.</summary>
    public static int IoctlInt(int fd, uint command, out int value)
    {
        int answer = 0;
        int result = Ioctl(fd, command, (nint)(&answer));
        value = answer;
        return result;
    }

    public static int Ioctl(int fd, uint command, nint argument) => HostResult.Of(IoctlNative(fd, command, argument));

    public static int Pipe(out int read, out int write)
    {
        int* fds = stackalloc int[2];
        int result = HostResult.Of(Pipe2Native(fds, Fcntl.O_CLOEXEC));
        read = fds[0];
        write = fds[1];
        return result;
    }

    public static int FLock(int fd, int operation) => HostResult.Of(FLockNative(fd, operation));

    internal static long Syscall(int number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0) =>
        HostResult.Of(SyscallNative(number, a, b, c, d, e, f));

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SyscallNative(long number, long a, long b, long c, long d, long e, long f);

    [LibraryImport("libc", EntryPoint = "openat", SetLastError = true)]
    private static partial int OpenAtNative(int directory, byte* path, int flags, uint mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int CloseNative(int fd);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadNative(int fd, byte* buffer, nint count);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteNative(int fd, byte* buffer, nint count);

    [LibraryImport("libc", EntryPoint = "pread", SetLastError = true)]
    private static partial nint PReadNative(int fd, byte* buffer, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "pwrite", SetLastError = true)]
    private static partial nint PWriteNative(int fd, byte* buffer, nint count, long offset);

    [LibraryImport("libc", EntryPoint = "lseek", SetLastError = true)]
    private static partial long LSeekNative(int fd, long offset, int whence);

    [LibraryImport("libc", EntryPoint = "fstatat", SetLastError = true)]
    private static partial int FStatAtNative(int directory, byte* path, StatBuffer* stat, int flags);

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int FStatfsNative(int fd, Statfs* statfs);

    [LibraryImport("libc", EntryPoint = "ftruncate", SetLastError = true)]
    private static partial int FTruncateNative(int fd, long length);

    [LibraryImport("libc", EntryPoint = "fallocate", SetLastError = true)]
    private static partial int FAllocateNative(int fd, int mode, long offset, long length);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    private static partial int FSyncNative(int fd);

    [LibraryImport("libc", EntryPoint = "fdatasync", SetLastError = true)]
    private static partial int FDataSyncNative(int fd);

    [LibraryImport("libc", EntryPoint = "readlinkat", SetLastError = true)]
    private static partial nint ReadLinkAtNative(int directory, byte* path, byte* target, nint size);

    [LibraryImport("libc", EntryPoint = "mkdirat", SetLastError = true)]
    private static partial int MkdirAtNative(int directory, byte* path, uint mode);

    [LibraryImport("libc", EntryPoint = "mknodat", SetLastError = true)]
    private static partial int MknodAtNative(int directory, byte* path, uint mode, ulong device);

    [LibraryImport("libc", EntryPoint = "symlinkat", SetLastError = true)]
    private static partial int SymlinkAtNative(byte* target, int directory, byte* path);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true)]
    private static partial int LinkAtNative(int oldDirectory, byte* oldPath, int newDirectory, byte* newPath, int flags);

    [LibraryImport("libc", EntryPoint = "unlinkat", SetLastError = true)]
    private static partial int UnlinkAtNative(int directory, byte* path, int flags);

    [LibraryImport("libc", EntryPoint = "fchmodat", SetLastError = true)]
    private static partial int FChmodAtNative(int directory, byte* path, uint mode, int flags);

    [LibraryImport("libc", EntryPoint = "fchmod", SetLastError = true)]
    private static partial int FChmodNative(int fd, uint mode);

    [LibraryImport("libc", EntryPoint = "fchownat", SetLastError = true)]
    private static partial int FChownAtNative(int directory, byte* path, uint uid, uint gid, int flags);

    [LibraryImport("libc", EntryPoint = "utimensat", SetLastError = true)]
    private static partial int UtimensAtNative(int directory, byte* path, Timespec* times, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int FcntlNative(int fd, int command, nint argument);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int IoctlNative(int fd, nuint command, nint argument);

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static partial int Pipe2Native(int* fds, int flags);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    private static partial int FLockNative(int fd, int operation);
}
