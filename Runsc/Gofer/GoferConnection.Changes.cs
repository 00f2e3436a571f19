using System;
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;

namespace Runsc.Gofer;

/// <summary>Requests that change the tree, and those that read directories, links and extended attributes.</summary>
internal sealed partial class GoferConnection
{
    private readonly byte[] _directoryBuffer = new byte[32 << 10];

    private Errno SetAttributes(ref MessageReader reader)
    {
        uint fid = reader.UInt(), valid = reader.UInt(), mode = reader.UInt(), uid = reader.UInt(), gid = reader.UInt();
        long size = unchecked((long)reader.ULong());
        WireTime access = WireTime.Read(ref reader), modify = WireTime.Read(ref reader);
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        Errno error = Find(fid, out int fd);
        if (error != Errno.None || tree.ReadOnly)
        {
            return tree.ReadOnly ? Errno.EROFS : error;
        }

        int result = 0;
        if ((valid & SetAttributeBits.Size) != 0)
        {
            int file = Reopen(fd, Fcntl.O_WRONLY);
            result = file < 0 ? file : HostFile.Truncate(file, size);
            if (file >= 0)
            {
                HostFile.Close(file);
            }
        }

        if (result >= 0 && (valid & (SetAttributeBits.Uid | SetAttributeBits.Gid)) != 0)
        {
            result = HostFile.ChownAt(
                fd, "\0"u8, (valid & SetAttributeBits.Uid) != 0 ? uid : uint.MaxValue, (valid & SetAttributeBits.Gid) != 0 ? gid : uint.MaxValue, Fcntl.AT_EMPTY_PATH);
        }

        // After chown, which takes set-id bits away.
        if (result >= 0 && (valid & SetAttributeBits.Mode) != 0)
        {
            Span<byte> name = stackalloc byte[16];
            fd.TryFormat(name, out int length);
            name[length] = 0;
            result = HostFile.ChmodAt(descriptors, name[..(length + 1)], mode & 0xfff);
        }

        if (result >= 0 && (valid & (SetAttributeBits.AccessTime | SetAttributeBits.ModifyTime)) != 0)
        {
            Timespec accessTime = ToTimespec(valid, SetAttributeBits.AccessTime, SetAttributeBits.AccessTimeNow, access);
            Timespec modifyTime = ToTimespec(valid, SetAttributeBits.ModifyTime, SetAttributeBits.ModifyTimeNow, modify);
            result = HostFile.SetTimesAt(fd, "\0"u8, accessTime, modifyTime, Fcntl.AT_EMPTY_PATH);
        }

        return result < 0 ? (Errno)(-result) : Errno.None;
    }

    private static Timespec ToTimespec(uint valid, uint bit, uint now, WireTime time)
    {
        const long UTIME_NOW = 0x3fffffff, UTIME_OMIT = 0x3ffffffe;
        return (valid & bit) == 0 ? new Timespec { Nanoseconds = UTIME_OMIT }
            : (valid & now) != 0 ? new Timespec { Nanoseconds = UTIME_NOW }
            : new Timespec { Seconds = time.Seconds, Nanoseconds = Math.Clamp(time.Nanoseconds, 0, 999_999_999) };
    }

    /// <summary>What all makers begin with: the directory, and a checked name.</summary>
    private Errno BeginMake(uint fid, ReadOnlySpan<byte> name, bool complete, Span<byte> buffer, out int directory, out ReadOnlySpan<byte> path)
    {
        directory = -1;
        path = default;
        if (!complete)
        {
            return Errno.EPROTO;
        }

        if (tree.ReadOnly)
        {
            return Errno.EROFS;
        }

        Errno error = Find(fid, out directory);
        return error != Errno.None ? error : CheckName(name, buffer, out path);
    }

    /// <summary>What all makers end with: the owner, then the new fid with its attributes.</summary>
    private Errno EndMake(int directory, scoped ReadOnlySpan<byte> path, uint newFid, uint uid, uint gid, uint? mode, ref MessageWriter writer)
    {
        int result = HostFile.ChownAt(directory, path, uid, gid, Fcntl.AT_SYMLINK_NOFOLLOW);
        if (result >= 0 && mode is uint bits && (bits & 0xe00) != 0)
        {
            // Set-id and sticky bits, which mkdir and chown drop.
            result = HostFile.ChmodAt(directory, path, bits & 0xfff);
        }

        Errno error = result < 0 ? (Errno)(-result) : WalkTo(directory, path, newFid, ref writer);
        return error;
    }

