using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;

namespace Runsc.Sentry.Vfs;

/// <summary>A description with a position: what regular files of all file systems share.</summary>
internal abstract class RegularFileDescription(in VfsPath path, int flags) : FileDescription(path, flags)
{
    // Held over a read or write at the position, so that those of several threads do not overlap (POSIX). Sleeping lock.
    private readonly Lock _positionLock = new();
    private long _position;

    protected abstract long Size { get; }

    /// <summary>Reads at an offset: bytes, 0 at the end, or −errno.</summary>
    protected abstract long ReadAt(ref IoBuffer destination, long offset);

    /// <summary>Writes at an offset, or at the file's end: bytes or −errno; <paramref name="end"/> is where the written bytes end.</summary>
    protected abstract long WriteAt(ICaller caller, ref IoBuffer source, long offset, bool append, out long end);

    /// <summary>SEEK_DATA and SEEK_HOLE; without knowledge all is data.</summary>
    protected virtual long SeekDataOrHole(long offset, bool data) => offset >= Size ? -(long)Errno.ENXIO : data ? offset : Size;

    /// <summary>Size, reading and writing by offset for a file system that is stacked on this one and keeps the position itself.</summary>
    public long StackedSize => Size;

    /// <inheritdoc cref="ReadAt"/>
    public long StackedRead(ref IoBuffer destination, long offset) => ReadAt(ref destination, offset);

    /// <inheritdoc cref="WriteAt"/>
    public long StackedWrite(ICaller caller, ref IoBuffer source, long offset, bool append, out long end) =>
        WriteAt(caller, ref source, offset, append, out end);

    /// <inheritdoc cref="SeekDataOrHole"/>
    public long StackedSeek(long offset, bool data) => SeekDataOrHole(offset, data);

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        lock (_positionLock)
        {
            long n = ReadAt(ref destination, _position);
            if (n > 0)
            {
                _position += n;
                FileEvents.Raise(Path.Dentry, Inotify.IN_ACCESS);
            }

            return n;
        }
    }

    public override long PRead(ICaller caller, ref IoBuffer destination, long offset)
    {
        long n = ReadAt(ref destination, offset);
        if (n > 0)
        {
            FileEvents.Raise(Path.Dentry, Inotify.IN_ACCESS);
        }

        return n;
    }

    public override long Write(ICaller caller, ref IoBuffer source)
    {
        lock (_positionLock)
        {
            Errno error = IsAppend ? Errno.None : LimitSize(caller, ref source, _position);
            if (error != Errno.None)
            {
                return -(long)error;
            }

            long n = WriteAt(caller, ref source, _position, IsAppend, out long end);
            if (n > 0)
            {
                _position = end;
                FileEvents.Raise(Path.Dentry, Inotify.IN_MODIFY);
            }

            return n;
        }
    }

    public override long PWrite(ICaller caller, ref IoBuffer source, long offset)
    {
        Errno error = LimitSize(caller, ref source, offset);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long n = WriteAt(caller, ref source, offset, IsAppend, out _);
        if (n > 0)
        {
            FileEvents.Raise(Path.Dentry, Inotify.IN_MODIFY);
        }

        return n;
    }

    public override long Append(ICaller caller, ref IoBuffer source, bool movesPosition)
    {
        lock (_positionLock)
        {
            long n = WriteAt(caller, ref source, _position, append: true, out long end);
            if (n > 0)
            {
                _position = movesPosition ? end : _position;
                FileEvents.Raise(Path.Dentry, Inotify.IN_MODIFY);
            }

            return n;
        }
    }

    public override long Seek(ICaller caller, long offset, int whence)
    {
        lock (_positionLock)
        {
            long target;
            switch (whence)
            {
                case Fcntl.SEEK_SET:
                    target = offset;
                    break;
                case Fcntl.SEEK_CUR:
                    target = unchecked(_position + offset);
                    break;
                case Fcntl.SEEK_END:
                    target = unchecked(Size + offset);
                    break;
                case Fcntl.SEEK_DATA:
                case Fcntl.SEEK_HOLE:
                    target = offset < 0 ? -(long)Errno.ENXIO : SeekDataOrHole(offset, whence == Fcntl.SEEK_DATA);
                    if (target < 0)
                    {
                        return target;
                    }

                    break;
                default:
                    return -(long)Errno.EINVAL;
            }

            if (target < 0)
            {
                return whence == Fcntl.SEEK_SET || offset < 0 ? -(long)Errno.EINVAL : -(long)Errno.EOVERFLOW;
            }

            _position = target;
            return target;
        }
    }

    /// <summary>RLIMIT_FSIZE and the largest file: shortens the write, or EFBIG.</summary>
    private static Errno LimitSize(ICaller caller, ref IoBuffer source, long offset)
    {
        ulong limit = Math.Min(caller.FileSizeLimit, long.MaxValue);
        if (source.Remaining == 0)
        {
            return Errno.None;
        }

        if ((ulong)offset >= limit)
        {
            if (caller.FileSizeLimit != ulong.MaxValue)
            {
                caller.FileSizeExceeded();
            }

            return Errno.EFBIG;
        }

        source.Truncate((long)(limit - (ulong)offset));
        return Errno.None;
    }
}
