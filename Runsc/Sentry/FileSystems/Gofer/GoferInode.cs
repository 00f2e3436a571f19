using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NineP;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Gofer;

/// <summary>A file of the gofer. Its fid is an O_PATH descriptor over there; regular files are read and written through descriptors that the gofer gave us.</summary>
internal sealed class GoferInode : Inode, IPageSource
{
    private readonly GoferSuperBlock _super;
    private readonly uint _type;
    private readonly Lock _mu = new();

    // Guarded by _mu: what is known of the file, the host's descriptors (−1: not open), and its page cache.
    private WireAttributes _attributes;
    private int _readFd = -1;
    private int _writeFd = -1;
    private PageCache? _pages;
    private byte[]? _target;

    public GoferInode(GoferSuperBlock super, uint fid, in WireAttributes attributes)
        : base(super)
    {
        _super = super;
        Fid = fid;
        _attributes = attributes;
        _type = attributes.Mode & (uint)Stat.S_IFMT;
        Key = (attributes.Device, attributes.Inode);
    }

    public uint Fid { get; }

    /// <summary>Device and inode on the host.</summary>
    public (ulong Device, ulong Number) Key { get; }

    /// <summary>Held by writes and changes of size, so that O_APPEND is exact. Sleeping lock, before _mu.</summary>
    internal Lock WriteLock { get; } = new();

    public override uint FileType => _type;

    public override ulong DeviceNumber => _attributes.DeviceNumber;

    public long Size
    {
        get
        {
            lock (_mu)
            {
                return (long)_attributes.Size;
            }
        }
    }

    /// <summary>Another name of the file was walked to: newer attributes.</summary>
    public void Refresh(in WireAttributes attributes)
    {
        lock (_mu)
        {
            if (_pages is null || _pages.IsClean)
            {
                _attributes = attributes;
                _pages?.SetSize(attributes.Size);
            }
        }
    }

    private Errno Revalidate()
    {
        if (_super.IsExclusive)
        {
            return Errno.None;
        }

        Errno error = _super.Client.GetAttributes(Fid, out WireAttributes attributes);
        if (error == Errno.None)
        {
            bool changed;
            lock (_mu)
            {
                changed = _pages is not null && _pages.IsClean
                    && (attributes.ModifyTime != _attributes.ModifyTime || attributes.Size != _attributes.Size);
            }

            Refresh(attributes);
            if (changed)
            {
                _pages!.Forget();
            }
        }

        return error;
    }

    public override Errno GetAttributes(out FileAttributes attributes)
    {
        Errno error = Revalidate();
        lock (_mu)
        {
            attributes = new FileAttributes
            {
                Mode = _attributes.Mode,
                Uid = _attributes.Uid,
                Gid = _attributes.Gid,
                Device = _super.Device,
                Inode = _attributes.Inode,
                Links = _attributes.Links,
                DeviceNumber = _attributes.DeviceNumber,
                Size = (long)_attributes.Size,
                Blocks = _attributes.Blocks,
                BlockSize = 4096,
                AccessTime = ToFileTime(_attributes.AccessTime),
                ModifyTime = ToFileTime(_attributes.ModifyTime),
                ChangeTime = ToFileTime(_attributes.ChangeTime),
            };
        }

        return error;
    }

    private static FileTime ToFileTime(WireTime time) => new(time.Seconds, (uint)time.Nanoseconds);

    public override Errno SetAttributes(in AttributeChange change)
    {
        lock (WriteLock)
        {
            Errno error = _super.Client.SetAttributes(Fid, change);
            if (error != Errno.None)
            {
                return error;
            }

            if ((change.Mask & AttributeMask.Size) != 0)
            {
                PageCache? pages;
                lock (_mu)
                {
                    pages = _pages;
                }

                pages?.Truncate((ulong)change.Size);
            }

            return Reload();
        }
    }

    private Errno Reload()
    {
        Errno error = _super.Client.GetAttributes(Fid, out WireAttributes attributes);
        if (error == Errno.None)
        {
            lock (_mu)
            {
                _attributes = attributes;
                _pages?.SetSize(attributes.Size);
            }
        }

        return error;
    }