    private Errno Create(ref MessageReader reader, ref MessageWriter writer)
    {
        Span<byte> buffer = stackalloc byte[Message.MaxName + 1];
        uint fid = reader.UInt(), newFid = reader.UInt();
        ReadOnlySpan<byte> name = reader.String(Message.MaxName);
        uint flags = reader.UInt(), mode = reader.UInt(), uid = reader.UInt(), gid = reader.UInt();
        Errno error = BeginMake(fid, name, reader.IsComplete, buffer, out int directory, out ReadOnlySpan<byte> path);
        if (error != Errno.None)
        {
            return error;
        }

        const int known = Fcntl.O_ACCMODE;
        int fd = HostFile.OpenAt(
            directory, path, (unchecked((int)flags) & known) | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW | Fcntl.O_CLOEXEC, mode & 0xfff);
        if (fd < 0)
        {
            return (Errno)(-fd);
        }

        error = EndMake(directory, path, newFid, uid, gid, mode, ref writer);
        if (error != Errno.None)
        {
            HostFile.Close(fd);
            return error;
        }

        _donated = fd;
        return Errno.None;
    }

    private Errno MakeDirectory(ref MessageReader reader, ref MessageWriter writer)
    {
        Span<byte> buffer = stackalloc byte[Message.MaxName + 1];
        uint fid = reader.UInt(), newFid = reader.UInt();
        ReadOnlySpan<byte> name = reader.String(Message.MaxName);
        uint mode = reader.UInt(), uid = reader.UInt(), gid = reader.UInt();
        Errno error = BeginMake(fid, name, reader.IsComplete, buffer, out int directory, out ReadOnlySpan<byte> path);
        if (error != Errno.None)
        {
            return error;
        }

        int result = HostFile.MkdirAt(directory, path, mode & 0xfff);
        return result < 0 ? (Errno)(-result) : EndMake(directory, path, newFid, uid, gid, mode, ref writer);
    }

    private Errno MakeNode(ref MessageReader reader, ref MessageWriter writer)
    {
        Span<byte> buffer = stackalloc byte[Message.MaxName + 1];
        uint fid = reader.UInt(), newFid = reader.UInt();
        ReadOnlySpan<byte> name = reader.String(Message.MaxName);
        uint mode = reader.UInt();
        _ = reader.ULong();
        uint uid = reader.UInt(), gid = reader.UInt();
        Errno error = BeginMake(fid, name, reader.IsComplete, buffer, out int directory, out ReadOnlySpan<byte> path);
        if (error != Errno.None)
        {
            return error;
        }

        // FIFOs and sockets are names for the container's own; device nodes are not made on the host.
        if ((mode & (uint)Stat.S_IFMT) is not ((uint)Stat.S_IFIFO or (uint)Stat.S_IFSOCK or (uint)Stat.S_IFREG))
        {
            return Errno.EPERM;
        }

        int result = HostFile.MknodAt(directory, path, mode & 0xffff, 0);
        return result < 0 ? (Errno)(-result) : EndMake(directory, path, newFid, uid, gid, mode, ref writer);
    }

    private Errno MakeSymlink(ref MessageReader reader, ref MessageWriter writer)
    {
        Span<byte> buffer = stackalloc byte[Message.MaxName + 1];
        uint fid = reader.UInt(), newFid = reader.UInt();
        ReadOnlySpan<byte> name = reader.String(Message.MaxName), target = reader.String(Message.MaxString - 1);
        uint uid = reader.UInt(), gid = reader.UInt();
        Errno error = BeginMake(fid, name, reader.IsComplete, buffer, out int directory, out ReadOnlySpan<byte> path);
        if (error != Errno.None || target.IsEmpty || target.Contains((byte)0))
        {
            return error != Errno.None ? error : Errno.EINVAL;
        }

        byte[] terminated = [.. target, 0];
        int result = HostFile.SymlinkAt(terminated, directory, path);
        return result < 0 ? (Errno)(-result) : EndMake(directory, path, newFid, uid, gid, null, ref writer);
    }

    private Errno Link(ref MessageReader reader)
    {
        Span<byte> buffer = stackalloc byte[Message.MaxName + 1];
        uint directoryFid = reader.UInt(), fid = reader.UInt();
        ReadOnlySpan<byte> name = reader.String(Message.MaxName);
        Errno error = BeginMake(directoryFid, name, reader.IsComplete, buffer, out int directory, out ReadOnlySpan<byte> path);
        if (error == Errno.None)
        {
            error = Find(fid, out int fd);
            if (error == Errno.None)
            {
                Span<byte> own = stackalloc byte[16];
                fd.TryFormat(own, out int length);
                own[length] = 0;
                int result = HostFile.LinkAt(descriptors, own[..(length + 1)], directory, path, Fcntl.AT_SYMLINK_FOLLOW);
                error = result < 0 ? (Errno)(-result) : Errno.None;
            }
        }

        return error;
    }

