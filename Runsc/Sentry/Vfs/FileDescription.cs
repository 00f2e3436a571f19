using System;
using System.Threading;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Vfs;

/// <summary>An open file description (open(2)): what several file descriptors, and processes after fork, may share.</summary>
/// <remarks>
/// No operation waits for another task: what would block returns −EAGAIN, whatever O_NONBLOCK says, and the system-call layer
/// waits by <see cref="IWaitable"/> and tries again. Short host I/O of regular files is no such wait.
/// Reference counted: one for each descriptor and each call under way; <see cref="OnRelease"/> comes with the last.
/// </remarks>
internal abstract class FileDescription : IWaitable
{
    private int _references = 1;
    private int _statusFlags;

    /// <param name="path">Where it was opened; its references pass to the description. Anonymous files have a path in the anonymous file system.</param>
    /// <param name="flags">O_* flags of open; access mode and status flags are kept.</param>
    protected FileDescription(in VfsPath path, int flags)
    {
        Path = path;
        _statusFlags = flags & ~(Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_NOCTTY | Fcntl.O_TRUNC | Fcntl.O_CLOEXEC);
    }

    public VfsPath Path { get; }

    public Inode Inode => Path.Dentry.Inode!;

    /// <summary>Access mode and status flags as F_GETFL reports them. F_SETFL changes O_APPEND, O_ASYNC, O_DIRECT, O_NOATIME, O_NONBLOCK.</summary>
    public int StatusFlags => Volatile.Read(ref _statusFlags);

    public bool IsReadable => (StatusFlags & (Fcntl.O_ACCMODE | Fcntl.O_PATH)) is Fcntl.O_RDONLY or Fcntl.O_RDWR;

    public bool IsWritable => (StatusFlags & (Fcntl.O_ACCMODE | Fcntl.O_PATH)) is Fcntl.O_WRONLY or Fcntl.O_RDWR;

    public bool IsNonBlocking => (StatusFlags & Fcntl.O_NONBLOCK) != 0;

    public bool IsAppend => (StatusFlags & Fcntl.O_APPEND) != 0;

    /// <summary>F_SETFL. EINVAL where the file cannot have a flag, EPERM.</summary>
    public virtual Errno SetStatusFlags(int flags)
    {
        const int changeable = Fcntl.O_APPEND | Fcntl.O_ASYNC | Fcntl.O_DIRECT | Fcntl.O_NOATIME | Fcntl.O_NONBLOCK;
        int old, wanted;
        do
        {
            old = Volatile.Read(ref _statusFlags);
            wanted = (old & ~changeable) | (flags & changeable);
        }
        while (Interlocked.CompareExchange(ref _statusFlags, wanted, old) != old);
        return Errno.None;
    }

    /// <summary>read(2) at the description's own position. Bytes read, 0 at the end, or −errno (EAGAIN, EISDIR, EINVAL, …). Access mode was checked.</summary>
    public virtual long Read(ICaller caller, ref IoBuffer destination) => -(long)Errno.EINVAL;

    /// <summary>pread(2). ESPIPE for files without a position.</summary>
    public virtual long PRead(ICaller caller, ref IoBuffer destination, long offset) => -(long)Errno.ESPIPE;

    /// <summary>write(2) at the description's own position, or the end with O_APPEND.</summary>
    public virtual long Write(ICaller caller, ref IoBuffer source) => -(long)Errno.EINVAL;

    public virtual long PWrite(ICaller caller, ref IoBuffer source, long offset) => -(long)Errno.ESPIPE;

    /// <summary>A write to the end whatever the description says (RWF_APPEND of pwritev2(2)); the position follows if asked for.</summary>
    public virtual long Append(ICaller caller, ref IoBuffer source, bool movesPosition) => Write(caller, ref source);

    /// <summary>lseek(2): the new position or −errno.</summary>
    public virtual long Seek(ICaller caller, long offset, int whence) => -(long)Errno.ESPIPE;

    /// <summary>ioctl(2) beyond the generic ones (FIOCLEX, FIONBIO, FIOASYNC are done by the caller). ENOTTY when unknown.</summary>
    public virtual long Ioctl(ICaller caller, uint command, ulong argument) => -(long)Errno.ENOTTY;

    /// <summary>
    /// Gives directory entries from the description's position to the sink until it is full; "." and ".." included. ENOTDIR.
    /// </summary>
    public virtual Errno ReadDirectory(ICaller caller, IDirectorySink sink) => Errno.ENOTDIR;