    public override Errno Lookup(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        Errno error = _super.Client.Walk(Fid, name, out uint fid, out WireAttributes attributes);
        if (error == Errno.None)
        {
            child = _super.GetInode(fid, attributes);
        }

        return error;
    }

    public override bool IsChildValid(ReadOnlySpan<byte> name, Inode? child)
    {
        if (_super.IsExclusive)
        {
            return true;
        }

        Errno error = _super.Client.Walk(Fid, name, out uint fid, out WireAttributes attributes);
        if (error != Errno.None)
        {
            return child is null && error == Errno.ENOENT;
        }

        _super.Client.Clunk(fid);
        return child is GoferInode known && known.Key == (attributes.Device, attributes.Inode);
    }

    public override Errno Create(ReadOnlySpan<byte> name, in CreateOptions create, out Inode? child)
    {
        child = null;
        Errno error = _super.Client.Create(Fid, name, create, out uint fid, out WireAttributes attributes, out int fd);
        if (error != Errno.None)
        {
            return error;
        }

        GoferInode made = _super.GetInode(fid, attributes);
        if (fd >= 0)
        {
            made.GiveDescriptor(fd);
        }

        child = made;
        DirectoryChanged();
        return Errno.None;
    }

    // The descriptor of a new file is good for reading and writing.
    private void GiveDescriptor(int fd)
    {
        lock (_mu)
        {
            if (_readFd < 0 && _writeFd < 0)
            {
                _readFd = _writeFd = fd;
                return;
            }
        }

        HostFile.Close(fd);
    }

    public override Errno Symlink(ReadOnlySpan<byte> name, ReadOnlySpan<byte> target, in CreateOptions create, out Inode? child)
    {
        child = null;
        Errno error = _super.Client.Symlink(Fid, name, target, create, out uint fid, out WireAttributes attributes);
        if (error == Errno.None)
        {
            child = _super.GetInode(fid, attributes);
            DirectoryChanged();
        }

        return error;
    }

    public override Errno Link(ReadOnlySpan<byte> name, Inode target)
    {
        GoferInode file = (GoferInode)target;
        Errno error = _super.Client.Link(Fid, file.Fid, name);
        if (error == Errno.None)
        {
            DirectoryChanged();
            _ = file.Reload();
        }

        return error;
    }

    public override Errno Unlink(ReadOnlySpan<byte> name, Inode child) => Remove(name, child, isDirectory: false);

    public override Errno Rmdir(ReadOnlySpan<byte> name, Inode child) => Remove(name, child, isDirectory: true);

    private Errno Remove(ReadOnlySpan<byte> name, Inode child, bool isDirectory)
    {
        Errno error = _super.Client.Unlink(Fid, name, isDirectory);
        if (error == Errno.None)
        {
            DirectoryChanged();
            _ = ((GoferInode)child).Reload();
        }

        return error;
    }

    public override Errno Rename(ReadOnlySpan<byte> name, Inode child, Inode newDirectory, ReadOnlySpan<byte> newName, Inode? replaced, uint flags)
    {
        GoferInode target = (GoferInode)newDirectory;
        Errno error = _super.Client.Rename(Fid, name, target.Fid, newName, flags);
        if (error == Errno.None)
        {
            DirectoryChanged();
            target.DirectoryChanged();
            _ = ((GoferInode)child).Reload();
            if (replaced is GoferInode old)
            {
                _ = old.Reload();
            }
        }

        return error;
    }

    private void DirectoryChanged() => _ = Reload();

    public override Errno ReadLink(ICaller caller, out byte[] target)
    {
        lock (_mu)
        {
            if (_target is not null)
            {
                target = _target;
                return Errno.None;
            }
        }

        // A link's target never changes.
        Errno error = _super.Client.ReadLink(Fid, out target);
        if (error == Errno.None)
        {
            lock (_mu)
            {
                _target = target;
            }
        }

        return error;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        if (IsDirectory)
        {
            file = new GoferDirectoryDescription(this, path, flags);
            return Errno.None;
        }

        if (!IsRegular)
        {
            return Errno.ENXIO;
        }

        Errno error = Revalidate();
        int access = flags & Fcntl.O_ACCMODE;
        if (error == Errno.None && access != Fcntl.O_WRONLY)
        {
            error = EnsureOpen(write: false);
        }

        if (error == Errno.None && (access != Fcntl.O_RDONLY || (flags & Fcntl.O_TRUNC) != 0))
        {
            error = EnsureOpen(write: true);
        }

        if (error == Errno.None)
        {
            file = new GoferFileDescription(this, path, flags);
        }

        return error;
    }