    private Errno Unlink(ref MessageReader reader)
    {
        Span<byte> buffer = stackalloc byte[Message.MaxName + 1];
        uint fid = reader.UInt();
        ReadOnlySpan<byte> name = reader.String(Message.MaxName);
        uint flags = reader.UInt();
        Errno error = BeginMake(fid, name, reader.IsComplete, buffer, out int directory, out ReadOnlySpan<byte> path);
        if (error != Errno.None)
        {
            return error;
        }

        int result = HostFile.UnlinkAt(directory, path, (int)(flags & Fcntl.AT_REMOVEDIR));
        return result < 0 ? (Errno)(-result) : Errno.None;
    }

    private Errno Rename(ref MessageReader reader)
    {
        Span<byte> buffer = stackalloc byte[Message.MaxName + 1], newBuffer = stackalloc byte[Message.MaxName + 1];
        uint fid = reader.UInt();
        ReadOnlySpan<byte> name = reader.String(Message.MaxName);
        uint newFid = reader.UInt();
        ReadOnlySpan<byte> newName = reader.String(Message.MaxName);
        uint flags = reader.UInt();
        Errno error = BeginMake(fid, name, reader.IsComplete, buffer, out int directory, out ReadOnlySpan<byte> path);
        if (error != Errno.None)
        {
            return error;
        }

        error = BeginMake(newFid, newName, true, newBuffer, out int newDirectory, out ReadOnlySpan<byte> newPath);
        if (error != Errno.None)
        {
            return error;
        }

        int result = HostFile.RenameAt(directory, path, newDirectory, newPath, flags & (Fcntl.RENAME_NOREPLACE | Fcntl.RENAME_EXCHANGE));
        return result < 0 ? (Errno)(-result) : Errno.None;
    }

    private Errno ReadLink(ref MessageReader reader, ref MessageWriter writer)
    {
        uint fid = reader.UInt();
        Errno error = reader.IsComplete ? Find(fid, out int fd) : Fail(out fd);
        if (error != Errno.None)
        {
            return error;
        }

        Span<byte> target = stackalloc byte[Message.MaxString];
        long n = HostFile.ReadLinkAt(fd, "\0"u8, target);
        if (n < 0)
        {
            return (Errno)(-n);
        }

        writer.String(target[..(int)n]);
        return Errno.None;

        static Errno Fail(out int fd)
        {
            fd = -1;
            return Errno.EPROTO;
        }
    }

