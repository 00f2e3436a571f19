using System;
using System.Threading;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Vfs;

/// <summary>A file of a file system, whatever its names. The generic part of the VFS checks permissions and keeps dentries; an inode only does.</summary>
/// <remarks>
/// Operations on a directory's children are called with that directory's dentry lock held (for writing when they change something),
/// so for one directory they come one at a time. Names are 1–255 bytes, without '/' and NUL, never "." or "..".
/// Reference counted: one for each positive dentry and each open description; the last one calls <see cref="OnRelease"/>,
/// which frees the data of a file with no link.
/// </remarks>
internal abstract class Inode(SuperBlock super)
{
    private int _references = 1;

    public SuperBlock Super { get; } = super;

    /// <summary>File type, S_IFMT bits of st_mode. Constant.</summary>
    public abstract uint FileType { get; }

    public bool IsDirectory => FileType == Stat.S_IFDIR;

    public bool IsRegular => FileType == Stat.S_IFREG;

    public bool IsSymlink => FileType == Stat.S_IFLNK;

    /// <summary>Made by O_TMPFILE without O_EXCL: it may get a first name by link(2), while its link count is 0.</summary>
    public bool MayGetFirstName { get; set; }

    /// <summary>What open(2) of a FIFO, socket or lock(2) on this file share; created on demand by the user of the slot.</summary>
    public FileLocks? Locks;

    /// <summary>Who watches this file, made on first use.</summary>
    public InodeWatches? Watches;

    /// <summary>The pipe of an open FIFO, or the socket bound to this inode.</summary>
    public object? Special;

    /// <summary>Fills attributes as statx(2) with all of STATX_BASIC_STATS (and BTIME if known).</summary>
    public abstract Errno GetAttributes(out FileAttributes attributes);

    /// <summary>
    /// Changes mode, owner, times or size. Permission was checked by the caller (who also cleared set-id bits as Linux would).
    /// EPERM, EROFS, EFBIG, …
    /// </summary>
    public virtual Errno SetAttributes(in AttributeChange change) => Errno.EPERM;

    /// <summary>The child named <paramref name="name"/>, with a reference for the caller. ENOENT when there is none (may be cached as a negative dentry).</summary>
    public virtual Errno Lookup(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        return Errno.ENOTDIR;
    }

    /// <summary>May a found or missing child be cached? False for directories that change by themselves (/proc/PID).</summary>
    public virtual bool CachesChildren => true;

    /// <summary>Asked before a cached child is used; false makes the VFS look it up again.</summary>
    public virtual bool IsChildValid(ReadOnlySpan<byte> name, Inode? child) => true;

    /// <summary>Makes a regular file, directory, device node, FIFO or socket according to <paramref name="create"/>. EEXIST, ENOSPC, EROFS, …</summary>
    public virtual Errno Create(ReadOnlySpan<byte> name, in CreateOptions create, out Inode? child)
    {
        child = null;
        return Errno.EPERM;
    }

    /// <summary>Makes a regular file in this directory's file system that has no name (O_TMPFILE). EOPNOTSUPP, ENOSPC.</summary>
    public virtual Errno CreateNameless(in CreateOptions create, out Inode? child)
    {
        child = null;
        return Errno.EOPNOTSUPP;
    }

    public virtual Errno Symlink(ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, in CreateOptions create, out Inode? child)
    {
        child = null;
        return Errno.EPERM;
    }

    /// <summary>Gives <paramref name="target"/> (same file system) another name here.</summary>
    public virtual Errno Link(ReadOnlySpan<byte> name, Inode target) => Errno.EPERM;

    public virtual Errno Unlink(ReadOnlySpan<byte> name, Inode child) => Errno.EPERM;

    /// <summary>ENOTEMPTY when the directory has children.</summary>
    public virtual Errno Rmdir(ReadOnlySpan<byte> name, Inode child) => Errno.EPERM;

    /// <summary>
    /// Moves <paramref name="child"/> from here to <paramref name="newDirectory"/>/<paramref name="newName"/>, replacing <paramref name="replaced"/> if not null;
    /// flags: RENAME_EXCHANGE, RENAME_WHITEOUT (NOREPLACE was dealt with). Both directories' dentries are locked.
    /// </summary>
    public virtual Errno Rename(ReadOnlySpan<byte> name, Inode child, Inode newDirectory, ReadOnlySpan<byte> newName, Inode? replaced, uint flags) => Errno.EPERM;

