using System;
using System.Buffers;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Overlay;

/// <summary>A regular file. Its bytes are copied up when it is opened for writing, its attributes when they change.</summary>
/// <remarks>Descriptions follow the file when it is copied; a mapping that was made before stays on the lower file, as with overlayfs.</remarks>
internal sealed class OverlayFile(OverlaySuperBlock super, Inode? upper, Inode? lower, ulong number) : OverlayInode(super, upper, lower, number)
{
    private const int CopyStep = 256 << 10;

    // Held while bytes are copied up. Sleeping lock, before Structure.
    private readonly Lock _dataLock = new();

    /// <summary>The bytes are still the lower file's.</summary>
    private bool IsDataInLower => Upper is null || Origin is { DataInLower: true };

    public override Errno SetAttributes(in AttributeChange change)
    {
        Errno error = CopyUp();
        if (error != Errno.None)
        {
            return error;
        }

        if ((change.Mask & AttributeMask.Size) == 0)
        {
            return base.SetAttributes(change);
        }

        // What is cut off need not be copied.
        error = CopyUpData(change.Size);
        return error == Errno.None ? base.SetAttributes(change) : error;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        Errno error = Errno.None;
        if ((flags & Fcntl.O_ACCMODE) != Fcntl.O_RDONLY)
        {
            error = CopyUp();
            error = error == Errno.None ? CopyUpData(long.MaxValue) : error;
        }

        if (error != Errno.None)
        {
            return error;
        }

        Description description = new(this, path, flags);
        error = description.GetReal(out _);
        if (error != Errno.None)
        {
            description.Abandon();
            return error;
        }

        file = description;
        return Errno.None;
    }

    /// <summary>Copies the bytes up, at most <paramref name="limit"/> of them. ENOSPC, EIO.</summary>
    private Errno CopyUpData(long limit)
    {
        if (!IsDataInLower)
        {
            return Errno.None;
        }

        lock (_dataLock)
        {
            if (!IsDataInLower)
            {
                return Errno.None;
            }

            Inode upper = Upper!;
            Errno error = upper.GetAttributes(out FileAttributes attributes);
            if (error != Errno.None)
            {
                return error;
            }

            if (limit > 0)
            {
                error = Copy(upper, limit);
            }

            if (error != Errno.None)
            {
                _ = upper.SetAttributes(new AttributeChange { Mask = AttributeMask.Size });
            }

            _ = upper.SetAttributes(AllOf(attributes));
            if (error == Errno.None)
            {
                Origin!.DataInLower = false;
            }

            return error;
        }
    }

    private Errno Copy(Inode upper, long limit)
    {
        Errno error = Overlay.OpenReal(Lower!, [], Fcntl.O_RDONLY, out FileDescription? source);
        if (error != Errno.None)
        {
            return error;
        }

        error = Overlay.OpenReal(upper, [], Fcntl.O_RDWR, out FileDescription? target);
        if (error == Errno.None)
        {
            error = CopyBytes((RegularFileDescription)source!, (RegularFileDescription)target!, limit);
            target!.DecRef();
        }

        source!.DecRef();
        return error;
    }

    private static Errno CopyBytes(RegularFileDescription source, RegularFileDescription target, long limit)
    {
        long size = Math.Min(source.StackedSize, limit);
        byte[] bytes = ArrayPool<byte>.Shared.Rent(CopyStep);
        Errno error = Errno.None;
        long at = 0;
        while (at < size && error == Errno.None)
        {
            // Holes stay holes.
            long data = source.StackedSeek(at, data: true);
            if (data == -(long)Errno.ENXIO)
            {
                break;
            }

            at = data > at ? data : at;
            IoBuffer buffer = new(bytes.AsSpan(0, (int)Math.Clamp(size - at, 0, CopyStep)));
            long n = source.StackedRead(ref buffer, at);
            if (n <= 0)
            {
                error = n < 0 ? (Errno)(-n) : Errno.None;
                break;
            }

            IoBuffer written = new(bytes.AsSpan(0, (int)n));
            while (written.Remaining > 0 && error == Errno.None)
            {
                long m = target.StackedWrite(OverlaySuperBlock.InternalCaller.Instance, ref written, at, append: false, out at);
                error = m < 0 ? (Errno)(-m) : m == 0 ? Errno.EIO : Errno.None;
            }
        }

        ArrayPool<byte>.Shared.Return(bytes);
        return error == Errno.None ? target.Truncate(OverlaySuperBlock.InternalCaller.Instance, size) : error;
    }