    private Errno ReadDirectory(ref MessageReader reader, ref MessageWriter writer)
    {
        uint fid = reader.UInt();
        long offset = unchecked((long)reader.ULong());
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        Errno error = Find(fid, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        int directory = Reopen(fd, Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        if (directory < 0)
        {
            return (Errno)(-directory);
        }

        long n = offset == 0 ? 0 : HostFile.Seek(directory, offset, Fcntl.SEEK_SET);
        int place = writer.Reserve();
        uint count = 0;
        while (n >= 0 && writer.Room > _directoryBuffer.Length * 2)
        {
            n = HostFile.GetDirectoryEntries(directory, _directoryBuffer);
            if (n <= 0)
            {
                break;
            }

            ReadOnlySpan<byte> rest = _directoryBuffer.AsSpan(0, (int)n);
            while (!rest.IsEmpty)
            {
                int length = BinaryPrimitives.ReadUInt16LittleEndian(rest[16..]);
                ReadOnlySpan<byte> name = rest[19..length];
                name = name[..name.IndexOf((byte)0)];
                if (!name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8))
                {
                    writer.ULong(BinaryPrimitives.ReadUInt64LittleEndian(rest));
                    writer.ULong(BinaryPrimitives.ReadUInt64LittleEndian(rest[8..]));
                    writer.Byte(rest[18]);
                    writer.String(name);
                    count++;
                }

                rest = rest[length..];
            }
        }

        HostFile.Close(directory);
        writer.Patch(place, count);
        return n < 0 ? (Errno)(-n) : Errno.None;
    }

    private Errno Sync(ref MessageReader reader)
    {
        uint fid = reader.UInt();
        bool dataOnly = reader.UInt() != 0;
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        Errno error = Find(fid, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        int file = Reopen(fd, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK);
        if (file < 0)
        {
            return (Errno)(-file);
        }

        int result = HostFile.Sync(file, dataOnly);
        HostFile.Close(file);
        return result < 0 ? (Errno)(-result) : Errno.None;
    }

    private Errno StatFs(ref MessageReader reader, ref MessageWriter writer)
    {
        uint fid = reader.UInt();
        if (!reader.IsComplete)
        {
            return Errno.EPROTO;
        }

        Errno error = Find(fid, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        int result = HostFile.FStatfs(fd, out Statfs statfs);
        if (result < 0)
        {
            return (Errno)(-result);
        }

        writer.Bytes(MemoryMarshal.AsBytes(new ReadOnlySpan<Statfs>(in statfs)));
        return Errno.None;
    }

    private Errno XattrFile(uint fid, bool complete, bool write, out int fd)
    {
        fd = -1;
        if (!complete)
        {
            return Errno.EPROTO;
        }

        if (write && tree.ReadOnly)
        {
            return Errno.EROFS;
        }

        Errno error = Find(fid, out int held);
        if (error != Errno.None)
        {
            return error;
        }

        // fgetxattr and the like do not take O_PATH descriptors; others than files and directories have no users' attributes.
        fd = Reopen(held, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK | Fcntl.O_NOFOLLOW);
        return fd < 0 ? (fd == -(int)Errno.ELOOP || fd == -(int)Errno.ENXIO ? Errno.EOPNOTSUPP : (Errno)(-fd)) : Errno.None;
    }

    private Errno GetXattr(ref MessageReader reader, ref MessageWriter writer)
    {
        uint fid = reader.UInt(), size = reader.UInt();
        byte[] name = [.. reader.String(Message.MaxName), 0];
        Errno error = XattrFile(fid, reader.IsComplete && IsContainersOwn(name), write: false, out int fd);
        if (error != Errno.None)
        {
            return error == Errno.EPROTO ? Errno.EOPNOTSUPP : error;
        }

        byte[] value = new byte[Math.Min(size, Message.MaxXattr)];
        long n = HostXattr.Get(fd, name, value);
        HostFile.Close(fd);
        return Answer(n, value, ref writer);
    }

    private static Errno Answer(long n, byte[] value, ref MessageWriter writer)
    {
        if (n < 0)
        {
            return (Errno)(-n);
        }

        writer.UInt((uint)n);
        writer.Bytes(value.AsSpan(0, (int)Math.Min(n, value.Length)));
        return Errno.None;
    }

    /// <summary>Only users' attributes and file capabilities pass: the rest belongs to the host.</summary>
    private static bool IsContainersOwn(ReadOnlySpan<byte> name) => name.StartsWith("user."u8) || name.SequenceEqual("security.capability\0"u8);

    private Errno SetXattr(ref MessageReader reader)
    {
        uint fid = reader.UInt(), flags = reader.UInt();
        byte[] name = [.. reader.String(Message.MaxName), 0];
        ReadOnlySpan<byte> value = reader.Blob(Message.MaxXattr);
        if (!IsContainersOwn(name))
        {
            return Errno.EOPNOTSUPP;
        }

        Errno error = XattrFile(fid, reader.IsComplete, write: true, out int fd);
        if (error == Errno.None)
        {
            int result = HostXattr.Set(fd, name, value, (int)(flags & 3));
            HostFile.Close(fd);
            error = result < 0 ? (Errno)(-result) : Errno.None;
        }

        return error;
    }

    private Errno ListXattr(ref MessageReader reader, ref MessageWriter writer)
    {
        uint fid = reader.UInt(), size = reader.UInt();
        Errno error = XattrFile(fid, reader.IsComplete, write: false, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        byte[] all = new byte[Message.MaxXattr];
        long n = HostXattr.List(fd, all);
        HostFile.Close(fd);
        if (n < 0)
        {
            return (Errno)(-n);
        }

        byte[] kept = new byte[n];
        int length = 0;
        ReadOnlySpan<byte> rest = all.AsSpan(0, (int)n);
        while (!rest.IsEmpty)
        {
            int end = rest.IndexOf((byte)0) + 1;
            end = end <= 0 ? rest.Length : end;
            if (IsContainersOwn(rest[..end]))
            {
                rest[..end].CopyTo(kept.AsSpan(length));
                length += end;
            }

            rest = rest[end..];
        }

        return size != 0 && length > size ? Errno.ERANGE : Answer(length, size == 0 ? [] : kept, ref writer);
    }

    private Errno RemoveXattr(ref MessageReader reader)
    {
        uint fid = reader.UInt();
        byte[] name = [.. reader.String(Message.MaxName), 0];
        if (!IsContainersOwn(name))
        {
            return Errno.EOPNOTSUPP;
        }

        Errno error = XattrFile(fid, reader.IsComplete, write: true, out int fd);
        if (error == Errno.None)
        {
            int result = HostXattr.Remove(fd, name);
            HostFile.Close(fd);
            error = result < 0 ? (Errno)(-result) : Errno.None;
        }

        return error;
    }
}
