using System.Collections.Generic;
using System.Threading;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Vfs;

/// <summary>The tree of mounts that some tasks see (mount_namespaces(7)). Linux: struct mnt_namespace.</summary>
/// <remarks>One lock for the tree; a leaf but for reference counts.</remarks>
internal sealed partial class MountNamespace : Namespace
{
    private const ulong LockableFlags = Linux.Mount.MS_RDONLY | Linux.Mount.MS_NOSUID | Linux.Mount.MS_NODEV | Linux.Mount.MS_NOEXEC;

    private static int s_nextId = 20;

    private readonly Lock _mu = new();

    // Guarded by _mu. By parent mount and mount point; several on one point stack through the root of the one below.
    private readonly Dictionary<(Mount, Dentry), Mount> _attached = [];

    // Guarded by _mu. In order of attachment, as /proc/mounts shows them.
    private readonly List<Mount> _order = [];

    private int _users = 1;

    /// <summary>The super block's root becomes the root of the namespace, whose first user is the caller.</summary>
    public MountNamespace(SuperBlock super, ulong flags)
        : base(UserNamespace.Initial, NewNumber())
    {
        Root = NewMount(super, NewRootDentry(super), flags);
        Root.Namespace = this;
        _order.Add(Root);
    }

    private MountNamespace(Mount root, UserNamespace owner)
        : base(owner, NewNumber())
    {
        Root = root;
    }

    public override int Type => Sched.CLONE_NEWNS;

    public override string Kind => "mnt";

    public Mount Root { get; private set; }

    /// <summary>Raised whenever a mount comes, goes or moves, or its flags change.</summary>
    public ChangeCount Changes { get; } = new();

    /// <summary>A dentry for the root of a file system that is not mounted yet.</summary>
    public static Dentry NewRootDentry(SuperBlock super)
    {
        super.Root.IncRef();
        return new Dentry(null, [], super.Root);
    }

    public static Mount NewMount(SuperBlock super, Dentry root, ulong flags) => new(super, root, Interlocked.Increment(ref s_nextId), flags);

    /// <summary>The root directory as a path, with references.</summary>
    public VfsPath GetRootPath()
    {
        VfsPath path;
        lock (_mu)
        {
            path = new VfsPath(Root, Root.Root);
            path.IncRef();
        }

        // Mounts over the root itself are what "/" means.
        while (TryGetMountAt(path, out Mount? over))
        {
            path.DecRef();
            over!.Root.IncRef();
            path = new VfsPath(over, over.Root);
        }

        return path;
    }

    /// <summary>What is mounted right at <paramref name="place"/>, with a reference.</summary>
    public bool TryGetMountAt(in VfsPath place, out Mount? mount)
    {
        lock (_mu)
        {
            if (!_attached.TryGetValue((place.Mount, place.Dentry), out mount))
            {
                return false;
            }

            mount.IncRef();
            return true;
        }
    }

    /// <summary>Where a mount is attached; nulls for the root. No references are taken.</summary>
    public (Mount? Parent, Dentry? Point) GetAttachment(Mount mount)
    {
        lock (_mu)
        {
            return (mount.Parent, mount.MountPoint);
        }
    }

    /// <summary>Attaches a new mount at <paramref name="place"/>, over whatever is mounted there. ENOTDIR when kinds differ.</summary>
    public Errno Attach(Mount mount, VfsPath place)
    {
        bool directory = mount.Root.Inode!.IsDirectory;
        if (place.Dentry.Inode is not Inode at || at.IsDirectory != directory)
        {
            return Errno.ENOTDIR;
        }

        lock (_mu)
        {
            PlaceLocked(mount, TopLocked(place));
            mount.Namespace = this;
            _order.Add(mount);
        }

        Changes.Raise();
        return Errno.None;
    }