    /// <summary>The object that mmap(2) maps; a reference for the caller. ENODEV when the file cannot be mapped.</summary>
    public virtual Errno GetMappable(out IMappable? mappable)
    {
        mappable = null;
        return Errno.ENODEV;
    }

    /// <summary>fsync(2), fdatasync(2). EINVAL for files with nothing behind them.</summary>
    public virtual Errno Sync(bool dataOnly) => Errno.EINVAL;

    /// <summary>ftruncate(2). EINVAL for what is no regular file.</summary>
    public virtual Errno Truncate(ICaller caller, long length) => Errno.EINVAL;

    /// <summary>fallocate(2) with its modes. ENODEV, EOPNOTSUPP.</summary>
    public virtual Errno Allocate(ICaller caller, int mode, long offset, long length) => Errno.ENODEV;

    public virtual EventMask Readiness(EventMask mask) => mask & (EventMask.Readable | EventMask.Writable);

    public virtual void Register(Waiter waiter)
    {
    }

    public virtual void Unregister(Waiter waiter)
    {
    }

    /// <summary>epoll_ctl(2) gives EPERM for files that are always ready (regular files, directories).</summary>
    public virtual bool SupportsPoll => false;

    /// <summary>close(2) of one descriptor of several: called before the reference goes. For flush-like effects.</summary>
    public virtual Errno OnClose(ICaller caller) => Errno.None;

    /// <summary>Extra lines of /proc/PID/fdinfo/N (eventfd-count, tfd, inotify, …), each ended by a newline.</summary>
    public virtual string ShownInfo => "";

    /// <summary>What readlink of /proc/PID/fd/N shows, when it is not the path ("pipe:[12]", "anon_inode:[eventpoll]").</summary>
    public virtual string? ShownName => null;

    /// <summary>How many descriptors, messages in flight and calls under way hold it.</summary>
    public int References => Volatile.Read(ref _references);

    public void IncRef() => Interlocked.Increment(ref _references);

    /// <summary>Takes a reference unless the last one is gone already.</summary>
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
            if ((StatusFlags & Fcntl.O_PATH) == 0)
            {
                FileEvents.Raise(Path.Dentry, IsWritable ? Inotify.IN_CLOSE_WRITE : Inotify.IN_CLOSE_NOWRITE);
            }

            EpollRegistrations?.OnFileReleased(this);
            Inode.Locks?.ReleaseAllOf(this);
            EndUse();
            if (AsyncWaiter is { } waiter)
            {
                Unregister(waiter);
            }

            OnRelease();
            Path.DecRef();
        }
        else if (left < 0)
        {
            Invariant.Fail("file description reference count below zero");
        }
    }

    /// <summary>Who is told of input by a signal (F_SETOWN, F_SETSIG). Whole values are written; readers see the old or the new one.</summary>
    public AsyncOwner AsyncOwner { get; set; } = AsyncOwner.None;

    /// <summary>What sends the signals, once there is an owner or O_ASYNC; in the file's wait queue until the file goes.</summary>
    public Waiter? AsyncWaiter;

    /// <summary>A writer found no room: the owner wants to hear when there is some.</summary>
    public bool WasFull { get; set; }

    /// <summary>Epoll sets that hold this file; they forget it when the last descriptor is closed.</summary>
    public IEpollRegistrations? EpollRegistrations;

    /// <summary>What the description counts as in its inode, to be given back when it goes.</summary>
    internal FileUse Use { get; set; }

    private void EndUse()
    {
        if (Use == FileUse.Write)
        {
            Inode.EndWriting();
        }
        else if (Use == FileUse.Execution)
        {
            Inode.EndExecution();
        }
    }

    /// <summary>The last descriptor is closed.</summary>
    protected virtual void OnRelease()
    {
    }
}

/// <summary>Writers and running programs exclude each other (ETXTBSY).</summary>
internal enum FileUse
{
    None,
    Write,
    Execution,
}

/// <summary>A process, group or thread that gets SIGIO (fcntl(2)): kind is F_OWNER_*, signal 0 means SIGIO.</summary>
internal sealed record AsyncOwner(int Kind, int Id, int Signal)
{
    public static readonly AsyncOwner None = new(1, 0, 0);
}

/// <summary>Where directory entries go.</summary>
internal interface IDirectorySink
{
    /// <summary>False when the entry does not fit: the directory stops before it. <paramref name="next"/> is the position after it (d_off).</summary>
    bool Add(ReadOnlySpan<byte> name, ulong inode, byte type, long next);
}

/// <summary>The list of epoll interests in one file.</summary>
internal interface IEpollRegistrations
{
    void OnFileReleased(FileDescription file);
}
