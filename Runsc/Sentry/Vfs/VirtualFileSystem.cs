using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Vfs;

/// <summary>Operations on paths: resolution, permission checks, the dentry cache, then the inode's operation. Paths begin at <c>start</c> when relative.</summary>
/// <remarks>Lock order: rename lock, then directory locks (parent before child, else by the tree), then what inodes lock.</remarks>
internal sealed class VirtualFileSystem(SpecialFiles special)
{
    private const uint PermissionBits = 0xfff;

    // Flags of open(2) that file systems need not see.
    private const int OpenOnlyFlags = Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOFOLLOW | Fcntl.O_TRUNC;

    // Held by renames between directories, so that the tree does not change shape under them.
    private readonly Lock _renameLock = new();

    public SpecialFiles Special { get; } = special;

    /// <summary>openat2(2). The description has one reference. flags are O_*; mode counts with O_CREAT and O_TMPFILE.</summary>
    public Errno Open(ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, int flags, uint mode, WalkFlags resolve, out FileDescription? file)
    {
        file = null;
        if ((flags & Fcntl.O_PATH) != 0)
        {
            flags &= Fcntl.O_PATH | Fcntl.O_DIRECTORY | Fcntl.O_NOFOLLOW | Fcntl.O_CLOEXEC;
        }

        if ((flags & Fcntl.O_DIRECTORY) != 0)
        {
            resolve |= WalkFlags.Directory;
        }

        if ((flags & Fcntl.O_NOFOLLOW) == 0)
        {
            resolve |= WalkFlags.FollowLast;
        }

        VfsPath place;
        Errno error;
        if ((flags & Fcntl.O_TMPFILE) == Fcntl.O_TMPFILE)
        {
            return NamelessFiles.Open(this, caller, start, path, flags, mode & PermissionBits, resolve | WalkFlags.Directory, out file);
        }

        bool created = false;
        if ((flags & Fcntl.O_CREAT) != 0)
        {
            if ((flags & Fcntl.O_DIRECTORY) != 0)
            {
                return Errno.EINVAL;
            }

            error = OpenOrCreate(caller, start, path, flags, mode, resolve, out place, out created);
        }
        else
        {
            error = PathWalker.Resolve(caller, start, path, resolve, out place);
        }

        if (error != Errno.None)
        {
            return error;
        }

        error = OpenAt(caller, place, flags, created, out file);
        if (error != Errno.None)
        {
            place.DecRef();
        }

        return error;
    }

    /// <summary>Opens a file that was resolved; on success the references of <paramref name="place"/> pass to the description.</summary>
    public Errno OpenAt(ICaller caller, in VfsPath place, int flags, bool created, out FileDescription? file)
    {
        file = null;
        Inode inode = place.Dentry.Inode!;
        if ((flags & Fcntl.O_PATH) != 0)
        {
            file = new PathDescription(place, flags);
            return Errno.None;
        }

        if (inode.IsSymlink)
        {
            return Errno.ELOOP;
        }

        int access = flags & Fcntl.O_ACCMODE;
        bool write = access is Fcntl.O_WRONLY or Fcntl.O_RDWR || (flags & Fcntl.O_TRUNC) != 0;
        if (inode.IsDirectory && (write || (flags & Fcntl.O_CREAT) != 0))
        {
            return Errno.EISDIR;
        }

        bool special = !inode.IsDirectory && !inode.IsRegular;
        if (special && inode.FileType is Stat.S_IFCHR or Stat.S_IFBLK && !place.Mount.AllowsDevices)
        {
            return Errno.EACCES;
        }

        if (!created)
        {
            int mask = access switch
            {
                Fcntl.O_RDONLY => Permissions.Read,
                Fcntl.O_WRONLY => Permissions.Write,
                _ => Permissions.Read | Permissions.Write,
            };
            if ((flags & Fcntl.O_TRUNC) != 0)
            {
                mask |= Permissions.Write;
            }

            Errno denied = inode.CheckPermission(caller, mask);
            if (denied != Errno.None)
            {
                return denied;
            }

            if (write && !special && place.Mount.IsReadOnly)
            {
                return Errno.EROFS;
            }

            if ((flags & Fcntl.O_NOATIME) != 0)
            {
                Errno attributesError = inode.GetAttributes(out FileAttributes attributes);
                if (attributesError != Errno.None || !Permissions.IsOwner(caller.Credentials, attributes))
                {
                    return attributesError != Errno.None ? attributesError : Errno.EPERM;
                }
            }
        }

        if (special && !inode.OpensItself)
        {
            return Opened(Special.Open(caller, place, flags, out file), place);
        }

        if (!inode.IsRegular || !write)
        {
            return Opened(inode.Open(caller, place, flags & ~OpenOnlyFlags, out file), place);
        }

        if (!inode.TryBeginWriting())
        {
            return Errno.ETXTBSY;
        }

        Errno error = Errno.None;
        if ((flags & Fcntl.O_TRUNC) != 0 && !created)
        {
            error = inode.SetAttributes(new AttributeChange { Mask = AttributeMask.Size });
            if (error == Errno.None)
            {
                FileEvents.Raise(place.Dentry, Inotify.IN_MODIFY);
            }
        }

        error = error == Errno.None ? Opened(inode.Open(caller, place, flags & ~OpenOnlyFlags, out file), place) : error;
        if (error == Errno.None)
        {
            file!.Use = FileUse.Write;
        }
        else
        {
            inode.EndWriting();
        }

        return error;
    }