    /// <summary>Has the gofer open the file, once for reading and once for writing. Errors of open(2).</summary>
    public Errno EnsureOpen(bool write)
    {
        lock (_mu)
        {
            if ((write ? _writeFd : _readFd) >= 0)
            {
                return Errno.None;
            }
        }

        Errno error = _super.Client.Open(Fid, write ? Fcntl.O_RDWR : Fcntl.O_RDONLY, out int fd);
        bool onlyWrite = false;
        if (error == Errno.EACCES && write)
        {
            error = _super.Client.Open(Fid, Fcntl.O_WRONLY, out fd);
            onlyWrite = true;
        }

        if (error != Errno.None)
        {
            return error;
        }

        lock (_mu)
        {
            bool used = false;
            if (write && _writeFd < 0)
            {
                _writeFd = fd;
                used = true;
            }

            if (_readFd < 0 && !onlyWrite)
            {
                _readFd = fd;
                used = true;
            }

            if (!used)
            {
                HostFile.Close(fd);
            }
        }

        return Errno.None;
    }

    /// <summary>The page cache, made on first use.</summary>
    public PageCache GetPages(byte[] name)
    {
        lock (_mu)
        {
            if (_pages is null)
            {
                _pages = new PageCache(_super.Kernel.Memory, this, new MappingIdentity(System.Text.Encoding.Latin1.GetString(name), _super.Device, _attributes.Inode))
                {
                    Released = CloseDescriptors,
                };
                _pages.SetSize(_attributes.Size);
            }

            return _pages;
        }
    }

    /// <summary>Reads at an offset: past the cache while the cache holds nothing newer.</summary>
    public long Read(ref IoBuffer destination, long offset)
    {
        PageCache? pages;
        int fd;
        lock (_mu)
        {
            pages = _pages;
            fd = _readFd;
        }

        if (pages is not null && !pages.IsClean)
        {
            return pages.Read(ref destination, (ulong)offset);
        }

        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent((int)Math.Min(destination.Remaining, 128 << 10));
        long done = 0;
        while (destination.Remaining > 0)
        {
            long n = HostFile.PRead(fd, buffer.AsSpan(0, (int)Math.Min(destination.Remaining, buffer.Length)), offset + done);
            if (n <= 0)
            {
                done = done > 0 ? done : n;
                break;
            }

            long copied = destination.CopyOut(buffer.AsSpan(0, (int)n));
            if (copied < 0)
            {
                done = done > 0 ? done : copied;
                break;
            }

            done += copied;
            if (copied < n)
            {
                break;
            }
        }

        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        return done;
    }

    /// <summary>Writes to the file, and to the pages of it that are cached. Write lock held.</summary>
    public long Write(ref IoBuffer source, long offset)
    {
        PageCache? pages;
        int fd;
        lock (_mu)
        {
            pages = _pages;
            fd = _writeFd;
        }

        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent((int)Math.Min(source.Remaining, 128 << 10));
        long done = 0;
        while (source.Remaining > 0)
        {
            long n = source.CopyIn(buffer.AsSpan(0, (int)Math.Min(source.Remaining, buffer.Length)));
            if (n <= 0)
            {
                done = done > 0 ? done : n;
                break;
            }

            long written = HostFile.PWrite(fd, buffer.AsSpan(0, (int)n), offset + done);
            if (written <= 0)
            {
                done = done > 0 ? done : written;
                break;
            }

            pages?.Update(buffer.AsSpan(0, (int)written), (ulong)(offset + done));
            done += written;
            if (written < n)
            {
                break;
            }
        }

        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        if (done > 0)
        {
            Touch((ulong)(offset + done));
        }

        return done;
    }

