using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Tmpfs;

/// <summary>A regular file: its page cache is all there is of it. Also what memfd_create(2) makes, with seals.</summary>
internal sealed class TmpfsFile : TmpfsInode
{
    private readonly PageCache _pages;

    // Held by writes and changes of size, so that O_APPEND and seals are exact. Sleeping lock, before the page cache's.
    private readonly Lock _writeLock = new();

    public TmpfsFile(TmpfsSuperBlock super, in CreateOptions create)
        : base(super, create)
    {
        _pages = new PageCache(super.Kernel.Memory, null, new MappingIdentity("", super.Device, Number)) { ChargePages = super.ChargePages };
    }

    /// <summary>F_SEAL_* of a memfd; null for files that cannot be sealed. Guarded by the write lock.</summary>
    public uint? Seals { get; set; }

    protected override long Size => (long)_pages.Size;

    protected override ulong Blocks => _pages.ResidentPages * 8;

    protected override Errno Resize(long size)
    {
        if (size < 0)
        {
            return Errno.EINVAL;
        }

        lock (_writeLock)
        {
            long old = Size;
            if ((size < old && HasSeal(Fcntl.F_SEAL_SHRINK)) || (size > old && HasSeal(Fcntl.F_SEAL_GROW)))
            {
                return Errno.EPERM;
            }

            _pages.Truncate((ulong)size);
            return Errno.None;
        }
    }

    /// <summary>fcntl(F_ADD_SEALS). EPERM, EINVAL, EBUSY.</summary>
    public Errno AddSeals(uint seals)
    {
        lock (_writeLock)
        {
            if (Seals is not uint have)
            {
                return Errno.EINVAL;
            }

            if ((have & Fcntl.F_SEAL_SEAL) != 0)
            {
                return Errno.EPERM;
            }

            if ((seals & Fcntl.F_SEAL_WRITE) != 0 && _pages.HasWritableMapping)
            {
                return Errno.EBUSY;
            }

            Seals = have | seals;
            return Errno.None;
        }
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = new Description(this, path, flags);
        return Errno.None;
    }

    protected override void OnRelease()
    {
        _pages.DecRef();
        base.OnRelease();
    }

    private bool HasSeal(int seal) => Seals is uint seals && (seals & (uint)seal) != 0;

    private sealed class Description(TmpfsFile inode, in VfsPath path, int flags) : RegularFileDescription(path, flags)
    {
        protected override long Size => inode.Size;

        public override Errno GetMappable(out IMappable? mappable)
        {
            if (inode._pages.Identity.Name.Length == 0)
            {
                inode._pages.Identity = inode._pages.Identity with { Name = Path.Dentry.PathInFileSystem() };
            }

            inode._pages.IncRef();
            mappable = inode._pages;
            return Errno.None;
        }

        protected override long ReadAt(ref IoBuffer destination, long offset)
        {
            long n = inode._pages.Read(ref destination, (ulong)offset);
            if (n > 0 && (StatusFlags & Fcntl.O_NOATIME) == 0)
            {
                inode.TouchAccess();
            }

            return n;
        }

        protected override long WriteAt(ICaller caller, ref IoBuffer source, long offset, bool append, out long end)
        {
            lock (inode._writeLock)
            {
                end = append ? inode.Size : offset;
                if (inode.HasSeal(Fcntl.F_SEAL_WRITE | Fcntl.F_SEAL_FUTURE_WRITE))
                {
                    return -(long)Errno.EPERM;
                }

                if (inode.HasSeal(Fcntl.F_SEAL_GROW))
                {
                    if (end >= inode.Size)
                    {
                        return -(long)Errno.EPERM;
                    }

                    source.Truncate(inode.Size - end);
                }

                long n = inode._pages.Write(ref source, (ulong)end);
                if (n > 0)
                {
                    end += n;
                    inode.TouchModify();
                    if (inode.HasSetId && !caller.Credentials.HasCapability(Capability.CAP_FSETID))
                    {
                        inode.DropSetId();
                    }
                }

                return n;
            }
        }

        protected override long SeekDataOrHole(long offset, bool data) => inode._pages.SeekDataOrHole((ulong)offset, data);

        public override Errno Sync(bool dataOnly) => Errno.None;

        public override Errno Truncate(ICaller caller, long length) => inode.SetAttributes(new AttributeChange { Mask = AttributeMask.Size, Size = length });

        public override Errno Allocate(ICaller caller, int mode, long offset, long length)
        {
            const int punch = Fcntl.FALLOC_FL_PUNCH_HOLE | Fcntl.FALLOC_FL_KEEP_SIZE;
            if (mode is not (0 or Fcntl.FALLOC_FL_KEEP_SIZE or punch or Fcntl.FALLOC_FL_ZERO_RANGE or (Fcntl.FALLOC_FL_ZERO_RANGE | Fcntl.FALLOC_FL_KEEP_SIZE)))
            {
                return Errno.EOPNOTSUPP;
            }

            lock (inode._writeLock)
            {
                long end = checked(offset + length);
                if (mode == punch)
                {
                    if (inode.HasSeal(Fcntl.F_SEAL_WRITE))
                    {
                        return Errno.EPERM;
                    }

                    inode._pages.Punch((ulong)offset, (ulong)length);
                    inode.TouchModify();
                    return Errno.None;
                }

                bool grows = (mode & Fcntl.FALLOC_FL_KEEP_SIZE) == 0 && end > inode.Size;
                if (grows && inode.HasSeal(Fcntl.F_SEAL_GROW))
                {
                    return Errno.EPERM;
                }

                if ((mode & Fcntl.FALLOC_FL_ZERO_RANGE) != 0)
                {
                    inode._pages.Punch((ulong)offset, (ulong)length);
                }

                Errno error = inode._pages.Reserve((ulong)offset, (ulong)length);
                if (error == Errno.None && grows)
                {
                    inode._pages.SetSize((ulong)end);
                    inode.TouchModify();
                }

                return error;
            }
        }
    }
}
