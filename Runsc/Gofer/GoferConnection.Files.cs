using System;
using System.Buffers.Binary;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;

namespace Runsc.Gofer;

/// <content>Looking at files: walk, attributes, links, listing, opening, reading and writing.</content>
internal sealed partial class GoferConnection
{
    private readonly byte[] _entries = new byte[32 << 10];

    /// <summary>Opens one component without following it. Descriptor (O_PATH) or −errno.</summary>
    private static int Step(GoferNode directory, ReadOnlySpan<byte> name)
    {
        if (!WireNames.IsComponent(name))
        {
            return -(int)(name.Length > Protocol.MaxName ? Errno.ENAMETOOLONG : Errno.EINVAL);
        }

        if (!directory.IsDirectory)
        {
            return -(int)Errno.ENOTDIR;
        }

        Span<byte> room = stackalloc byte[Protocol.MaxName + 1];
        ReadOnlySpan<byte> path = Terminate(name, room);
        int fd = HostFile.OpenAt2(
            directory.PathFd, path, Fcntl.O_PATH | Fcntl.O_NOFOLLOW, 0, Fcntl.RESOLVE_BENEATH | Fcntl.RESOLVE_NO_SYMLINKS | Fcntl.RESOLVE_NO_MAGICLINKS);

        // Before Linux 5.6. A single component that is not followed cannot leave the directory either.
        return fd == -(int)Errno.ENOSYS ? HostFile.OpenAt(directory.PathFd, path, Fcntl.O_PATH | Fcntl.O_NOFOLLOW) : fd;
    }

    private Errno Walk(ref WireReader reader, ref WireWriter writer) => Walk(ref reader, ref writer, withAttributes: false);

    private Errno WalkGetAttributes(ref WireReader reader, ref WireWriter writer) => Walk(ref reader, ref writer, withAttributes: true);

    private Errno Walk(ref WireReader reader, ref WireWriter writer, bool withAttributes)
    {
        uint fid = reader.UInt32(), newFid = reader.UInt32();
        int count = reader.UInt16();
        WireReader names = reader;
        for (int i = 0; i < count && !reader.Failed; i++)
        {
            reader.String();
        }

        Errno error = Find(reader, fid, out GoferNode start);
        if (error != Errno.None)
        {
            return error;
        }

        if (count > Protocol.MaxWalk)
        {
            return Errno.EINVAL;
        }

        bool binds = newFid != Protocol.NoFid;
        if (binds && newFid != fid && _fids.ContainsKey(newFid))
        {
            return Errno.EBADF;
        }

        int countAt = writer.Length;
        writer.UInt16(0);
        GoferNode? current = null;
        StatBuffer stat;
        if (count == 0)
        {
            int copy = HostFile.Duplicate(start.PathFd);
            if (copy < 0)
            {
                return (Errno)(-copy);
            }

            error = GoferNode.FromPath(copy, out current, out stat);
            if (error != Errno.None)
            {
                return error;
            }

            if (withAttributes)
            {
                WriteAttributes(ref writer, stat);
                writer.PatchUInt16(countAt, 1);
            }
        }

        for (int i = 0; i < count; i++)
        {
            int fd = Step(current ?? start, names.String());
            if (fd < 0)
            {
                error = (Errno)(-fd);
            }
            else
            {
                error = GoferNode.FromPath(fd, out GoferNode? next, out stat);
                if (error == Errno.None)
                {
                    current?.Dispose();
                    current = next;
                    if (withAttributes)
                    {
                        WriteAttributes(ref writer, stat);
                    }
                    else
                    {
                        Qid.Of(stat.Mode, stat.Inode).Write(ref writer);
                    }
                }
            }

            if (error != Errno.None)
            {
                // A walk that begins well tells how far it came, and binds nothing.
                current?.Dispose();
                return i == 0 ? error : Errno.None;
            }

            writer.PatchUInt16(countAt, (ushort)(i + 1));
        }

        if (!binds)
        {
            current!.Dispose();
            return Errno.None;
        }

        if (newFid == fid)
        {
            Unbind(fid);
        }

        return Bind(newFid, current!);
    }

    private Errno GetAttributes(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        reader.UInt64();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error == Errno.None)
        {
            error = Result(HostFile.Stat(node.PathFd, out StatBuffer stat));
            export.Ids?.Show(ref stat);
            WireAttributes.Write(ref writer, stat);
        }