    private void Touch(ulong end)
    {
        long now = _super.Kernel.Clock.Realtime;
        WireTime time = new(now / 1_000_000_000, now % 1_000_000_000);
        lock (_mu)
        {
            _attributes.ModifyTime = _attributes.ChangeTime = time;
            if (end > _attributes.Size)
            {
                _attributes.Size = end;
                _attributes.Blocks = (end + 511) / 512;
                _pages?.SetSize(end);
            }
        }
    }

    public Errno ReadPages(ulong offset, Span<byte> destination)
    {
        int fd;
        lock (_mu)
        {
            fd = _readFd;
        }

        while (!destination.IsEmpty)
        {
            long n = HostFile.PRead(fd, destination, (long)offset);
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

        return Errno.None;
    }

    public Errno WritePages(ulong offset, ReadOnlySpan<byte> source)
    {
        int fd;
        lock (_mu)
        {
            fd = _writeFd;
        }

        while (!source.IsEmpty)
        {
            long n = HostFile.PWrite(fd, source, (long)offset);
            if (n <= 0)
            {
                return n < 0 ? (Errno)(-n) : Errno.EIO;
            }

            source = source[(int)n..];
            offset += (ulong)n;
        }

        return Errno.None;
    }

    public Errno Sync(bool dataOnly)
    {
        PageCache? pages;
        int fd;
        lock (_mu)
        {
            pages = _pages;
            fd = _writeFd;
        }

        Errno error = pages?.Sync(0, ulong.MaxValue) ?? Errno.None;
        if (error != Errno.None)
        {
            return error;
        }

        if (fd < 0)
        {
            return IsDirectory ? _super.Client.Sync(Fid, dataOnly) : Errno.None;
        }

        int result = HostFile.Sync(fd, dataOnly);
        return result < 0 ? (Errno)(-result) : Errno.None;
    }

    public Errno Allocate(int mode, long offset, long length)
    {
        int fd;
        lock (_mu)
        {
            fd = _writeFd;
        }

        lock (WriteLock)
        {
            int result = HostFile.Allocate(fd, mode, offset, length);
            if (result < 0)
            {
                return (Errno)(-result);
            }

            if ((mode & ~Fcntl.FALLOC_FL_KEEP_SIZE) != 0)
            {
                _pages?.Forget();
            }

            return Reload();
        }
    }

    public long SeekDataOrHole(long offset, bool data)
    {
        int fd;
        lock (_mu)
        {
            fd = _readFd;
        }

        return fd < 0 ? (data ? offset : Size) : HostFile.Seek(fd, offset, data ? Fcntl.SEEK_DATA : Fcntl.SEEK_HOLE);
    }

    public override long GetXattr(ReadOnlySpan<byte> name, Span<byte> value) => _super.Client.GetXattr(Fid, name, value);

    public override Errno SetXattr(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, int flags) => _super.Client.SetXattr(Fid, name, value, flags);

    public override Errno RemoveXattr(ReadOnlySpan<byte> name) => _super.Client.RemoveXattr(Fid, name);

    public override long ListXattr(Span<byte> names) => _super.Client.ListXattr(Fid, names);

    /// <summary>Names of a directory with the gofer's positions, read in one go as far as a message goes.</summary>
    internal long ReadEntries(ulong offset, List<(byte[] Name, ulong Inode, byte Type, ulong Next)> entries) =>
        _super.Client.ReadDirectory(Fid, offset, (name, inode, type, next) => entries.Add((name.ToArray(), inode, type, next)));

    protected override void OnRelease()
    {
        _super.Forget(this);
        _super.Client.Clunk(Fid);
        if (_pages is PageCache pages)
        {
            // Mappings may go on using the cache, and the cache the descriptors.
            pages.DecRef();
        }
        else
        {
            CloseDescriptors();
        }
    }

    private void CloseDescriptors()
    {
        if (_readFd >= 0)
        {
            HostFile.Close(_readFd);
        }

        if (_writeFd >= 0 && _writeFd != _readFd)
        {
            HostFile.Close(_writeFd);
        }
    }
}