    private static Errno Opened(Errno error, in VfsPath place)
    {
        if (error == Errno.None)
        {
            FileEvents.Raise(place.Dentry, Inotify.IN_OPEN);
        }

        return error;
    }

    /// <summary>mkdir, mknod and the bind of a Unix socket: makes a file of the type in <paramref name="mode"/>. <paramref name="made"/> gets a reference.</summary>
    public static Errno Create(ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, uint mode, ulong device, out VfsPath made)
    {
        made = default;
        Errno error = PathWalker.ResolveParent(caller, start, path, WalkFlags.FollowLast, out VfsPath parent, out ReadOnlySpan<byte> name, out bool trailing);
        if (error != Errno.None)
        {
            return error;
        }

        error = CheckNewName(name, trailing && (mode & Stat.S_IFMT) != Stat.S_IFDIR, Errno.EEXIST);
        if (error == Errno.None)
        {
            error = CreateChild(caller, parent, name, mode, device, default, exclusive: true, out Dentry? child);
            if (error == Errno.None)
            {
                parent.Mount.IncRef();
                made = new VfsPath(parent.Mount, child!);
            }
        }

        parent.DecRef();
        return error;
    }

    public static Errno Symlink(ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, ReadOnlySpan<byte> target)
    {
        if (target.IsEmpty)
        {
            return Errno.ENOENT;
        }

        Errno error = PathWalker.ResolveParent(caller, start, path, WalkFlags.FollowLast, out VfsPath parent, out ReadOnlySpan<byte> name, out bool trailing);
        if (error != Errno.None)
        {
            return error;
        }

        error = CheckNewName(name, trailing, Errno.EEXIST);
        if (error == Errno.None)
        {
            error = CreateChild(caller, parent, name, (uint)Stat.S_IFLNK | 0x1ff, 0, target, exclusive: true, out Dentry? child);
            child?.DecRef();
        }

        parent.DecRef();
        return error;
    }

    /// <summary>link(2): another name for <paramref name="target"/>.</summary>
    public static Errno Link(ICaller caller, in VfsPath target, in VfsPath start, ReadOnlySpan<byte> path)
    {
        Errno error = PathWalker.ResolveParent(caller, start, path, WalkFlags.FollowLast, out VfsPath parent, out ReadOnlySpan<byte> name, out bool trailing);
        if (error != Errno.None)
        {
            return error;
        }

        error = CheckNewName(name, trailing, Errno.EEXIST);
        Inode inode = target.Dentry.Inode!;
        if (error == Errno.None)
        {
            error = parent.Mount != target.Mount ? Errno.EXDEV : inode.IsDirectory ? Errno.EPERM : CheckDirectoryWrite(caller, parent);
        }

        if (error == Errno.None)
        {
            lock (parent.Dentry.DirectoryLock)
            {
                error = PathWalker.LookupChildLocked(parent.Dentry, name, out Dentry? child);
                if (error == Errno.None)
                {
                    error = !child!.IsNegative ? Errno.EEXIST : NamelessFiles.CheckLink(inode);
                    error = error == Errno.None ? parent.Dentry.Inode!.Link(name, inode) : error;
                    if (error == Errno.None)
                    {
                        inode.MayGetFirstName = false;
                        inode.IncRef();
                        child.InstantiateLocked(inode);
                        FileEvents.RaiseSelf(inode, Inotify.IN_ATTRIB);
                        FileEvents.RaiseName(parent.Dentry, name, inode, Inotify.IN_CREATE);
                    }

                    child.DecRef();
                }
            }
        }

        parent.DecRef();
        return error;
    }

