using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Pipe;

/// <summary>The buffer between the ends of a pipe or FIFO (pipe(7)): a ring of bytes. Guarded by its lock.</summary>
/// <remarks>
/// The lock is held while bytes are copied from and to applications: a fault there may read a file through the gofer, but never waits for
/// another task, and takes no lock that comes before this one (the memory manager's locks come after it).
/// </remarks>
internal sealed class Pipe
{
    public const int DefaultCapacity = 65536;
    public const int MaximumCapacity = 1 << 20;

    /// <summary>Writes up to this size are not torn (PIPE_BUF).</summary>
    public const int AtomicSize = 4096;

    private readonly Lock _mu = new();

    // Guarded by _mu. Grows up to the capacity as bytes come.
    private byte[] _ring = [];
    private int _start;
    private int _count;
    private int _capacity = DefaultCapacity;
    private int _readers;
    private int _writers;

    // Ends ever opened, so that openers of a FIFO see the other side even if it has gone again.
    private long _readersEver;
    private long _writersEver;

    /// <summary>Hears of bytes, of room, and of ends that come and go.</summary>
    public readonly WaitQueue Events = new();

    /// <summary>Of pipe(2). To open it again through /proc/self/fd never waits, and never finds the other end missing.</summary>
    public bool IsAnonymous { get; init; }

    public int Capacity
    {
        get
        {
            lock (_mu)
            {
                return _capacity;
            }
        }
    }

    /// <summary>Bytes that wait to be read.</summary>
    public int Count
    {
        get
        {
            lock (_mu)
            {
                return _count;
            }
        }
    }

    public void AddReader()
    {
        lock (_mu)
        {
            _readers++;
            _readersEver++;
        }

        Events.Notify(EventMask.Writable | EventMask.Internal);
    }

    public void AddWriter()
    {
        lock (_mu)
        {
            _writers++;
            _writersEver++;
        }

        Events.Notify(EventMask.Internal);
    }

    public void RemoveReader()
    {
        bool last;
        lock (_mu)
        {
            last = --_readers == 0;
            Forget();
        }

        if (last)
        {
            Events.Notify(EventMask.Err | EventMask.Writable | EventMask.Internal);
        }
    }

    public void RemoveWriter()
    {
        bool last;
        lock (_mu)
        {
            last = --_writers == 0;
            Forget();
        }

        if (last)
        {
            Events.Notify(EventMask.Hup | EventMask.Readable | EventMask.Internal);
        }
    }

    // Bytes that nobody can ever read are gone (a FIFO may be opened again).
    private void Forget()
    {
        if (_readers == 0 && _writers == 0)
        {
            _ring = [];
            _start = _count = 0;
        }
    }

    public (bool HasReaders, bool HasWriters) Ends
    {
        get
        {
            lock (_mu)
            {
                return (_readers > 0, _writers > 0);
            }
        }
    }

    public (long Readers, long Writers) EverOpened
    {
        get
        {
            lock (_mu)
            {
                return (_readersEver, _writersEver);
            }
        }
    }

    /// <summary>Bytes read; 0 when empty without writers; −EAGAIN when empty; −EFAULT.</summary>
    public long Read(ref IoBuffer destination)
    {
        long total = 0;
        lock (_mu)
        {
            if (_count == 0)
            {
                return destination.Remaining == 0 || _writers == 0 ? 0 : -(long)Errno.EAGAIN;
            }

            while (_count > 0 && destination.Remaining > 0)
            {
                int run = Math.Min(_count, _ring.Length - _start);
                long n = destination.CopyOut(_ring.AsSpan(_start, run));
                if (n <= 0)
                {
                    total = total > 0 ? total : n;
                    break;
                }

                total += n;
                ConsumeLocked((int)n);
            }
        }

        if (total > 0)
        {
            Events.Notify(EventMask.Writable);
        }

        return total;
    }

