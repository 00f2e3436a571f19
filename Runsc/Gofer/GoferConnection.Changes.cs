using System;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;

namespace Runsc.Gofer;

/// <content>Changing the tree: making, linking, renaming and removing files; extended attributes.</content>
internal sealed partial class GoferConnection
{
    private Errno Make(ref WireReader reader, ref WireWriter writer, ref int donated)
    {
        uint directoryFid = reader.UInt32(), newFid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        uint mode = reader.UInt32(), uid = reader.UInt32(), gid = reader.UInt32();
        ulong device = reader.UInt64();
        ReadOnlySpan<byte> target = reader.String();
        uint access = reader.UInt32();
        Errno error = FindForChange(reader, directoryFid, name, out GoferNode directory);
        if (error != Errno.None)
        {
            return error;
        }

        if (access != Protocol.NoAccess && (access > Fcntl.O_RDWR || (mode & Stat.S_IFMT) != Stat.S_IFREG))
        {
            return Errno.EINVAL;
        }

        if (newFid == Protocol.NoFid || _fids.ContainsKey(newFid))
        {
            return Errno.EBADF;
        }

        error = MakeFile(directory, name, mode, uid, gid, device, target, access, out GoferNode? node, out StatBuffer stat, ref donated);
        if (error == Errno.None)
        {
            error = Bind(newFid, node!);
        }

        if (error == Errno.None)
        {
            WriteAttributes(ref writer, stat);
        }

        return error;
    }

    private Errno MakeDirectory(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        uint mode = reader.UInt32(), gid = reader.UInt32();
        return MakeAndForget(reader, fid, name, (mode & 0xfff) | (uint)Stat.S_IFDIR, gid, 0, default, ref writer);
    }

    private Errno MakeNode(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        uint mode = reader.UInt32(), major = reader.UInt32(), minor = reader.UInt32(), gid = reader.UInt32();
        ulong device = ((ulong)(major & 0xfffff000) << 32) | ((ulong)(major & 0xfff) << 8) | ((ulong)(minor & 0xffffff00) << 12) | (minor & 0xff);
        return MakeAndForget(reader, fid, name, mode, gid, device, default, ref writer);
    }

    private Errno MakeSymlink(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String(), target = reader.String();
        uint gid = reader.UInt32();
        return MakeAndForget(reader, fid, name, (uint)Stat.S_IFLNK | 0x1ff, gid, 0, target, ref writer);
    }

    private Errno MakeAndForget(
        in WireReader reader, uint fid, ReadOnlySpan<byte> name, uint mode, uint gid, ulong device, ReadOnlySpan<byte> target, ref WireWriter writer)
    {
        Errno error = FindForChange(reader, fid, name, out GoferNode directory);
        if (error != Errno.None)
        {
            return error;
        }

        int donated = -1;
        error = MakeFile(directory, name, mode, uint.MaxValue, gid, device, target, Protocol.NoAccess, out GoferNode? node, out StatBuffer stat, ref donated);
        if (error == Errno.None)
        {
            node!.Dispose();
            Qid.Of(stat.Mode, stat.Inode).Write(ref writer);
        }

        return error;
    }

    private Errno CreateAndOpen(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        uint flags = reader.UInt32(), mode = reader.UInt32(), gid = reader.UInt32();
        Errno error = FindForChange(reader, fid, name, out GoferNode directory);
        if (error != Errno.None)
        {
            return error;
        }

        uint access = flags & Fcntl.O_ACCMODE;
        if (access == Fcntl.O_ACCMODE)
        {
            return Errno.EINVAL;
        }

        int opened = -1;
        error = MakeFile(
            directory, name, (mode & 0xfff) | (uint)Stat.S_IFREG, uint.MaxValue, gid, 0, default, access, out GoferNode? node, out StatBuffer stat, ref opened);
        if (error != Errno.None)
        {
            return error;
        }

        // The fid of the directory now stands for the new file.
        node!.SetOpen(opened);
        Unbind(fid);
        error = Bind(fid, node);
        if (error == Errno.None)
        {
            Qid.Of(stat.Mode, stat.Inode).Write(ref writer);
            writer.UInt32(Protocol.MaxData);
        }

        return error;
    }