    /// <summary>unlink(2), or rmdir(2) with <paramref name="directory"/>.</summary>
    public static Errno Remove(ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, bool directory)
    {
        Errno error = PathWalker.ResolveParent(caller, start, path, WalkFlags.FollowLast, out VfsPath parent, out ReadOnlySpan<byte> name, out bool trailing);
        if (error != Errno.None)
        {
            return error;
        }

        if (name.IsEmpty)
        {
            error = directory ? Errno.EBUSY : Errno.EISDIR;
        }
        else if (name.SequenceEqual("."u8))
        {
            error = directory ? Errno.EINVAL : Errno.EISDIR;
        }
        else if (name.SequenceEqual(".."u8))
        {
            error = directory ? Errno.ENOTEMPTY : Errno.EISDIR;
        }
        else
        {
            error = RemoveChild(caller, parent, name, directory, trailing);
        }

        parent.DecRef();
        return error;
    }

    /// <summary>renameat2(2) with RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT.</summary>
    public Errno Rename(ICaller caller, in VfsPath oldStart, ReadOnlySpan<byte> oldPath, in VfsPath newStart, ReadOnlySpan<byte> newPath, uint flags)
    {
        Errno error = PathWalker.ResolveParent(caller, oldStart, oldPath, WalkFlags.FollowLast, out VfsPath oldParent, out ReadOnlySpan<byte> oldName, out bool oldTrailing);
        if (error != Errno.None)
        {
            return error;
        }

        error = PathWalker.ResolveParent(caller, newStart, newPath, WalkFlags.FollowLast, out VfsPath newParent, out ReadOnlySpan<byte> newName, out bool newTrailing);
        if (error != Errno.None)
        {
            oldParent.DecRef();
            return error;
        }

        if (oldParent.Mount != newParent.Mount)
        {
            error = Errno.EXDEV;
        }
        else if (IsDotOrEmpty(oldName) || IsDotOrEmpty(newName))
        {
            error = Errno.EBUSY;
        }
        else
        {
            error = CheckDirectoryWrite(caller, oldParent);
            error = error == Errno.None ? CheckDirectoryWrite(caller, newParent) : error;
        }

        if (error == Errno.None)
        {
            if (oldParent.Dentry == newParent.Dentry)
            {
                lock (oldParent.Dentry.DirectoryLock)
                {
                    error = RenameLocked(caller, oldParent.Dentry, oldName, newParent.Dentry, newName, flags, oldTrailing, newTrailing);
                }
            }
            else
            {
                lock (_renameLock)
                {
                    // Ancestor first; unrelated directories in any fixed order, since renames are one at a time.
                    bool newIsAbove = IsAncestor(newParent.Dentry, oldParent.Dentry);
                    Dentry first = newIsAbove ? newParent.Dentry : oldParent.Dentry, second = newIsAbove ? oldParent.Dentry : newParent.Dentry;
                    lock (first.DirectoryLock)
                    {
                        lock (second.DirectoryLock)
                        {
                            error = RenameLocked(caller, oldParent.Dentry, oldName, newParent.Dentry, newName, flags, oldTrailing, newTrailing);
                        }
                    }
                }
            }
        }

        oldParent.DecRef();
        newParent.DecRef();
        return error;
    }

    /// <summary>May names in this directory be changed? EACCES, EROFS, ENOENT for a removed directory.</summary>
    public static Errno CheckDirectoryWrite(ICaller caller, in VfsPath directory)
    {
        if (directory.Dentry.Inode is not Inode inode || directory.Dentry.IsUnlinked)
        {
            return Errno.ENOENT;
        }

        if (directory.Mount.IsReadOnly)
        {
            return Errno.EROFS;
        }

        return inode.CheckPermission(caller.Credentials, Permissions.Write | Permissions.Execute);
    }

