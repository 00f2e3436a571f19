using System.Threading;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Vfs;

/// <summary>A place where (part of) a file system is attached (Linux: struct mount).</summary>
internal sealed class Mount(SuperBlock super, Dentry root, int id, ulong flags)
{
    private int _references = 1;

    public SuperBlock Super { get; } = super;

    /// <summary>What is seen at the mount point: the file system's root, or a directory or file of it (bind mount).</summary>
    public Dentry Root { get; } = root;

    /// <summary>As in /proc/PID/mountinfo.</summary>
    public int Id { get; } = id;

    /// <summary>MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME, …</summary>
    public ulong Flags { get; set; } = flags;

    /// <summary>Those of <see cref="Flags"/> that stay: the mount came from a mount namespace of other rights (mount_namespaces(7), "Restrictions on mount namespaces").</summary>
    public ulong LockedFlags { get; set; }

    /// <summary>As <see cref="LockedFlags"/>: what it covers stays covered. Guarded by the namespace's lock.</summary>
    public bool IsLocked { get; set; }

    /// <summary>Where it can be seen; null for a detached mount and for those of nameless files. Written under the namespace's lock.</summary>
    public MountNamespace? Namespace { get; internal set; }

    /// <summary>Where it is attached; null for a root or a detached mount. Guarded by the namespace's lock.</summary>
    public Mount? Parent { get; internal set; }

    /// <summary>As <see cref="Parent"/>.</summary>
    public Dentry? MountPoint { get; internal set; }

    /// <summary>Set-id bits and capabilities of its files count for the caller (Linux: mnt_may_suid): not of mounts of other namespaces, nor of file systems that a user namespace below his has made.</summary>
    public bool AllowsSetId(ICaller caller) =>
        (Flags & Linux.Mount.MS_NOSUID) == 0 && Namespace == caller.MountNamespace && caller.Credentials.UserNamespace.IsWithin(Super.Owner);

    public bool AllowsDevices => (Flags & Linux.Mount.MS_NODEV) == 0 && (Super.Owner == UserNamespace.Initial || Super.TypeName == "devpts");

    public bool IsReadOnly => (Flags & Linux.Mount.MS_RDONLY) != 0;

    /// <summary>Users beyond the namespace itself (EBUSY of umount2(2)).</summary>
    public int Users => Volatile.Read(ref _references) - 1;

    public void IncRef() => Interlocked.Increment(ref _references);

    /// <summary>With the last reference a file of its own goes that was seen here (nsfs); others stay in the caches of their file system.</summary>
    public void DecRef()
    {
        if (Interlocked.Decrement(ref _references) == 0 && Root is { Parent: null, Inode.IsDirectory: false })
        {
            Root.DecRef();
        }
    }
}