    /// <summary>Detaches a mount and all below it (umount2(2) with MNT_DETACH), or only if nothing is below and nobody uses it: EBUSY. EINVAL for the root, mounts of other namespaces and locked ones.</summary>
    public Errno Detach(Mount mount, bool lazy)
    {
        List<Dentry> points = [];
        List<Mount> detached = [];
        lock (_mu)
        {
            if (mount == Root || mount.Parent is null || mount.Namespace != this || mount.IsLocked)
            {
                return Errno.EINVAL;
            }

            if (!lazy && (mount.Users > 0 || HasChildrenLocked(mount)))
            {
                return Errno.EBUSY;
            }

            DetachLocked(mount, points, detached);
        }

        LetGo(points, detached);

        return Errno.None;
    }

    public override bool TryIncUsers()
    {
        int users = Volatile.Read(ref _users);
        while (users > 0)
        {
            int seen = Interlocked.CompareExchange(ref _users, users + 1, users);
            if (seen == users)
            {
                return true;
            }

            users = seen;
        }

        return false;
    }

    /// <summary>Adds a user: a task. Precondition: there is one.</summary>
    public void IncUsers() => Interlocked.Increment(ref _users);

    /// <summary>With the last user all that is mounted is detached.</summary>
    public override void DecUsers()
    {
        if (Interlocked.Decrement(ref _users) != 0)
        {
            return;
        }

        List<Dentry> points = [];
        List<Mount> detached = [];
        lock (_mu)
        {
            foreach (Mount mount in _order.ToArray())
            {
                if (mount.Parent == Root)
                {
                    DetachLocked(mount, points, detached);
                }
            }
        }

        LetGo(points, detached);
    }

    /// <summary>The second half of a recursive bind: what is mounted below <paramref name="source"/> comes below <paramref name="target"/>'s root too.</summary>
    public Errno CopyChildren(in VfsPath source, Mount target)
    {
        foreach (Mount child in Snapshot())
        {
            if (child == target || child.Parent != source.Mount || child.MountPoint is not Dentry point || !point.IsBelow(source.Dentry))
            {
                continue;
            }

            child.Root.IncRef();
            Mount copy = NewMount(child.Super, child.Root, child.Flags);
            (copy.LockedFlags, copy.IsLocked) = (child.LockedFlags, child.IsLocked);
            Errno error = Attach(copy, new VfsPath(target, point));
            if (error != Errno.None)
            {
                return error;
            }

            error = CopyChildren(new VfsPath(child, child.Root), copy);
            if (error != Errno.None)
            {
                return error;
            }
        }

        return Errno.None;
    }