    private static Errno OpenOrCreate(
        ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, int flags, uint mode, WalkFlags resolve, out VfsPath place, out bool created)
    {
        place = default;
        created = false;
        Errno error = PathWalker.ResolveParent(caller, start, path, resolve & ~WalkFlags.Directory, out VfsPath parent, out ReadOnlySpan<byte> name, out bool trailing);
        if (error != Errno.None)
        {
            return error;
        }

        if (IsDotOrEmpty(name))
        {
            parent.DecRef();
            return Errno.EISDIR;
        }

        if (trailing)
        {
            parent.DecRef();
            return Errno.EISDIR;
        }

        error = PathWalker.LookupChild(parent.Dentry, name, out Dentry? child);
        if (error == Errno.None && !child!.IsNegative)
        {
            bool link = child.Inode!.IsSymlink;
            child.DecRef();
            parent.DecRef();
            if ((flags & Fcntl.O_EXCL) != 0)
            {
                return Errno.EEXIST;
            }

            if (link && (flags & Fcntl.O_NOFOLLOW) != 0)
            {
                return Errno.ELOOP;
            }

            error = PathWalker.Resolve(caller, start, path, resolve, out place);
            if (error == Errno.ENOENT && link)
            {
                // A dangling link: the file is made where it points to.
                return CreateThroughLink(caller, start, path, flags, mode, resolve, out place, out created);
            }

            return error;
        }

        child?.DecRef();
        if (error == Errno.None)
        {
            error = CreateChild(caller, parent, name, (mode & PermissionBits) | (uint)Stat.S_IFREG, 0, default, exclusive: (flags & Fcntl.O_EXCL) != 0, out child);
            if (error == Errno.None)
            {
                created = true;
                parent.Mount.IncRef();
                place = new VfsPath(parent.Mount, child!);
            }
        }

        parent.DecRef();
        return error;
    }

    private static Errno CreateThroughLink(
        ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, int flags, uint mode, WalkFlags resolve, out VfsPath place, out bool created)
    {
        place = default;
        created = false;
        Errno error = PathWalker.ResolveParent(caller, start, path, resolve & ~WalkFlags.Directory, out VfsPath parent, out ReadOnlySpan<byte> name, out _);
        if (error != Errno.None)
        {
            return error;
        }

        error = PathWalker.LookupChild(parent.Dentry, name, out Dentry? link);
        if (error == Errno.None)
        {
            if (link!.Inode is not { IsSymlink: true } inode)
            {
                error = Errno.EAGAIN;
            }
            else
            {
                error = inode.ReadLink(caller, out byte[] target);
                if (error == Errno.None)
                {
                    error = OpenOrCreate(caller, parent, target, flags, mode, resolve, out place, out created);
                }
            }

            link.DecRef();
        }

        parent.DecRef();
        return error;
    }

    private static Errno CreateChild(
        ICaller caller, in VfsPath parent, ReadOnlySpan<byte> name, uint mode, ulong device, ReadOnlySpan<byte> linkTarget, bool exclusive, out Dentry? child)
    {
        Inode directory = parent.Dentry.Inode!;
        lock (parent.Dentry.DirectoryLock)
        {
            Errno error = PathWalker.LookupChildLocked(parent.Dentry, name, out child);
            if (error != Errno.None)
            {
                return error;
            }

            if (!child!.IsNegative)
            {
                if (!exclusive)
                {
                    return Errno.None;
                }

                child.DecRef();
                child = null;
                return Errno.EEXIST;
            }

            error = CheckDirectoryWrite(caller, parent);
            Inode? made = null;
            if (error == Errno.None)
            {
                error = GetCreateOptions(caller, directory, mode, device, out CreateOptions options);
                if (error == Errno.None)
                {
                    error = (mode & Stat.S_IFMT) == Stat.S_IFLNK ? directory.Symlink(name, linkTarget, options, out made) : directory.Create(name, options, out made);
                }
            }

            if (error != Errno.None)
            {
                child.DecRef();
                child = null;
                return error;
            }

            child.InstantiateLocked(made!);
            FileEvents.RaiseName(parent.Dentry, name, made, Inotify.IN_CREATE);
            return Errno.None;
        }
    }