    /// <summary>
    /// Makes a new file with exactly this mode and owner. A regular file is left open in <paramref name="opened"/> unless access is NoAccess.
    /// What was made is removed when its owner or mode cannot be set.
    /// </summary>
    private Errno MakeFile(
        GoferNode directory, ReadOnlySpan<byte> name, uint mode, uint uid, uint gid, ulong device, ReadOnlySpan<byte> target, uint access,
        out GoferNode? node, out StatBuffer stat, ref int opened)
    {
        node = null;
        stat = default;
        Errno owner = TakeOwner(directory, ref uid, ref gid);
        if (owner != Errno.None)
        {
            return owner;
        }

        uint type = mode & (uint)Stat.S_IFMT;
        Span<byte> room = stackalloc byte[Protocol.MaxName + 1];
        ReadOnlySpan<byte> path = Terminate(name, room);
        int pathFd;

        // Never more than the owner may do until the owner is set.
        uint first = mode & 0x1c0;
        if (type == Stat.S_IFREG)
        {
            int flags = access == Protocol.NoAccess ? Fcntl.O_WRONLY : (int)access;
            int fd = HostFile.OpenAt(directory.PathFd, path, flags | Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW | Fcntl.O_NOCTTY, first);
            if (fd < 0)
            {
                return (Errno)(-fd);
            }

            Span<byte> self = stackalloc byte[16];
            pathFd = HostFile.OpenAt(descriptorDirectory, GoferNode.Name(fd, self), Fcntl.O_PATH);
            if (access == Protocol.NoAccess || pathFd < 0)
            {
                _ = HostFile.Close(fd);
            }
            else
            {
                opened = fd;
            }
        }
        else
        {
            int made;
            switch (type)
            {
                case Stat.S_IFDIR:
                    made = HostFile.MkdirAt(directory.PathFd, path, first);
                    break;
                case Stat.S_IFLNK:
                    if (target.IsEmpty || target.Length > Protocol.MaxLink || target.Contains((byte)0))
                    {
                        return target.Length > Protocol.MaxLink ? Errno.ENAMETOOLONG : Errno.EINVAL;
                    }

                    Span<byte> text = _entries.AsSpan(0, target.Length + 1);
                    target.CopyTo(text);
                    text[^1] = 0;
                    made = HostFile.SymlinkAt(text, directory.PathFd, path);
                    break;
                case Stat.S_IFIFO:
                case Stat.S_IFSOCK:
                case Stat.S_IFCHR:
                case Stat.S_IFBLK:
                    made = HostFile.MknodAt(directory.PathFd, path, type | first, type is Stat.S_IFCHR or Stat.S_IFBLK ? device : 0);
                    break;
                default:
                    return Errno.EINVAL;
            }

            if (made < 0)
            {
                return (Errno)(-made);
            }

            pathFd = Step(directory, name);
        }

        Errno error = pathFd < 0 ? (Errno)(-pathFd) : GoferNode.FromPath(pathFd, out node, out stat);
        if (error == Errno.None)
        {
            error = Adopt(node!, type, mode, uid, gid, ref stat);
        }

        if (error != Errno.None)
        {
            node?.Dispose();
            node = null;
            if (opened >= 0)
            {
                _ = HostFile.Close(opened);
                opened = -1;
            }

            _ = HostFile.UnlinkAt(directory.PathFd, path, type == Stat.S_IFDIR ? Fcntl.AT_REMOVEDIR : 0);
        }

        return error;
    }

    /// <summary>Gives a new file its owner and mode.</summary>
    private Errno Adopt(GoferNode node, uint type, uint mode, uint uid, uint gid, ref StatBuffer stat)
    {
        // Someone else in this directory may have put another file in its place: never change the owner of that.
        if (node.Type != type || (type != Stat.S_IFDIR && stat.Links != 1))
        {
            return Errno.EEXIST;
        }

        bool changed = false;
        Errno error = Errno.None;
        if ((uid != uint.MaxValue && uid != stat.Uid) || (gid != uint.MaxValue && gid != stat.Gid))
        {
            changed = true;
            error = Result(HostFile.ChownAt(node.PathFd, "\0"u8, uid, gid, Fcntl.AT_EMPTY_PATH | Fcntl.AT_SYMLINK_NOFOLLOW));
        }

        if (error == Errno.None && type != Stat.S_IFLNK && (changed || (stat.Mode & 0xfff) != (mode & 0xfff)))
        {
            Span<byte> self = stackalloc byte[16];
            changed = true;
            error = Result(HostFile.ChmodAt(descriptorDirectory, GoferNode.Name(node.PathFd, self), mode & 0xfff));
        }

        return error == Errno.None && changed ? Result(HostFile.Stat(node.PathFd, out stat)) : error;
    }

    private Errno Link(ref WireReader reader)
    {
        uint directoryFid = reader.UInt32(), fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        Errno error = FindForChange(reader, directoryFid, name, out GoferNode directory);
        if (error == Errno.None)
        {
            error = Find(reader, fid, out GoferNode node);
            if (error == Errno.None)
            {
                Span<byte> self = stackalloc byte[16];
                Span<byte> room = stackalloc byte[Protocol.MaxName + 1];
                error = node.IsDirectory
                    ? Errno.EPERM
                    : Result(HostFile.LinkAt(
                        descriptorDirectory, GoferNode.Name(node.PathFd, self), directory.PathFd, Terminate(name, room), Fcntl.AT_SYMLINK_FOLLOW));
            }
        }

        return error;
    }

    private Errno Unlink(ref WireReader reader)
    {
        uint fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        uint flags = reader.UInt32();
        Errno error = FindForChange(reader, fid, name, out GoferNode directory);
        if (error != Errno.None)
        {
            return error;
        }

        if ((flags & ~(uint)Fcntl.AT_REMOVEDIR) != 0)
        {
            return Errno.EINVAL;
        }

        Span<byte> room = stackalloc byte[Protocol.MaxName + 1];
        return Result(HostFile.UnlinkAt(directory.PathFd, Terminate(name, room), (int)flags));
    }

