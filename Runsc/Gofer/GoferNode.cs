using System;
using System.Buffers.Text;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Gofer;

/// <summary>What a fid stands for: a file held by an O_PATH descriptor, so that renames and removals do not change what it means.</summary>
internal sealed class GoferNode(int pathFd, uint type) : IDisposable
{
    /// <summary>The O_PATH descriptor.</summary>
    public int PathFd { get; } = pathFd;

    /// <summary>S_IFMT bits; those of an inode never change.</summary>
    public uint Type { get; } = type;

    /// <summary>For reading, writing or listing; negative until opened.</summary>
    public int OpenFd { get; private set; } = -1;

    public bool IsDirectory => Type == Stat.S_IFDIR;

    public bool IsRegular => Type == Stat.S_IFREG;

    public bool IsSymlink => Type == Stat.S_IFLNK;

    /// <summary>Takes over a path descriptor. The errno when it cannot be looked at; the descriptor is closed then.</summary>
    public static Errno FromPath(int pathFd, out GoferNode? node, out StatBuffer stat)
    {
        int result = HostFile.Stat(pathFd, out stat);
        if (result < 0)
        {
            _ = HostFile.Close(pathFd);
            node = null;
            return (Errno)(-result);
        }

        node = new GoferNode(pathFd, stat.Mode & (uint)Stat.S_IFMT);
        return Errno.None;
    }

    /// <summary>Opens the file itself for I/O. Only regular files and directories: opening others could block or have effects. Descriptor or −errno.</summary>
    public int Reopen(int descriptorDirectory, int flags)
    {
        if (!IsRegular && !IsDirectory)
        {
            return -(int)Errno.EOPNOTSUPP;
        }

        Span<byte> name = stackalloc byte[16];
        return HostFile.OpenAt(descriptorDirectory, Name(PathFd, name), flags | Fcntl.O_NOCTTY);
    }

    /// <summary>The entry of a descriptor in /proc/self/fd, NUL-terminated.</summary>
    public static ReadOnlySpan<byte> Name(int fd, Span<byte> room)
    {
        Utf8Formatter.TryFormat(fd, room[..^1], out int length);
        room[length] = 0;
        return room[..(length + 1)];
    }

    /// <summary>Keeps a descriptor for later messages on this fid.</summary>
    public void SetOpen(int fd)
    {
        CloseOpen();
        OpenFd = fd;
    }

    public void Dispose()
    {
        CloseOpen();
        _ = HostFile.Close(PathFd);
    }

    private void CloseOpen()
    {
        if (OpenFd >= 0)
        {
            _ = HostFile.Close(OpenFd);
            OpenFd = -1;
        }
    }
}