        return error;
    }

    private Errno SetAttributes(ref WireReader reader)
    {
        uint fid = reader.UInt32(), valid = reader.UInt32(), mode = reader.UInt32(), uid = reader.UInt32(), gid = reader.UInt32();
        long size = unchecked((long)reader.UInt64());
        Timespec access = new() { Seconds = unchecked((long)reader.UInt64()), Nanoseconds = unchecked((long)reader.UInt64()) };
        Timespec modify = new() { Seconds = unchecked((long)reader.UInt64()), Nanoseconds = unchecked((long)reader.UInt64()) };
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (export.IsReadOnly)
        {
            return Errno.EROFS;
        }

        Span<byte> room = stackalloc byte[16];
        ReadOnlySpan<byte> self = GoferNode.Name(node.PathFd, room);
        if ((valid & Protocol.SetSize) != 0)
        {
            error = node.IsRegular && size >= 0 ? Truncate(node, size) : node.IsDirectory ? Errno.EISDIR : Errno.EINVAL;
        }

        // chown before chmod: it clears the set-id bits.
        if (error == Errno.None && (valid & (Protocol.SetUid | Protocol.SetGid)) != 0)
        {
            uid = (valid & Protocol.SetUid) != 0 ? uid : uint.MaxValue;
            gid = (valid & Protocol.SetGid) != 0 ? gid : uint.MaxValue;
            error = TakeOwner(node, ref uid, ref gid);
            error = error != Errno.None ? error : Result(HostFile.ChownAt(node.PathFd, "\0"u8, uid, gid, Fcntl.AT_EMPTY_PATH | Fcntl.AT_SYMLINK_NOFOLLOW));
        }

        if (error == Errno.None && (valid & Protocol.SetMode) != 0)
        {
            error = node.IsSymlink ? Errno.EOPNOTSUPP : Result(HostFile.ChmodAt(descriptorDirectory, self, mode & 0xfff));
        }

        if (error == Errno.None && (valid & (Protocol.SetAccessTime | Protocol.SetModifyTime)) != 0)
        {
            access.Nanoseconds = TimeField(valid, Protocol.SetAccessTime, Protocol.SetAccessTimeTo, access.Nanoseconds);
            modify.Nanoseconds = TimeField(valid, Protocol.SetModifyTime, Protocol.SetModifyTimeTo, modify.Nanoseconds);
            error = Result(HostFile.SetTimesAt(descriptorDirectory, self, access, modify, 0));
        }

        return error;
    }

    private static long TimeField(uint valid, uint wanted, uint given, long nanoseconds) =>
        (valid & wanted) == 0 ? Stat.UTIME_OMIT : (valid & given) != 0 ? nanoseconds : Stat.UTIME_NOW;

    private Errno Truncate(GoferNode node, long size)
    {
        int fd = node.Reopen(descriptorDirectory, Fcntl.O_WRONLY);
        if (fd < 0)
        {
            return (Errno)(-fd);
        }

        int result = HostFile.Truncate(fd, size);
        _ = HostFile.Close(fd);
        return Result(result);
    }

    private Errno ReadLink(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (!node.IsSymlink)
        {
            return Errno.EINVAL;
        }

        Span<byte> target = _entries.AsSpan(0, Protocol.MaxLink + 1);
        long length = HostFile.ReadLinkAt(node.PathFd, "\0"u8, target);
        if (length < 0)
        {
            return (Errno)(-length);
        }

        writer.String(target[..(int)length]);
        return Errno.None;
    }

    /// <summary>Whole entries from a position (0 or an entry's offset) that fit the count; none at the end.</summary>
    private Errno ReadDirectory(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        long offset = unchecked((long)reader.UInt64());
        uint count = reader.UInt32();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (!node.IsDirectory)
        {
            return Errno.ENOTDIR;
        }

        if (node.OpenFd < 0)
        {
            int fd = node.Reopen(descriptorDirectory, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
            if (fd < 0)
            {
                return (Errno)(-fd);
            }

            node.SetOpen(fd);
        }

        long position = HostFile.Seek(node.OpenFd, offset, Fcntl.SEEK_SET);
        if (position < 0)
        {
            return (Errno)(-position);
        }

        int countAt = writer.Length;
        writer.UInt32(0);
        int limit = (int)Math.Min(count, (uint)writer.Room), begin = writer.Length;
        bool full = false;
        while (!full)
        {
            long read = HostFile.GetDirectoryEntries(node.OpenFd, _entries);
            if (read < 0)
            {
                // What was found so far is good; the error comes again.
                error = writer.Length == begin ? (Errno)(-read) : Errno.None;
                break;
            }

            ReadOnlySpan<byte> rest = _entries.AsSpan(0, (int)read);
            if (rest.IsEmpty)
            {
                break;
            }

            while (rest.Length > 19)
            {
                ulong inode = BinaryPrimitives.ReadUInt64LittleEndian(rest);
                ulong next = BinaryPrimitives.ReadUInt64LittleEndian(rest[8..]);
                int length = BinaryPrimitives.ReadUInt16LittleEndian(rest[16..]);
                byte type = rest[18];
                ReadOnlySpan<byte> name = rest[19..length];
                name = name[..name.IndexOf((byte)0)];
                rest = rest[length..];
                if (writer.Length - begin + Qid.SizeInBytes + 8 + 1 + 2 + name.Length > limit)
                {
                    full = true;
                    error = writer.Length == begin ? Errno.EINVAL : Errno.None;
                    break;
                }

                Qid.Of((uint)type << 12, inode).Write(ref writer);
                writer.UInt64(next);
                writer.UInt8(type);
                writer.String(name);
            }
        }

        writer.PatchUInt32(countAt, (uint)(writer.Length - begin));
        if (writer.Length == begin)
        {
            // The listing has ended: a directory that stays cached costs one descriptor less.
            node.SetOpen(-1);
        }

        return error;
    }

    private Errno StatFileSystem(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        error = Result(HostFile.FStatfs(node.PathFd, out Statfs statfs));
        writer.UInt32(unchecked((uint)statfs.Type));
        writer.UInt32(unchecked((uint)statfs.BlockSize));
        writer.UInt64(statfs.Blocks);
        writer.UInt64(statfs.BlocksFree);
        writer.UInt64(statfs.BlocksAvailable);
        writer.UInt64(statfs.Files);
        writer.UInt64(statfs.FilesFree);
        writer.UInt64(((ulong)unchecked((uint)statfs.FsId1) << 32) | unchecked((uint)statfs.FsId0));
        writer.UInt32(unchecked((uint)statfs.NameLength));
        return error;
    }

    private Errno Open(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        int flags = unchecked((int)reader.UInt32());
        Errno error = Find(reader, fid, out GoferNode node);
        if (error == Errno.None)
        {
            error = CheckAccess(flags & (Fcntl.O_ACCMODE | Fcntl.O_TRUNC));
        }

        if (error != Errno.None)
        {
            return error;
        }

        error = Result(HostFile.Stat(node.PathFd, out StatBuffer stat));
        if (error != Errno.None)
        {
            return error;
        }

        int fd = node.Reopen(descriptorDirectory, flags & (Fcntl.O_ACCMODE | Fcntl.O_TRUNC | Fcntl.O_APPEND | Fcntl.O_DIRECTORY));
        if (fd < 0)
        {
            return (Errno)(-fd);
        }

        node.SetOpen(fd);
        Qid.Of(stat.Mode, stat.Inode).Write(ref writer);
        writer.UInt32(Protocol.MaxData);
        return Errno.None;
    }

    /// <summary>A mode of access that is one, and is allowed here. EINVAL, EROFS.</summary>
    private Errno CheckAccess(int flags)
    {
        if ((flags & Fcntl.O_ACCMODE) == Fcntl.O_ACCMODE)
        {
            return Errno.EINVAL;
        }

        return export.IsReadOnly && flags != Fcntl.O_RDONLY ? Errno.EROFS : Errno.None;
    }

    private Errno Donate(ref WireReader reader, ref int donated)
    {
        uint fid = reader.UInt32(), access = reader.UInt32();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (access > Fcntl.O_RDWR || !node.IsRegular)
        {
            return Errno.EINVAL;
        }

        error = CheckAccess((int)access);
        if (error != Errno.None)
        {
            return error;
        }

        donated = node.Reopen(descriptorDirectory, (int)access);
        return Result(donated);
    }

    private Errno Read(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        long offset = unchecked((long)reader.UInt64());
        uint count = reader.UInt32();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (node.OpenFd < 0 || !node.IsRegular)
        {
            return Errno.EBADF;
        }

        long read = HostFile.PRead(node.OpenFd, writer.BeginData((int)Math.Min(count, (uint)writer.Room)), offset);
        if (read >= 0)
        {
            writer.EndData((int)read);
        }

        return Result(read);
    }

    private Errno Write(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        long offset = unchecked((long)reader.UInt64());
        ReadOnlySpan<byte> data = reader.Data();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (node.OpenFd < 0 || !node.IsRegular)
        {
            return Errno.EBADF;
        }

        long written = HostFile.PWrite(node.OpenFd, data, offset);
        if (written >= 0)
        {
            writer.UInt32((uint)written);
        }

        return Result(written);
    }

    private Errno Sync(ref WireReader reader)
    {
        uint fid = reader.UInt32(), dataOnly = reader.UInt32();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (node.OpenFd >= 0)
        {
            return Result(HostFile.Sync(node.OpenFd, dataOnly != 0));
        }

        int fd = node.Reopen(descriptorDirectory, Fcntl.O_RDONLY);
        if (fd < 0)
        {
            return (Errno)(-fd);
        }

        int result = HostFile.Sync(fd, dataOnly != 0);
        _ = HostFile.Close(fd);
        return Result(result);
    }
}
