using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>Copies a tree of files inside the Sentry before the container runs: tmpcopyup. Hard links become files of their own.</summary>
internal static class TreeCopy
{
    private const int MaxDepth = 128, ChunkSize = 64 << 10;

    /// <summary>All that is in a directory into another one, and its owner and mode.</summary>
    public static Errno Copy(ICaller caller, in VfsPath from, in VfsPath to) => from.Dentry.Inode!.IsDirectory ? CopyDirectory(caller, from, to, 0) : Errno.ENOTDIR;

    private static Errno CopyDirectory(ICaller caller, in VfsPath from, in VfsPath to, int depth)
    {
        if (depth > MaxDepth)
        {
            return Errno.ELOOP;
        }

        Errno error = List(caller, from, out List<byte[]> names);
        foreach (byte[] name in names)
        {
            if (error != Errno.None)
            {
                return error;
            }

            error = PathWalker.Resolve(caller, from, name, 0, out VfsPath source);
            if (error == Errno.None)
            {
                error = CopyOne(caller, source, to, name, depth);
                source.DecRef();
            }
        }

        return error == Errno.None ? CopyAttributes(from, to) : error;
    }

    private static Errno List(ICaller caller, in VfsPath directory, out List<byte[]> names)
    {
        Names sink = new();
        names = sink.All;
        directory.IncRef();
        Errno error = directory.Dentry.Inode!.Open(caller, directory, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY, out FileDescription? file);
        if (error != Errno.None)
        {
            directory.DecRef();
            return error;
        }

        int before;
        do
        {
            before = sink.Seen;
            error = file!.ReadDirectory(caller, sink);
        }
        while (error == Errno.None && sink.Seen > before);
        file.DecRef();
        return error;
    }

    private static Errno CopyOne(ICaller caller, in VfsPath source, in VfsPath directory, byte[] name, int depth)
    {
        Inode inode = source.Dentry.Inode!;
        Errno error = inode.GetAttributes(out FileAttributes attributes);
        if (error != Errno.None)
        {
            return error;
        }

        if (inode.IsSymlink)
        {
            error = inode.ReadLink(caller, out byte[] target);
            error = error == Errno.None ? VirtualFileSystem.Symlink(caller, directory, name, target) : error;
            return error == Errno.EEXIST ? Errno.None : error;
        }

        if (inode.FileType == Stat.S_IFSOCK)
        {
            return Errno.None;
        }

        error = VirtualFileSystem.Create(caller, directory, name, attributes.Mode, attributes.DeviceNumber, out VfsPath made);
        if (error != Errno.None)
        {
            return error == Errno.EEXIST ? Errno.None : error;
        }

        error = inode.IsDirectory ? CopyDirectory(caller, source, made, depth + 1)
            : inode.IsRegular ? CopyContent(caller, source, made)
            : Errno.None;
        error = error == Errno.None && !inode.IsDirectory ? CopyAttributes(source, made) : error;
        made.DecRef();
        return error;
    }

    private static Errno CopyAttributes(in VfsPath from, in VfsPath to)
    {
        Errno error = from.Dentry.Inode!.GetAttributes(out FileAttributes attributes);
        if (error != Errno.None)
        {
            return error;
        }

        AttributeChange change = new()
        {
            Mask = AttributeMask.Mode | AttributeMask.Uid | AttributeMask.Gid,
            Mode = attributes.Mode & 0xfff,
            Uid = attributes.Uid,
            Gid = attributes.Gid,
        };
        return to.Dentry.Inode!.SetAttributes(change);
    }

    private static Errno CopyContent(ICaller caller, in VfsPath from, in VfsPath to)
    {
        Errno error = Open(caller, from, Fcntl.O_RDONLY, out FileDescription? source);
        if (error != Errno.None)
        {
            return error;
        }

        error = Open(caller, to, Fcntl.O_WRONLY, out FileDescription? target);
        byte[] chunk = new byte[ChunkSize];
        for (long offset = 0; error == Errno.None;)
        {
            IoBuffer read = new(chunk);
            long n = source!.PRead(caller, ref read, offset);
            if (n <= 0)
            {
                error = (Errno)(-n);
                break;
            }

            IoBuffer write = new(chunk.AsSpan(0, (int)n));
            long written = target!.PWrite(caller, ref write, offset);
            error = written == n ? Errno.None : written < 0 ? (Errno)(-written) : Errno.ENOSPC;
            offset += n;
        }

        source!.DecRef();
        target?.DecRef();
        return error;
    }

    private static Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        path.IncRef();
        Errno error = path.Dentry.Inode!.Open(caller, path, flags, out file);
        if (error != Errno.None)
        {
            path.DecRef();
        }

        return error;
    }

    private sealed class Names : IDirectorySink
    {
        public List<byte[]> All { get; } = [];

        /// <summary>Entries so far, "." and ".." among them.</summary>
        public int Seen { get; private set; }

        public bool Add(ReadOnlySpan<byte> name, ulong inode, byte type, long next)
        {
            Seen++;
            if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
            {
                All.Add(name.ToArray());
            }

            return true;
        }
    }
}
