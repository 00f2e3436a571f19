using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Vfs;

/// <content>Mounts that change their place: mount(2) with MS_MOVE, pivot_root(2).</content>
internal sealed partial class MountNamespace
{
    /// <summary>Moves a mount, with all below it. EINVAL for the root and for mounts of other namespaces, ELOOP into itself, ENOTDIR when kinds differ.</summary>
    public Errno Move(Mount mount, VfsPath place)
    {
        Dentry? old;
        lock (_mu)
        {
            if (mount.Parent is null || mount.Namespace != this || place.Mount.Namespace != this || mount.IsLocked)
            {
                return Errno.EINVAL;
            }

            if (place.Dentry.Inode is not Inode at || at.IsDirectory != mount.Root.Inode!.IsDirectory)
            {
                return Errno.ENOTDIR;
            }

            place = TopLocked(place);
            if (IsWithinLocked(place.Mount, mount))
            {
                return Errno.ELOOP;
            }

            old = UnplaceLocked(mount);
            PlaceLocked(mount, place);
        }

        Changes.Raise();
        old.DecRef();
        return Errno.None;
    }

    /// <summary>
    /// pivot_root(2): the mount at <paramref name="newRoot"/> takes the place of the one at <paramref name="root"/>, the caller's, which goes to <paramref name="putOld"/>.
    /// EINVAL, EBUSY. The caller moves the processes.
    /// </summary>
    public Errno PivotRoot(in VfsPath root, in VfsPath newRoot, in VfsPath putOld)
    {
        List<Dentry> points = [];
        lock (_mu)
        {
            Mount old = root.Mount, made = newRoot.Mount;
            if (root.Dentry != old.Root || newRoot.Dentry != made.Root || made.Parent is null || old.Namespace != this || made.Namespace != this || putOld.Mount.Namespace != this || made.IsLocked)
            {
                return Errno.EINVAL;
            }

            if (made == old || putOld.Mount == old)
            {
                return Errno.EBUSY;
            }

            if (!IsWithinLocked(putOld.Mount, made) || !IsWithinLocked(made, old))
            {
                return Errno.EINVAL;
            }

            (made.IsLocked, old.IsLocked) = (old.IsLocked, false);

            // Old stays below new from here on, so no place is reached by itself.
            points.Add(UnplaceLocked(made));
            VfsPath target = TopLocked(putOld);
            if (old == Root)
            {
                Root = made;
            }
            else
            {
                VfsPath place = new(old.Parent!, old.MountPoint!);
                points.Add(UnplaceLocked(old));
                PlaceLocked(made, place);
            }

            PlaceLocked(old, target);
        }

        Changes.Raise();
        foreach (Dentry point in points)
        {
            point.DecRef();
        }

        return Errno.None;
    }

    /// <summary>What is mounted on top at a place.</summary>
    private VfsPath TopLocked(VfsPath place)
    {
        while (_attached.TryGetValue((place.Mount, place.Dentry), out Mount? over))
        {
            place = new VfsPath(over, over.Root);
        }

        return place;
    }

    private static bool IsWithinLocked(Mount mount, Mount ancestor)
    {
        for (Mount? at = mount; at is not null; at = at.Parent)
        {
            if (at == ancestor)
            {
                return true;
            }
        }

        return false;
    }

    private void PlaceLocked(Mount mount, in VfsPath place)
    {
        mount.Parent = place.Mount;
        mount.MountPoint = place.Dentry;
        place.Dentry.IncRef();
        Interlocked.Increment(ref place.Dentry.MountCount);
        _attached[(place.Mount, place.Dentry)] = mount;
    }

    /// <summary>The old mount point, whose reference passes to the caller.</summary>
    private Dentry UnplaceLocked(Mount mount)
    {
        Dentry point = mount.MountPoint!;
        _attached.Remove((mount.Parent!, point));
        Interlocked.Decrement(ref point.MountCount);
        mount.Parent = null;
        mount.MountPoint = null;
        return point;
    }
}
