using System;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>
/// A regular file of the host. read(2) and write(2) go to the host's file at once, from and to the application's memory;
/// the page cache holds only what is mapped, and is kept equal to the file.
/// </summary>
/// <remarks>The inode itself is what is mapped, so that it, its cache and its descriptors live as long as a mapping does.</remarks>
internal sealed class GoferFile : GoferInode, IMappable, IPageSource
{
    private readonly PageCache _pages;

    // Held by writes and changes of size, so that O_APPEND is exact. Sleeping lock, before Mu.
    private readonly Lock _writeLock = new();

    // Set under Mu, once; closed when the inode goes. They may be the same.
    private int _readFd = -1;
    private int _writeFd = -1;

    public GoferFile(GoferSuperBlock super, uint fid, in StatBuffer stat, int descriptor)
        : base(super, fid, stat)
    {
        _pages = new PageCache(super.Kernel.Memory, this, new MappingIdentity("", 0, Number));
        _pages.SetSize((ulong)Math.Max(stat.Size, 0));
        _readFd = _writeFd = descriptor;
    }

    public MappingIdentity Identity
    {
        get => _pages.Identity;
        set => _pages.Identity = value;
    }

    /// <summary>Size now: our own count of a file that only we change, else the host's.</summary>
    private long Size
    {
        get
        {
            if (!Gofer.IsExclusive)
            {
                _ = GetStat(fresh: true, out _);
            }

            return (long)_pages.Size;
        }
    }

    public static void CloseDescriptor(int fd) => _ = HostFile.Close(fd);

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        int access = flags & Fcntl.O_ACCMODE;
        if (access != Fcntl.O_WRONLY)
        {
            Errno error = Ensure(ref _readFd, Fcntl.O_RDONLY);
            if (error != Errno.None)
            {
                return error;
            }
        }

        if (access != Fcntl.O_RDONLY)
        {
            Errno error = Ensure(ref _writeFd, Fcntl.O_RDWR);
            if (error != Errno.None)
            {
                return error;
            }
        }