    /// <summary>How a new file in a directory begins: umask, owner, and the rules of set-group-id directories (inode(7)).</summary>
    internal static Errno GetCreateOptions(ICaller caller, Inode directory, uint mode, ulong device, out CreateOptions options)
    {
        options = default;
        Errno error = directory.GetAttributes(out FileAttributes attributes);
        if (error != Errno.None)
        {
            return error;
        }

        Credentials credentials = caller.Credentials;
        uint type = mode & (uint)Stat.S_IFMT;
        uint permissions = type == Stat.S_IFLNK ? mode : mode & ~(caller.Fs?.Umask ?? 0);
        uint gid = credentials.FsGid;
        if ((attributes.Mode & Stat.S_ISGID) != 0)
        {
            gid = attributes.Gid;
            if (type == Stat.S_IFDIR)
            {
                permissions |= (uint)Stat.S_ISGID;
            }
            else if ((permissions & (uint)(Stat.S_ISGID | Stat.S_IXGRP)) == (uint)(Stat.S_ISGID | Stat.S_IXGRP)
                && !credentials.InGroup(gid) && !credentials.HasCapability(Capability.CAP_FSETID, attributes.Uid, attributes.Gid))
            {
                permissions &= ~(uint)Stat.S_ISGID;
            }
        }

        options = new CreateOptions(permissions, credentials.FsUid, gid, device);
        return Errno.None;
    }

    private static Errno RemoveChild(ICaller caller, in VfsPath parent, ReadOnlySpan<byte> name, bool directory, bool trailing)
    {
        Inode inode = parent.Dentry.Inode!;
        Dentry? child;
        Errno error;
        lock (parent.Dentry.DirectoryLock)
        {
            error = PathWalker.LookupChildLocked(parent.Dentry, name, out child);
            if (error != Errno.None)
            {
                return error;
            }

            error = child!.Inode is Inode victim ? CheckRemove(caller, parent, child, victim, directory, trailing) : Errno.ENOENT;
            if (error == Errno.None)
            {
                error = directory ? inode.Rmdir(name, child.Inode!) : inode.Unlink(name, child.Inode!);
            }

            if (error == Errno.None)
            {
                parent.Dentry.RemoveChildLocked(child, unlinked: true);
                FileEvents.RaiseName(parent.Dentry, name, child.Inode, Inotify.IN_DELETE);
            }
        }

        if (error == Errno.None)
        {
            FileEvents.NameGone(child.Inode!);
        }

        child.DecRef();
        return error;
    }

    private static Errno CheckRemove(ICaller caller, in VfsPath parent, Dentry child, Inode victim, bool directory, bool trailing)
    {
        Errno error = CheckDirectoryWrite(caller, parent);
        if (error != Errno.None)
        {
            return error;
        }

        if (directory && !victim.IsDirectory)
        {
            return Errno.ENOTDIR;
        }

        if (!directory && victim.IsDirectory)
        {
            return Errno.EISDIR;
        }

        if (!directory && trailing)
        {
            return Errno.ENOTDIR;
        }

        if (Volatile.Read(ref child.MountCount) > 0)
        {
            return Errno.EBUSY;
        }

        return CheckSticky(caller, parent.Dentry.Inode!, victim);
    }

    private static Errno CheckSticky(ICaller caller, Inode directory, Inode victim)
    {
        Errno error = directory.GetAttributes(out FileAttributes above);
        error = error == Errno.None ? victim.GetAttributes(out FileAttributes own) is var e && e != Errno.None ? e : Permissions.CheckSticky(caller.Credentials, above, own) : error;
        return error;
    }

    private static Errno RenameLocked(
        ICaller caller, Dentry oldParent, ReadOnlySpan<byte> oldName, Dentry newParent, ReadOnlySpan<byte> newName, uint flags, bool oldTrailing, bool newTrailing)
    {
        Errno error = PathWalker.LookupChildLocked(oldParent, oldName, out Dentry? source);
        if (error != Errno.None)
        {
            return error;
        }

        error = PathWalker.LookupChildLocked(newParent, newName, out Dentry? target);
        if (error == Errno.None)
        {
            error = RenameChildrenLocked(caller, oldParent, source!, newParent, target!, flags, oldTrailing || newTrailing);
        }

        source!.DecRef();
        target?.DecRef();
        return error;
    }