    /// <summary>A mount that is not locked covers nothing that is, at or below the place: what is bound without it shows no more than is seen.</summary>
    public bool HasLockedBelow(in VfsPath place)
    {
        foreach (Mount child in Snapshot())
        {
            if (child.IsLocked && child.Parent == place.Mount && child.MountPoint is Dentry point && point.IsBelow(place.Dentry))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// Is the file system's whole tree seen already, with no more rights than are wanted and with nothing covered? Only then may one with few rights mount another
    /// instance of it (mount_namespaces(7); Linux: mount_too_revealing).
    /// </summary>
    public bool Shows(string type, ulong flags)
    {
        List<Mount> mounts = Snapshot();
        foreach (Mount mount in mounts)
        {
            if (mount.Super.TypeName == type && mount.Root.Inode == mount.Super.Root && (mount.LockedFlags & Linux.Mount.MS_RDONLY & ~flags) == 0
                && !mounts.Exists(child => child.Parent == mount && child.IsLocked))
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>
    /// A copy for unshare(CLONE_NEWNS), whose first user is the caller. <paramref name="map"/> tells the new mount for each old one. For another user namespace its
    /// mounts are locked: they are neither taken away one by one nor given more rights.
    /// </summary>
    public MountNamespace Clone(UserNamespace owner, out Dictionary<Mount, Mount> map)
    {
        map = [];
        lock (_mu)
        {
            foreach (Mount old in _order)
            {
                map[old] = NewMount(old.Super, old.Root, old.Flags);
                map[old].LockedFlags = old.LockedFlags | (owner == Owner ? 0 : (old.Flags & LockableFlags) | Linux.Mount.MS_NOATIME);
                map[old].IsLocked = old.IsLocked || owner != Owner;
                old.Root.IncRef();
            }

            MountNamespace copy = new(map[Root], owner);
            foreach (Mount old in _order)
            {
                Mount mount = map[old];
                mount.Namespace = copy;
                copy._order.Add(mount);
                if (old.Parent is null || old == Root)
                {
                    continue;
                }

                mount.Parent = map[old.Parent];
                mount.MountPoint = old.MountPoint;
                old.MountPoint!.IncRef();
                Interlocked.Increment(ref old.MountPoint.MountCount);
                copy._attached[(mount.Parent, old.MountPoint)] = mount;
            }

            return copy;
        }
    }

    /// <summary>The mounts in order of attachment.</summary>
    public List<Mount> Snapshot()
    {
        lock (_mu)
        {
            return [.. _order];
        }
    }

    /// <summary>The path of a place as seen from <paramref name="root"/>; null when it cannot be reached from there.</summary>
    public byte[]? GetPath(VfsPath place, in VfsPath root, out bool unlinked)
    {
        List<byte[]> names = [];
        int length = 0;
        unlinked = place.Dentry.IsUnlinked;
        if (place.Dentry.Parent is null && place.Dentry != place.Mount.Root)
        {
            // A nameless file: pipe:[12], /memfd:x (deleted).
            unlinked = false;
            return place.Dentry.Name;
        }

        while (place != root)
        {
            if (place.Dentry == place.Mount.Root)
            {
                (Mount? parent, Dentry? point) = GetAttachment(place.Mount);
                if (parent is null)
                {
                    return place.Mount == Root && root.Mount is not null ? null : Join(names, length);
                }

                place = new VfsPath(parent, point!);
                continue;
            }

            if (place.Dentry.Parent is not Dentry up)
            {
                break;
            }

            names.Add(place.Dentry.Name);
            length = checked(length + place.Dentry.Name.Length + 1);
            place = new VfsPath(place.Mount, up);
        }

        return Join(names, length);
    }

    private static byte[] Join(List<byte[]> names, int length)
    {
        if (names.Count == 0)
        {
            return "/"u8.ToArray();
        }

        byte[] path = new byte[length];
        int at = 0;
        for (int i = names.Count - 1; i >= 0; i--)
        {
            path[at++] = (byte)'/';
            names[i].CopyTo(path, at);
            at += names[i].Length;
        }

        return path;
    }

    private bool HasChildrenLocked(Mount mount)
    {
        foreach (Mount other in _order)
        {
            if (other.Parent == mount)
            {
                return true;
            }
        }

        return false;
    }

    // Not under the lock: a dentry's end may take that of a directory.
    private void LetGo(List<Dentry> points, List<Mount> detached)
    {
        Changes.Raise();
        foreach (Dentry point in points)
        {
            point.DecRef();
        }

        foreach (Mount mount in detached)
        {
            mount.DecRef();
        }
    }

    private void DetachLocked(Mount mount, List<Dentry> points, List<Mount> detached)
    {
        foreach (Mount child in _order.ToArray())
        {
            if (child.Parent == mount)
            {
                DetachLocked(child, points, detached);
            }
        }

        if (!_attached.Remove((mount.Parent!, mount.MountPoint!)))
        {
            Invariant.Fail("a mount is not where it says");
        }

        Interlocked.Decrement(ref mount.MountPoint!.MountCount);
        points.Add(mount.MountPoint);
        detached.Add(mount);
        _order.Remove(mount);
        mount.Parent = null;
        mount.MountPoint = null;
        mount.Namespace = null;
    }
}
