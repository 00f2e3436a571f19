using System;
using System.Buffers;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Host;

/// <summary>
/// A descriptor that the container was started with (standard input and the like), whatever it is on the host: pipe, file, socket, terminal.
/// Position and O_APPEND are the host's own, shared with whoever else has the file. The host's O_NONBLOCK is never changed, since that
/// would change it for others: reads and writes happen when poll says that they do not block.
/// </summary>
internal sealed class HostFileDescription : FileDescription
{
    // A pipe that poll calls writable takes this much without blocking.
    private const int PipeBuf = 4096;
    private const int MaxChunk = 64 << 10;

    private readonly int _fd;
    private readonly HostWatcher _watcher;
    private readonly WaitQueue _queue = new();
    private readonly bool _isWatched;
    private readonly bool _isRegular;

    /// <param name="watcher">Tells of readiness.</param>
    /// <param name="fd">The host's descriptor; the description owns it.</param>
    /// <param name="path">Its place, with an inode that knows the kind; references pass to the description.</param>
    /// <param name="flags">Access mode and status flags, as the host says.</param>
    public HostFileDescription(HostWatcher watcher, int fd, in VfsPath path, int flags)
        : base(path, flags)
    {
        _watcher = watcher;
        _fd = fd;
        _isRegular = Inode.IsRegular;
        _isWatched = !_isRegular && watcher.Add(fd, _queue);
    }

    public override bool SupportsPoll => !_isRegular;

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        if (_isWatched && Ready(EventMask.In) == 0)
        {
            return -(long)Errno.EAGAIN;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(destination.Remaining, MaxChunk));
        long n = HostFile.Read(_fd, buffer.AsSpan(0, (int)Math.Min(destination.Remaining, buffer.Length)));
        if (n > 0)
        {
            // Bytes that a bad address cannot take are lost, as they are natively for pipes.
            n = destination.CopyOut(buffer.AsSpan(0, (int)n));
        }

        ArrayPool<byte>.Shared.Return(buffer);
        return n == -(long)Errno.EINTR ? -(long)Errno.EAGAIN : n;
    }

    public override long Write(ICaller caller, ref IoBuffer source)
    {
        byte[] buffer = ArrayPool<byte>.Shared.Rent(MaxChunk);
        long total = 0, n = 0;
        while (source.Remaining > 0)
        {
            if (_isWatched && Ready(EventMask.Out) == 0)
            {
                n = -(long)Errno.EAGAIN;
                break;
            }

            int chunk = (int)Math.Min(source.Remaining, _isRegular ? MaxChunk : PipeBuf);
            n = source.CopyIn(buffer.AsSpan(0, chunk));
            if (n <= 0)
            {
                break;
            }

            long taken = n;
            n = HostFile.Write(_fd, buffer.AsSpan(0, (int)taken));
            if (n < 0)
            {
                break;
            }

            total += n;
            if (n < taken)
            {
                break;
            }
        }

        ArrayPool<byte>.Shared.Return(buffer);
        return total > 0 ? total : n == -(long)Errno.EINTR ? -(long)Errno.EAGAIN : n;
    }

    public override long PRead(ICaller caller, ref IoBuffer destination, long offset)
    {
        if (!_isRegular)
        {
            return -(long)Errno.ESPIPE;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(destination.Remaining, MaxChunk));
        long n = HostFile.PRead(_fd, buffer.AsSpan(0, (int)Math.Min(destination.Remaining, buffer.Length)), offset);
        n = n > 0 ? destination.CopyOut(buffer.AsSpan(0, (int)n)) : n;
        ArrayPool<byte>.Shared.Return(buffer);
        return n;
    }

    public override long PWrite(ICaller caller, ref IoBuffer source, long offset)
    {
        if (!_isRegular)
        {
            return -(long)Errno.ESPIPE;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent(MaxChunk);
        long n = source.CopyIn(buffer.AsSpan(0, (int)Math.Min(source.Remaining, MaxChunk)));
        n = n > 0 ? HostFile.PWrite(_fd, buffer.AsSpan(0, (int)n), offset) : n;
        ArrayPool<byte>.Shared.Return(buffer);
        return n;
    }

    public override long Seek(ICaller caller, long offset, int whence) => _isRegular ? HostFile.Seek(_fd, offset, whence) : -(long)Errno.ESPIPE;

    public override Errno Sync(bool dataOnly)
    {
        int result = HostFile.Sync(_fd, dataOnly);
        return result < 0 ? (Errno)(-result) : Errno.None;
    }

    public override Errno Truncate(ICaller caller, long length)
    {
        if (!_isRegular)
        {
            return Errno.EINVAL;
        }

        int result = HostFile.Truncate(_fd, length);
        return result < 0 ? (Errno)(-result) : Errno.None;
    }

    /// <summary>What can be asked of a terminal or pipe of the host without changing anything for others.</summary>
    public override unsafe long Ioctl(ICaller caller, uint command, ulong argument)
    {
        Span<byte> data = stackalloc byte[64];
        int size;
        switch (command)
        {
            case Ioctls.TCGETS:
                size = 36;
                break;
            case Ioctls.TIOCGWINSZ:
                size = 8;
                break;
            case Ioctls.FIONREAD:
            case Ioctls.TIOCOUTQ:
                size = 4;
                break;
            case Ioctls.TCSETS:
            case Ioctls.TCSETSW:
            case Ioctls.TCSETSF:
                if (caller.UserMemory.CopyIn(argument, data[..36]) != 36)
                {
                    return -(long)Errno.EFAULT;
                }

                fixed (byte* p = data)
                {
                    return HostFile.Ioctl(_fd, command, (nint)p);
                }

            default:
                return -(long)Errno.ENOTTY;
        }

        int result;
        fixed (byte* p = data)
        {
            result = HostFile.Ioctl(_fd, command, (nint)p);
        }

        return result < 0 ? result : caller.UserMemory.CopyOut(argument, data[..size]) == size ? 0 : -(long)Errno.EFAULT;
    }

    public override EventMask Readiness(EventMask mask) => _isWatched ? Ready(mask) : mask & (EventMask.Readable | EventMask.Writable);

    public override void Register(Waiter waiter)
    {
        _queue.Register(waiter);
        if (_isWatched)
        {
            _watcher.Arm(_fd, waiter.Mask);
        }
    }

    public override void Unregister(Waiter waiter) => _queue.Unregister(waiter);

    private EventMask Ready(EventMask mask)
    {
        int events = HostEvents.Poll(_fd, unchecked((short)((uint)mask & 0x7fff)), 0);
        if (events == 0 && !_queue.IsEmpty)
        {
            // Somebody sleeps for this, and the watch that woke them is used up.
            _watcher.Arm(_fd, mask);
        }

        return events > 0 ? (EventMask)events & (mask | EventMask.Unmaskable) : EventMask.None;
    }

    protected override void OnRelease()
    {
        if (_isWatched)
        {
            _watcher.Remove(_fd);
        }

        HostFile.Close(_fd);
    }
}