    private Errno Rename(ref WireReader reader, bool hasFlags)
    {
        uint oldFid = reader.UInt32();
        ReadOnlySpan<byte> oldName = reader.String();
        uint newFid = reader.UInt32();
        ReadOnlySpan<byte> newName = reader.String();
        uint flags = hasFlags ? reader.UInt32() : 0;
        Errno error = FindForChange(reader, oldFid, oldName, out GoferNode oldDirectory);
        if (error != Errno.None)
        {
            return error;
        }

        error = FindForChange(reader, newFid, newName, out GoferNode newDirectory);
        if (error != Errno.None)
        {
            return error;
        }

        if ((flags & ~(uint)(Fcntl.RENAME_NOREPLACE | Fcntl.RENAME_EXCHANGE)) != 0)
        {
            return Errno.EINVAL;
        }

        Span<byte> oldRoom = stackalloc byte[Protocol.MaxName + 1];
        Span<byte> newRoom = stackalloc byte[Protocol.MaxName + 1];
        return Result(HostFile.RenameAt(oldDirectory.PathFd, Terminate(oldName, oldRoom), newDirectory.PathFd, Terminate(newName, newRoom), flags));
    }

    private Errno GetXattr(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        uint size = reader.UInt32();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (!IsXattrName(name))
        {
            return Errno.EOPNOTSUPP;
        }

        int fd = OpenForXattr(node);
        if (fd < 0)
        {
            return fd == -(int)Errno.EOPNOTSUPP ? Errno.ENODATA : (Errno)(-fd);
        }

        Span<byte> room = stackalloc byte[Protocol.MaxName + 1];
        writer.UInt32(0);
        Span<byte> value = size == 0 ? default : writer.BeginData((int)Math.Min(size, Protocol.MaxXattrValue));
        long length = HostXattr.Get(fd, Terminate(name, room), value);
        _ = HostFile.Close(fd);
        return FinishXattr(ref writer, length, value.Length);
    }

    private Errno ListXattr(ref WireReader reader, ref WireWriter writer)
    {
        uint fid = reader.UInt32(), size = reader.UInt32();
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        writer.UInt32(0);
        int fd = OpenForXattr(node);
        if (fd < 0)
        {
            return fd == -(int)Errno.EOPNOTSUPP ? FinishXattr(ref writer, 0, 0) : (Errno)(-fd);
        }

        Span<byte> names = size == 0 ? default : writer.BeginData((int)Math.Min(size, Protocol.MaxXattrValue));
        long length = HostXattr.List(fd, names);
        _ = HostFile.Close(fd);
        return FinishXattr(ref writer, length, names.Length);
    }

    private static Errno FinishXattr(ref WireWriter writer, long length, int room)
    {
        if (length < 0)
        {
            return (Errno)(-length);
        }

        writer.PatchUInt32(writer.Length - sizeof(uint), (uint)length);
        writer.EndData(room == 0 ? 0 : (int)length);
        return Errno.None;
    }

    private Errno SetXattr(ref WireReader reader)
    {
        uint fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        uint flags = reader.UInt32();
        ReadOnlySpan<byte> value = reader.Data();
        Errno error = FindForXattrChange(reader, fid, name, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        Span<byte> room = stackalloc byte[Protocol.MaxName + 1];
        int result = flags > Misc.XATTR_REPLACE ? -(int)Errno.EINVAL : HostXattr.Set(fd, Terminate(name, room), value, (int)flags);
        _ = HostFile.Close(fd);
        return Result(result);
    }

    private Errno RemoveXattr(ref WireReader reader)
    {
        uint fid = reader.UInt32();
        ReadOnlySpan<byte> name = reader.String();
        Errno error = FindForXattrChange(reader, fid, name, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        Span<byte> room = stackalloc byte[Protocol.MaxName + 1];
        int result = HostXattr.Remove(fd, Terminate(name, room));
        _ = HostFile.Close(fd);
        return Result(result);
    }

    private Errno FindForXattrChange(in WireReader reader, uint fid, ReadOnlySpan<byte> name, out int fd)
    {
        fd = -1;
        Errno error = Find(reader, fid, out GoferNode node);
        if (error != Errno.None)
        {
            return error;
        }

        if (export.IsReadOnly)
        {
            return Errno.EROFS;
        }

        if (!IsXattrName(name))
        {
            return Errno.EOPNOTSUPP;
        }

        fd = OpenForXattr(node);
        return Result(fd);
    }

    private int OpenForXattr(GoferNode node) => node.Reopen(descriptorDirectory, Fcntl.O_RDONLY | Fcntl.O_NONBLOCK);

    /// <summary>Names that mean nothing to the host itself, and file capabilities. Access lists and labels of the host are not the container's to change.</summary>
    private static bool IsXattrName(ReadOnlySpan<byte> name) =>
        name.Length is > 5 and <= Protocol.MaxName && !name.Contains((byte)0)
        && (name.StartsWith("user."u8) || name.StartsWith("trusted."u8) || name.SequenceEqual("security.capability"u8));
}
