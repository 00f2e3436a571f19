using System;
using System.IO;
using System.Text;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>Reads files of a container as its root sees them, without a process inside.</summary>
internal static class ContainerReader
{
    private const int ChunkSize = 64 << 10, SmallSize = 1 << 20;

    /// <summary>A file of at most a megabyte; empty when it is not there.</summary>
    public static byte[] ReadSmall(SentryKernel kernel, MountNamespace mounts, string path)
    {
        using MemoryStream content = new();
        _ = Read(kernel, mounts, path, 0, SmallSize, content.Write);
        return content.ToArray();
    }

    /// <summary>Copies (part of) a file to a descriptor of the host.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="mounts">What the container sees.</param>
    /// <param name="path">Absolute.</param>
    /// <param name="offset">Where to begin.</param>
    /// <param name="size">Bytes at most; 0 for all.</param>
    /// <param name="fd">Stays the caller's.</param>
    /// <returns>The message for the user; null for success.</returns>
    public static string? ReadTo(SentryKernel kernel, MountNamespace mounts, string path, long offset, long size, int fd)
    {
        long problem = 0;
        Errno error = Read(kernel, mounts, path, offset, size, chunk =>
        {
            while (chunk.Length > 0 && problem >= 0)
            {
                long n = HostFile.Write(fd, chunk);
                problem = n == -(long)Errno.EINTR ? 0 : Math.Min(n, 0);
                chunk = chunk[(int)Math.Max(n, 0)..];
            }
        });
        return error != Errno.None ? $"cannot read {path}: {ErrorText.Of(error)}" : problem < 0 ? $"cannot write: errno {-problem}" : null;
    }

    private static Errno Read(SentryKernel kernel, MountNamespace mounts, string path, long offset, long size, Consumer consume)
    {
        BuilderCaller caller = new(mounts);
        VfsPath root = mounts.GetRootPath();
        Errno error = kernel.Vfs.Open(caller, root, Encoding.UTF8.GetBytes(path), Fcntl.O_RDONLY | Fcntl.O_NONBLOCK, 0, 0, out FileDescription? file);
        root.DecRef();
        if (error != Errno.None)
        {
            return error;
        }

        byte[] chunk = new byte[ChunkSize];
        long end = size == 0 ? long.MaxValue : offset > long.MaxValue - size ? long.MaxValue : offset + size;
        while (offset < end)
        {
            IoBuffer buffer = new(chunk.AsSpan(0, (int)Math.Min(chunk.Length, end - offset)));
            long n = file!.Inode.IsRegular ? file.PRead(caller, ref buffer, offset) : -(long)Errno.EINVAL;
            if (n <= 0)
            {
                error = (Errno)(-n);
                break;
            }

            consume(chunk.AsSpan(0, (int)n));
            offset += n;
        }

        file!.DecRef();
        return error;
    }

    private delegate void Consumer(ReadOnlySpan<byte> chunk);
}