    /// <summary>The target of a symbolic link. EINVAL for other files.</summary>
    public virtual Errno ReadLink(ICaller caller, out byte[] target)
    {
        target = [];
        return Errno.EINVAL;
    }

    /// <summary>
    /// A "magic" link of /proc (fd, exe, cwd, root) leads straight to a place. True with a referenced path when this is one.
    /// </summary>
    public virtual bool TryFollowMagicLink(ICaller caller, out VfsPath path, out Errno error)
    {
        path = default;
        error = Errno.None;
        return false;
    }

    /// <summary>
    /// Opens the file; <paramref name="flags"/> are O_* without O_CREAT, O_EXCL and O_NOFOLLOW; O_TRUNC was carried out.
    /// Device nodes, FIFOs and sockets are dealt with by the VFS before this is called, unless <see cref="OpensItself"/>.
    /// The description takes over a reference of <paramref name="path"/>.
    /// </summary>
    public abstract Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file);

    /// <summary>True for special files whose open is not the generic one.</summary>
    public virtual bool OpensItself => false;

    /// <summary>Device number of a device node, in the encoding of stat(2).</summary>
    public virtual ulong DeviceNumber => 0;

    /// <summary>Size of the value, or −errno (ENODATA, ERANGE when it does not fit a non-empty span, EOPNOTSUPP). An empty span asks for the size.</summary>
    public virtual long GetXattr(ReadOnlySpan<byte> name, Span<byte> value) => -(long)Errno.EOPNOTSUPP;

    /// <summary>flags: XATTR_CREATE, XATTR_REPLACE.</summary>
    public virtual Errno SetXattr(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags) => Errno.EOPNOTSUPP;

    public virtual Errno RemoveXattr(ReadOnlySpan<byte> name) => Errno.EOPNOTSUPP;

    /// <summary>NUL-terminated names one after the other. Size, or −errno; an empty span asks for the size.</summary>
    public virtual long ListXattr(Span<byte> names) => 0;

    /// <summary>Permission for access (MAY_* as R_OK, W_OK, X_OK), by mode bits and capabilities unless overridden. EACCES.</summary>
    public virtual Errno CheckPermission(Credentials credentials, int mask)
    {
        Errno error = GetAttributes(out FileAttributes attributes);
        return error != Errno.None ? error : Permissions.Check(credentials, attributes, mask);
    }

    // Above zero: descriptions that may write; below: programs that run from the file (Linux: i_writecount).
    private int _writers;

    /// <summary>A description is about to write: false (ETXTBSY) while a program runs from the file.</summary>
    public bool TryBeginWriting() => TryCount(1);

    public void EndWriting() => Interlocked.Decrement(ref _writers);

    /// <summary>A program is about to run from the file: false (ETXTBSY) while somebody has it open for writing.</summary>
    public bool TryBeginExecution() => TryCount(-1);

    public void EndExecution() => Interlocked.Increment(ref _writers);

    private bool TryCount(int step)
    {
        int count = Volatile.Read(ref _writers);
        while (count * step >= 0)
        {
            int seen = Interlocked.CompareExchange(ref _writers, count + step, count);
            if (seen == count)
            {
                return true;
            }

            count = seen;
        }

        return false;
    }

    /// <summary>As <see cref="CheckPermission(Credentials, int)"/>, where it matters who asks: a process looks at its own descriptors whoever owns it.</summary>
    public virtual Errno CheckPermission(ICaller caller, int mask) => CheckPermission(caller.Credentials, mask);

    public void IncRef() => Interlocked.Increment(ref _references);

    /// <summary>Takes a reference unless the last one is gone already: for tables of inodes that hold none themselves.</summary>
    public bool TryIncRef()
    {
        int count = Volatile.Read(ref _references);
        while (count > 0)
        {
            int seen = Interlocked.CompareExchange(ref _references, count + 1, count);
            if (seen == count)
            {
                return true;
            }

            count = seen;
        }

        return false;
    }

    public void DecRef()
    {
        int left = Interlocked.Decrement(ref _references);
        if (left == 0)
        {
            OnRelease();
        }
        else if (left < 0)
        {
            Invariant.Fail("inode reference count below zero");
        }
    }

    /// <summary>The last reference is gone.</summary>
    protected virtual void OnRelease()
    {
    }
}