    /// <summary>Bytes written; −EPIPE without readers; −EAGAIN when full, or when a write of at most PIPE_BUF does not fit whole; −EFAULT.</summary>
    public long Write(ref IoBuffer source)
    {
        long total = 0;
        lock (_mu)
        {
            if (_readers == 0)
            {
                return -(long)Errno.EPIPE;
            }

            int room = _capacity - _count;
            if (source.Remaining == 0)
            {
                return 0;
            }

            if (room == 0 || (source.Remaining <= AtomicSize && room < source.Remaining))
            {
                return -(long)Errno.EAGAIN;
            }

            GrowLocked((int)Math.Min(source.Remaining, room));
            while (_count < _capacity && source.Remaining > 0)
            {
                int end = _start + _count;
                end = end >= _ring.Length ? end - _ring.Length : end;
                int run = Math.Min(_ring.Length - _count, _ring.Length - end);
                if (run == 0)
                {
                    break;
                }

                long n = source.CopyIn(_ring.AsSpan(end, run));
                if (n <= 0)
                {
                    total = total > 0 ? total : n;
                    break;
                }

                total += n;
                _count += (int)n;
            }
        }

        if (total > 0)
        {
            Events.Notify(EventMask.Readable);
        }

        return total;
    }

    /// <summary>Copies waiting bytes without taking them (tee(2)). The number of bytes.</summary>
    public int Peek(Span<byte> destination)
    {
        lock (_mu)
        {
            int wanted = Math.Min(destination.Length, _count), first = Math.Min(wanted, _ring.Length - _start);
            _ring.AsSpan(_start, first).CopyTo(destination);
            _ring.AsSpan(0, wanted - first).CopyTo(destination[first..]);
            return wanted;
        }
    }

    /// <summary>What poll(2) tells of the reading end.</summary>
    public EventMask ReaderReadiness
    {
        get
        {
            lock (_mu)
            {
                return (_count > 0 ? EventMask.Readable : EventMask.None) | (_writers == 0 ? EventMask.Hup : EventMask.None);
            }
        }
    }

    /// <summary>What poll(2) tells of the writing end: room for PIPE_BUF bytes, or no readers.</summary>
    public EventMask WriterReadiness
    {
        get
        {
            lock (_mu)
            {
                return (_capacity - _count >= AtomicSize ? EventMask.Writable : EventMask.None) | (_readers == 0 ? EventMask.Err : EventMask.None);
            }
        }
    }

    /// <summary>F_SETPIPE_SZ: the new capacity, a power of two; −EBUSY when more bytes wait, −EPERM beyond the limit.</summary>
    public long SetCapacity(int bytes, bool privileged)
    {
        if (bytes < 0 || bytes > 1 << 30)
        {
            return -(long)Errno.EINVAL;
        }

        int capacity = (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(bytes, AtomicSize));
        if (capacity > MaximumCapacity && !privileged)
        {
            return -(long)Errno.EPERM;
        }

        lock (_mu)
        {
            if (capacity < _count)
            {
                return -(long)Errno.EBUSY;
            }

            _capacity = capacity;
            if (_ring.Length > capacity)
            {
                ResizeLocked(capacity);
            }
        }

        Events.Notify(EventMask.Writable);
        return capacity;
    }

    private void ConsumeLocked(int n)
    {
        _start += n;
        _start = _start >= _ring.Length ? _start - _ring.Length : _start;
        _count -= n;
        if (_count == 0)
        {
            _start = 0;
        }
    }

    private void GrowLocked(int more)
    {
        int wanted = _count + more;
        if (wanted > _ring.Length)
        {
            ResizeLocked((int)Math.Min(System.Numerics.BitOperations.RoundUpToPowerOf2((uint)Math.Max(wanted, AtomicSize)), _capacity));
        }
    }

    private void ResizeLocked(int size)
    {
        byte[] ring = new byte[size];
        int first = Math.Min(_count, _ring.Length - _start);
        _ring.AsSpan(_start, first).CopyTo(ring);
        _ring.AsSpan(0, _count - first).CopyTo(ring.AsSpan(first));
        _ring = ring;
        _start = 0;
    }
}