    private sealed class Description(OverlayFile inode, in VfsPath path, int flags) : RegularFileDescription(path, flags)
    {
        // Opened when first needed; both live until the description is closed, since others may be reading.
        private RegularFileDescription? _lowerFile;
        private RegularFileDescription? _upperFile;

        /// <summary>The file that has the bytes now.</summary>
        public Errno GetReal(out RegularFileDescription real)
        {
            return inode.IsDataInLower ? GetReal(ref _lowerFile, inode.Lower!, Fcntl.O_RDONLY, out real) : GetReal(ref _upperFile, inode.Upper!, Fcntl.O_RDWR, out real);
        }

        private Errno GetReal(ref RegularFileDescription? slot, Inode of, int flags, out RegularFileDescription real)
        {
            real = Volatile.Read(ref slot)!;
            if (real is not null)
            {
                return Errno.None;
            }

            Errno error = inode.Overlay.OpenReal(of, Path.Dentry.Name, flags, out FileDescription? opened);
            if (error != Errno.None)
            {
                real = null!;
                return error;
            }

            real = (RegularFileDescription)opened!;
            RegularFileDescription? first = Interlocked.CompareExchange(ref slot, real, null);
            if (first is not null)
            {
                opened!.DecRef();
                real = first;
            }

            return Errno.None;
        }

        /// <summary>The open failed: the path's references stay with the caller.</summary>
        public void Abandon() => OnRelease();

        protected override long Size => GetReal(out RegularFileDescription real) == Errno.None ? real.StackedSize : 0;

        protected override long ReadAt(ref IoBuffer destination, long offset)
        {
            Errno error = GetReal(out RegularFileDescription real);
            return error == Errno.None ? real.StackedRead(ref destination, offset) : -(long)error;
        }

        protected override long WriteAt(ICaller caller, ref IoBuffer source, long offset, bool append, out long end)
        {
            end = offset;
            Errno error = GetReal(out RegularFileDescription real);
            return error == Errno.None ? real.StackedWrite(caller, ref source, offset, append, out end) : -(long)error;
        }

        protected override long SeekDataOrHole(long offset, bool data)
        {
            Errno error = GetReal(out RegularFileDescription real);
            return error == Errno.None ? real.StackedSeek(offset, data) : -(long)error;
        }

        public override Errno GetMappable(out IMappable? mappable)
        {
            mappable = null;
            Errno error = GetReal(out RegularFileDescription real);
            error = error == Errno.None ? real.GetMappable(out mappable) : error;
            if (mappable is not null && mappable.Identity.Device != inode.Super.Device)
            {
                mappable.Identity = new MappingIdentity(Path.Dentry.PathInFileSystem(), inode.Super.Device, inode.Number);
            }

            return error;
        }

        public override Errno Sync(bool dataOnly) => Errno.None;

        public override Errno Truncate(ICaller caller, long length) =>
            inode.SetAttributes(new AttributeChange { Mask = AttributeMask.Size, Size = length });

        public override Errno Allocate(ICaller caller, int mode, long offset, long length)
        {
            Errno error = GetReal(out RegularFileDescription real);
            return error == Errno.None ? real.Allocate(caller, mode, offset, length) : error;
        }

        protected override void OnRelease()
        {
            Interlocked.Exchange(ref _lowerFile, null)?.DecRef();
            Interlocked.Exchange(ref _upperFile, null)?.DecRef();
        }
    }
}