        file = new Description(this, path, flags);
        return Errno.None;
    }

    private Errno Ensure(ref int descriptor, int access)
    {
        if (Volatile.Read(ref descriptor) >= 0)
        {
            return Errno.None;
        }

        lock (Mu)
        {
            if (descriptor >= 0)
            {
                return Errno.None;
            }

            Errno error = Client.Donate(Fid, access, out int fd);
            if (error == Errno.EACCES && access == Fcntl.O_RDWR)
            {
                error = Client.Donate(Fid, Fcntl.O_WRONLY, out fd);
            }

            if (error == Errno.None)
            {
                Volatile.Write(ref descriptor, fd);
            }

            return error;
        }
    }

    protected override Errno FetchLocked(out StatBuffer stat)
    {
        int fd = _readFd >= 0 ? _readFd : _writeFd;
        if (fd < 0 || Gofer.MapsOwners)
        {
            return base.FetchLocked(out stat);
        }

        int result = HostFile.Stat(fd, out stat);
        return result < 0 ? (Errno)(-result) : Errno.None;
    }

    protected override void OnRefreshedLocked(in StatBuffer old, in StatBuffer stat, bool ours)
    {
        ulong size = (ulong)Math.Max(stat.Size, 0);
        bool changed = old.Size != stat.Size || old.ModifyTime.Seconds != stat.ModifyTime.Seconds || old.ModifyTime.Nanoseconds != stat.ModifyTime.Nanoseconds;
        if (Gofer.IsExclusive || !changed)
        {
            return;
        }

        if (size < _pages.Size)
        {
            _pages.Truncate(size);
        }
        else
        {
            _pages.SetSize(size);
        }

        if (!ours && !_pages.IsEmpty && !_pages.HasWritableMapping)
        {
            _pages.Forget();
        }
    }

    protected override Errno Resize(long size)
    {
        if (size < 0)
        {
            return Errno.EINVAL;
        }

        lock (_writeLock)
        {
            Errno error;
            if (_writeFd >= 0)
            {
                int result = HostFile.Truncate(_writeFd, size);
                error = result < 0 ? (Errno)(-result) : Errno.None;
            }
            else
            {
                error = Client.SetAttributes(Fid, new AttributeChange { Mask = AttributeMask.Size, Size = size });
            }

            if (error == Errno.None)
            {
                _pages.Truncate((ulong)size);
                Invalidate();
            }

            return error;
        }
    }

    private long ReadAt(ref IoBuffer destination, long offset)
    {
        // Pages that applications write to are newer than the file.
        if (_pages.HasWritableMapping)
        {
            return _pages.Read(ref destination, (ulong)offset);
        }

        long done = 0;
        while (destination.Remaining > 0)
        {
            Errno error = destination.BeginHostRange(AccessType.Write, out HostRange range);
            if (error != Errno.None)
            {
                return done > 0 ? done : -(long)error;
            }

            int length = range.Span.Length;
            long n = HostFile.PRead(_readFd, range.Span, offset + done);
            if (n > 0)
            {
                destination.Advance(n);
            }

            destination.EndHostRange(range);
            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            done += n;
            if (n < length)
            {
                break;
            }
        }

        return done;
    }

    private long WriteAt(ref IoBuffer source, long offset, bool append, out long end)
    {
        lock (_writeLock)
        {
            end = append ? Size : offset;
            long done = 0;
            while (source.Remaining > 0)
            {
                Errno error = source.BeginHostRange(AccessType.Read, out HostRange range);
                if (error != Errno.None)
                {
                    done = done > 0 ? done : -(long)error;
                    break;
                }

                int length = range.Span.Length;
                long n = HostFile.PWrite(_writeFd, range.Span, end);
                if (n > 0)
                {
                    _pages.Update((ulong)end, range.Span[..(int)n]);
                    source.Advance(n);
                }

                source.EndHostRange(range);
                if (n < 0)
                {
                    done = done > 0 ? done : n;
                    break;
                }

                done += n;
                end += n;
                if (n < length)
                {
                    break;
                }
            }

            if (done > 0)
            {
                Invalidate();
            }

            return done;
        }
    }

    private Errno Allocate(int mode, long offset, long length)
    {
        const int known = Fcntl.FALLOC_FL_KEEP_SIZE | Fcntl.FALLOC_FL_PUNCH_HOLE | Fcntl.FALLOC_FL_ZERO_RANGE;
        if ((mode & ~known) != 0)
        {
            return Errno.EOPNOTSUPP;
        }

        lock (_writeLock)
        {
            int result = HostFile.Allocate(_writeFd, mode, offset, length);
            if (result < 0)
            {
                return (Errno)(-result);
            }

            if ((mode & (Fcntl.FALLOC_FL_PUNCH_HOLE | Fcntl.FALLOC_FL_ZERO_RANGE)) != 0)
            {
                _pages.Punch((ulong)offset, (ulong)length);
            }

            if ((mode & Fcntl.FALLOC_FL_KEEP_SIZE) == 0 && offset + length > (long)_pages.Size)
            {
                _pages.SetSize((ulong)(offset + length));
            }

            Invalidate();
            return Errno.None;
        }
    }

    // Called with the cache's lock held; descriptors are there since the file was opened for what is mapped.
    public Errno ReadPages(ulong offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            long n = HostFile.PRead(_readFd >= 0 ? _readFd : _writeFd, destination, (long)offset);
            if (n < 0)
            {
                return (Errno)(-n);
            }

            if (n == 0)
            {
                break;
            }

            destination = destination[(int)n..];
            offset += (ulong)n;
        }

        // Pages that are used again are not always clean.
        destination.Clear();
        return Errno.None;
    }

    public Errno WritePages(ulong offset, ReadOnlySpan<byte> source)
    {
        while (source.Length > 0)
        {
            long n = HostFile.PWrite(_writeFd, source, (long)offset);
            if (n <= 0)
            {
                return n < 0 ? (Errno)(-n) : Errno.EIO;
            }

            source = source[(int)n..];
            offset += (ulong)n;
        }

        return Errno.None;
    }

    public Errno Translate(ulong offset, ulong length, AccessType access, out FileRange range) => _pages.Translate(offset, length, access, out range);

    public void AddMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared) =>
        _pages.AddMapping(space, address, offset, length, writableShared);

    public void RemoveMapping(IMappingSpace space, ulong address, ulong offset, ulong length, bool writableShared)
    {
        _pages.RemoveMapping(space, address, offset, length, writableShared);
        if (writableShared)
        {
            // Nobody may come to do it later: the sandbox can end at any time.
            _ = Sync(offset, length);
        }
    }

    public Errno Sync(ulong offset, ulong length) => _pages.Sync(offset, length);

    protected override void OnRelease()
    {
        _pages.DecRef();
        int read = _readFd, write = _writeFd;
        if (read >= 0)
        {
            _ = HostFile.Close(read);
        }

        if (write >= 0 && write != read)
        {
            _ = HostFile.Close(write);
        }

        base.OnRelease();
    }

    private sealed class Description(GoferFile inode, in VfsPath path, int flags) : RegularFileDescription(path, flags)
    {
        protected override long Size => inode.Size;

        public override Errno GetMappable(out IMappable? mappable)
        {
            if (!inode.Gofer.IsExclusive)
            {
                _ = inode.GetStat(fresh: true, out _);
            }

            if (inode.Identity.Name.Length == 0)
            {
                inode.Identity = new MappingIdentity(Path.Dentry.PathInFileSystem(), inode.Super.Device, inode.Number);
            }

            inode.IncRef();
            mappable = inode;
            return Errno.None;
        }

        protected override long ReadAt(ref IoBuffer destination, long offset) => inode.ReadAt(ref destination, offset);

        protected override long WriteAt(ICaller caller, ref IoBuffer source, long offset, bool append, out long end) =>
            inode.WriteAt(ref source, offset, append, out end);

        protected override long SeekDataOrHole(long offset, bool data) =>
            HostFile.Seek(inode._readFd >= 0 ? inode._readFd : inode._writeFd, offset, data ? Fcntl.SEEK_DATA : Fcntl.SEEK_HOLE);

        public override Errno Sync(bool dataOnly)
        {
            Errno error = inode.Sync(0, ulong.MaxValue);
            int fd = inode._writeFd >= 0 ? inode._writeFd : inode._readFd;
            int result = HostFile.Sync(fd, dataOnly);
            return error != Errno.None ? error : result < 0 ? (Errno)(-result) : Errno.None;
        }

        public override Errno Truncate(ICaller caller, long length) =>
            inode.SetAttributes(new AttributeChange { Mask = AttributeMask.Size, Size = length });

        public override Errno Allocate(ICaller caller, int mode, long offset, long length) => inode.Allocate(mode, offset, length);
    }
}
