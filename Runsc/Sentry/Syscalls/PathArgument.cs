using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>What calls with a directory descriptor and a path share: copying the path in, and finding where it begins.</summary>
internal static class PathArgument
{
    /// <summary>PATH_MAX with its NUL.</summary>
    public const int Size = 4096;

    /// <summary>Copies a path in; <paramref name="path"/> is the part of the buffer that it takes. EFAULT, ENAMETOOLONG.</summary>
    public static Errno Read(Task task, ulong address, Span<byte> buffer, out ReadOnlySpan<byte> path)
    {
        long length = task.Memory.CopyInString(address, buffer);
        path = length >= 0 ? buffer[..(int)length] : default;
        return length >= 0 ? Errno.None : (Errno)(-length);
    }

    /// <summary>Where a relative path begins: the working directory for AT_FDCWD, else the descriptor's place. With references. EBADF.</summary>
    public static Errno GetStart(Task task, int directory, ReadOnlySpan<byte> path, out VfsPath start)
    {
        if (directory == Fcntl.AT_FDCWD || (!path.IsEmpty && path[0] == (byte)'/'))
        {
            start = task.Fs.GetWorkingDirectory();
            return Errno.None;
        }

        start = default;
        FileDescription? file = task.Files.Get(directory);
        if (file is null)
        {
            return Errno.EBADF;
        }

        start = file.Path;
        start.IncRef();
        file.DecRef();
        return Errno.None;
    }

    /// <summary>Resolves to an existing file, with references. <paramref name="allowEmpty"/>: AT_EMPTY_PATH.</summary>
    public static Errno Resolve(Task task, int directory, ulong address, bool follow, bool allowEmpty, out VfsPath place)
    {
        place = default;
        Span<byte> buffer = stackalloc byte[Size];
        scoped ReadOnlySpan<byte> path = default;
        Errno error = address == 0 && allowEmpty ? Errno.None : Read(task, address, buffer, out path);
        if (error != Errno.None)
        {
            return error;
        }

        error = GetStart(task, directory, path, out VfsPath start);
        if (error != Errno.None)
        {
            return error;
        }

        WalkFlags flags = (follow ? WalkFlags.FollowLast : 0) | (allowEmpty ? WalkFlags.AllowEmpty : 0);
        error = PathWalker.Resolve(task, start, path, flags, out place);
        start.DecRef();
        return error;
    }
}
