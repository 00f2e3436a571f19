using System;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Vfs;

/// <summary>How a path is to be resolved.</summary>
[Flags]
internal enum WalkFlags
{
    None = 0,

    /// <summary>A symbolic link at the end is followed.</summary>
    FollowLast = 1,

    /// <summary>The result must be a directory (also asked for by a trailing slash). ENOTDIR.</summary>
    Directory = 2,

    /// <summary>An empty path means the start (AT_EMPTY_PATH). Else ENOENT.</summary>
    AllowEmpty = 4,

    // RESOLVE_* of openat2(2).
    NoCrossMounts = 16,
    NoMagicLinks = 32,
    NoSymlinks = 64,
    Beneath = 128,
    InRoot = 256,
}

/// <summary>Path resolution (path_resolution(7)).</summary>
internal ref struct PathWalker
{
    private const int MaxSymlinks = 40;
    private const int NameMax = 255;

    private readonly ICaller _caller;
    private readonly WalkFlags _flags;
    private readonly VfsPath _root;
    private VfsPath _current;
    private int _symlinks;

    /// <summary>The last component, when resolution stopped before it.</summary>
    private ReadOnlySpan<byte> _last;
    private bool _trailingSlash;

    private PathWalker(ICaller caller, VfsPath root, VfsPath start, WalkFlags flags)
    {
        _caller = caller;
        _flags = flags;
        _root = root;
        _current = start;
    }

    /// <summary>
    /// Resolves a path to an existing file; the result holds references for the caller. <paramref name="start"/> is where relative paths begin.
    /// ENOENT, ENOTDIR, EACCES, ELOOP, ENAMETOOLONG, EXDEV (RESOLVE_*).
    /// </summary>
    public static Errno Resolve(ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, WalkFlags flags, out VfsPath result)
    {
        result = default;
        if (path.IsEmpty)
        {
            if ((flags & WalkFlags.AllowEmpty) == 0)
            {
                return Errno.ENOENT;
            }

            start.IncRef();
            result = start;
            return Errno.None;
        }

        Errno error = Begin(caller, start, path, flags, out PathWalker walker);
        if (error != Errno.None)
        {
            return error;
        }

        error = walker.Walk(path, stopBeforeLast: false);
        return walker.Finish(error, out result);
    }

    /// <summary>
    /// Resolves all but the last component, for calls that make, remove or rename a name. <paramref name="parent"/> holds references;
    /// <paramref name="last"/> may be "." or ".." or empty (the root): the caller knows which error that is.
    /// </summary>
    public static Errno ResolveParent(
        ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, WalkFlags flags, out VfsPath parent, out ReadOnlySpan<byte> last, out bool trailingSlash)
    {
        parent = default;
        last = default;
        trailingSlash = false;
        if (path.IsEmpty)
        {
            return Errno.ENOENT;
        }

        Errno error = Begin(caller, start, path, flags, out PathWalker walker);
        if (error != Errno.None)
        {
            return error;
        }

        error = walker.Walk(path, stopBeforeLast: true);
        last = walker._last;
        trailingSlash = walker._trailingSlash;
        return walker.Finish(error, out parent);
    }

    /// <summary>The child of a directory, through its cache. With a reference; may be negative. Does not follow mounts or links. EACCES without search permission is the caller's.</summary>
    public static Errno LookupChild(Dentry directory, ReadOnlySpan<byte> name, out Dentry? child)
    {
        lock (directory.DirectoryLock)
        {
            return LookupChildLocked(directory, name, out child);
        }
    }

    /// <summary>As <see cref="LookupChild"/>. Lock held: the directory's.</summary>
    public static Errno LookupChildLocked(Dentry directory, ReadOnlySpan<byte> name, out Dentry? child)
    {
        child = null;
        if (name.Length > NameMax)
        {
            return Errno.ENAMETOOLONG;
        }

        Inode? parent = directory.Inode;
        if (parent is null || directory.IsUnlinked)
        {
            return Errno.ENOENT;
        }

        Dentry? cached = directory.FindChildLocked(name);
        if (cached is not null)
        {
            if (parent.IsChildValid(name, cached.Inode))
            {
                cached.IncRef();
                child = cached;
                return Errno.None;
            }

            directory.RemoveChildLocked(cached, unlinked: cached.MountCount == 0);
        }

        Errno error = parent.Lookup(name, out Inode? inode);
        if (error is not (Errno.None or Errno.ENOENT))
        {
            return error;
        }

        child = new Dentry(directory, name.ToArray(), error == Errno.None ? inode : null);
        directory.AddChildLocked(child);
        return Errno.None;
    }

    private static Errno Begin(ICaller caller, in VfsPath start, ReadOnlySpan<byte> path, WalkFlags flags, out PathWalker walker)
    {
        walker = default;
        if (path.Length >= 4096)
        {
            return Errno.ENAMETOOLONG;
        }

        VfsPath root;
        if ((flags & (WalkFlags.Beneath | WalkFlags.InRoot)) != 0)
        {
            root = start;
            root.IncRef();
        }
        else
        {
            root = caller.Fs!.GetRoot();
        }

        VfsPath from = start;
        if (path[0] == (byte)'/')
        {
            if ((flags & WalkFlags.Beneath) != 0)
            {
                root.DecRef();
                return Errno.EXDEV;
            }

            from = root;
        }

        from.IncRef();
        walker = new PathWalker(caller, root, from, flags);
        return Errno.None;
    }

    private readonly Errno Finish(Errno error, out VfsPath result)
    {
        _root.DecRef();
        if (error != Errno.None)
        {
            _current.DecRef();
            result = default;
            return error;
        }

        result = _current;
        return Errno.None;
    }

    private Errno Walk(ReadOnlySpan<byte> path, bool stopBeforeLast)
    {
        while (true)
        {
            path = path.TrimStart((byte)'/');
            if (path.IsEmpty)
            {
                // "/" alone, or what a link left: the current place is the result.
                return (_flags & WalkFlags.Directory) != 0 && !_current.Dentry.Inode!.IsDirectory ? Errno.ENOTDIR : Errno.None;
            }

            int slash = path.IndexOf((byte)'/');
            ReadOnlySpan<byte> name = slash < 0 ? path : path[..slash];
            ReadOnlySpan<byte> rest = slash < 0 ? default : path[slash..];
            bool isLast = rest.TrimStart((byte)'/').IsEmpty;
            bool trailing = isLast && !rest.IsEmpty;

            Inode? directory = _current.Dentry.Inode;
            if (directory is null)
            {
                return Errno.ENOENT;
            }

            if (!directory.IsDirectory)
            {
                return Errno.ENOTDIR;
            }

            Errno error = directory.CheckPermission(_caller, Permissions.Execute);
            if (error != Errno.None)
            {
                return error;
            }

            if (isLast && stopBeforeLast)
            {
                _last = name;
                _trailingSlash = trailing;
                return name.Length > NameMax ? Errno.ENAMETOOLONG : Errno.None;
            }

            if (name.SequenceEqual("."u8))
            {
                path = rest;
                if (isLast)
                {
                    return Errno.None;
                }

                continue;
            }

            if (name.SequenceEqual(".."u8))
            {
                error = StepUp();
                if (error != Errno.None)
                {
                    return error;
                }

                path = rest;
                if (isLast)
                {
                    return Errno.None;
                }

                continue;
            }

            error = LookupChild(_current.Dentry, name, out Dentry? child);
            if (error != Errno.None)
            {
                return error;
            }

            Inode? inode = child!.Inode;
            if (inode is null)
            {
                child.DecRef();
                return Errno.ENOENT;
            }

            if (inode.IsSymlink && (!isLast || trailing || (_flags & (WalkFlags.FollowLast | WalkFlags.Directory)) == (WalkFlags.FollowLast) || ((_flags & WalkFlags.FollowLast) != 0)))
            {
                error = Follow(child, inode, out byte[]? target);
                if (error != Errno.None)
                {
                    return error;
                }

                if (target is not null)
                {
                    byte[] joined = new byte[target.Length + rest.Length];
                    target.CopyTo(joined, 0);
                    rest.CopyTo(joined.AsSpan(target.Length));
                    path = joined;
                    continue;
                }
            }
            else
            {
                error = StepInto(child);
                if (error != Errno.None)
                {
                    return error;
                }
            }

            if (isLast)
            {
                bool needsDirectory = trailing || (_flags & WalkFlags.Directory) != 0;
                return needsDirectory && !_current.Dentry.Inode!.IsDirectory ? Errno.ENOTDIR : Errno.None;
            }

            path = rest;
        }
    }

    /// <summary>Moves to a child (its reference passes) and over whatever is mounted there.</summary>
    private Errno StepInto(Dentry child)
    {
        VfsPath next = new(_current.Mount, child);
        next.Mount.IncRef();
        if (Volatile.Read(ref child.MountCount) > 0)
        {
            while (_caller.MountNamespace.TryGetMountAt(next, out Mount? mounted))
            {
                if ((_flags & WalkFlags.NoCrossMounts) != 0)
                {
                    next.DecRef();
                    mounted!.DecRef();
                    return Errno.EXDEV;
                }

                VfsPath over = new(mounted!, mounted!.Root);
                over.Dentry.IncRef();
                next.DecRef();
                next = over;
            }
        }

        _current.DecRef();
        _current = next;
        return Errno.None;
    }

    private Errno StepUp()
    {
        if (_current == _root)
        {
            return (_flags & WalkFlags.Beneath) != 0 ? Errno.EXDEV : Errno.None;
        }

        VfsPath place = _current;
        while (place.Dentry == place.Mount.Root)
        {
            if (place == _root)
            {
                break;
            }

            (Mount? parent, Dentry? point) = _caller.MountNamespace.GetAttachment(place.Mount);
            if (parent is null)
            {
                return Errno.None;
            }

            if ((_flags & WalkFlags.NoCrossMounts) != 0)
            {
                return Errno.EXDEV;
            }

            place = new VfsPath(parent, point!);
        }

        if (place != _root && place.Dentry.Parent is Dentry up)
        {
            place = new VfsPath(place.Mount, up);
        }

        place.IncRef();
        _current.DecRef();
        _current = place;
        return Errno.None;
    }

    /// <summary>Follows a link. A magic link moves to its end; else <paramref name="target"/> is what to resolve from here. The child's reference passes.</summary>
    private Errno Follow(Dentry child, Inode inode, out byte[]? target)
    {
        target = null;
        try
        {
            if ((_flags & WalkFlags.NoSymlinks) != 0 || ++_symlinks > MaxSymlinks)
            {
                return Errno.ELOOP;
            }

            if (inode.TryFollowMagicLink(_caller, out VfsPath place, out Errno error))
            {
                if (error != Errno.None)
                {
                    return error;
                }

                if ((_flags & (WalkFlags.NoMagicLinks | WalkFlags.Beneath | WalkFlags.InRoot)) != 0)
                {
                    place.DecRef();
                    return (_flags & WalkFlags.NoMagicLinks) != 0 ? Errno.ELOOP : Errno.EXDEV;
                }

                _current.DecRef();
                _current = place;
                return Errno.None;
            }

            error = inode.ReadLink(_caller, out byte[] text);
            if (error != Errno.None)
            {
                return error;
            }

            if (text.Length == 0)
            {
                return Errno.ENOENT;
            }

            if (text[0] == (byte)'/')
            {
                if ((_flags & WalkFlags.Beneath) != 0)
                {
                    return Errno.EXDEV;
                }

                _root.IncRef();
                _current.DecRef();
                _current = _root;
            }

            target = text;
            return Errno.None;
        }
        finally
        {
            child.DecRef();
        }
    }
}