    private static Errno RenameChildrenLocked(ICaller caller, Dentry oldParent, Dentry source, Dentry newParent, Dentry target, uint flags, bool trailing)
    {
        Inode? moved = source.Inode, replaced = target.Inode;
        bool exchange = (flags & Fcntl.RENAME_EXCHANGE) != 0;
        if (moved is null || (exchange && replaced is null))
        {
            return Errno.ENOENT;
        }

        if (replaced is not null && (flags & Fcntl.RENAME_NOREPLACE) != 0)
        {
            return Errno.EEXIST;
        }

        if (trailing && !moved.IsDirectory)
        {
            return Errno.ENOTDIR;
        }

        if (moved == replaced)
        {
            return Errno.None;
        }

        if (source == newParent || IsAncestor(source, newParent))
        {
            return Errno.EINVAL;
        }

        if (target == oldParent || IsAncestor(target, oldParent))
        {
            return exchange ? Errno.EINVAL : Errno.ENOTEMPTY;
        }

        if (replaced is not null && !exchange)
        {
            if (replaced.IsDirectory && !moved.IsDirectory)
            {
                return Errno.EISDIR;
            }

            if (!replaced.IsDirectory && moved.IsDirectory)
            {
                return Errno.ENOTDIR;
            }
        }

        if (Volatile.Read(ref source.MountCount) > 0 || Volatile.Read(ref target.MountCount) > 0)
        {
            return Errno.EBUSY;
        }

        Errno error = CheckSticky(caller, oldParent.Inode!, moved);
        if (error == Errno.None && newParent != oldParent)
        {
            // A directory that moves elsewhere is written to: its ".." changes.
            error = moved.IsDirectory ? moved.CheckPermission(caller.Credentials, Permissions.Write) : Errno.None;
            error = error == Errno.None && exchange && replaced!.IsDirectory ? replaced.CheckPermission(caller.Credentials, Permissions.Write) : error;
        }

        if (error == Errno.None && replaced is not null)
        {
            error = CheckSticky(caller, newParent.Inode!, replaced);
        }

        if (error == Errno.None)
        {
            error = oldParent.Inode!.Rename(source.Name, moved, newParent.Inode!, target.Name, replaced, flags);
        }

        if (error != Errno.None)
        {
            return error;
        }

        byte[] oldName = source.Name, newName = target.Name;
        if (exchange)
        {
            newParent.RemoveChildLocked(target, unlinked: false);
            source.MoveLocked(newParent, newName);
            target.MoveLocked(oldParent, oldName);
            RaiseMove(oldParent, oldName, newParent, newName, moved);
            RaiseMove(newParent, newName, oldParent, oldName, replaced!);
            return Errno.None;
        }

        newParent.RemoveChildLocked(target, unlinked: true);
        source.MoveLocked(newParent, newName);
        RaiseMove(oldParent, oldName, newParent, newName, moved);
        if (replaced is not null)
        {
            FileEvents.NameGone(replaced);
        }

        return Errno.None;
    }

    private static void RaiseMove(Dentry oldParent, ReadOnlySpan<byte> oldName, Dentry newParent, ReadOnlySpan<byte> newName, Inode moved)
    {
        uint cookie = FileEvents.NewCookie();
        FileEvents.RaiseName(oldParent, oldName, moved, Inotify.IN_MOVED_FROM, cookie);
        FileEvents.RaiseName(newParent, newName, moved, Inotify.IN_MOVED_TO, cookie);
        FileEvents.RaiseSelf(moved, Inotify.IN_MOVE_SELF);
    }

    private static bool IsAncestor(Dentry ancestor, Dentry dentry)
    {
        for (Dentry? at = dentry.Parent; at is not null; at = at.Parent)
        {
            if (at == ancestor)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsDotOrEmpty(ReadOnlySpan<byte> name) => name.IsEmpty || name.SequenceEqual("."u8) || name.SequenceEqual(".."u8);

    private static Errno CheckNewName(ReadOnlySpan<byte> name, bool trailing, Errno whenTaken) =>
        IsDotOrEmpty(name) ? whenTaken : trailing ? Errno.ENOENT : Errno.None;
}

/// <summary>What O_PATH opens: a place in the tree, with no access to the file.</summary>
internal sealed class PathDescription(in VfsPath path, int flags) : FileDescription(path, flags)
{
    public override Errno SetStatusFlags(int flags) => Errno.EBADF;
}
