using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Platform;

namespace Runsc.Sentry.Mapping;

/// <summary>struct iovec of the application (readv(2)).</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct IoVec(ulong address, ulong length)
{
    public const int SizeInBytes = 16;

    public ulong Address = address;
    public ulong Length = length;
}

/// <summary>
/// The source or destination of one read or write: a list of ranges of an application's memory, or a span of the kernel's own.
/// It is consumed from the front; what a file does not take stays.
/// </summary>
internal ref struct IoBuffer
{
    private readonly IUserMemory? _memory;
    private ReadOnlySpan<IoVec> _rest;
    private ulong _address;
    private ulong _length;
    private Span<byte> _kernel;

    /// <summary>One range of an application's memory.</summary>
    public IoBuffer(IUserMemory memory, ulong address, ulong length)
    {
        _memory = memory;
        _address = address;
        _length = length;
        Remaining = checked((long)length);
    }

    /// <summary>Several ranges; their total must fit a long (checked where the vector is read: EINVAL).</summary>
    public IoBuffer(IUserMemory memory, ReadOnlySpan<IoVec> vectors)
    {
        _memory = memory;
        _rest = vectors;
        ulong total = 0;
        foreach (ref readonly IoVec vector in vectors)
        {
            total = checked(total + vector.Length);
        }

        Remaining = checked((long)total);
        NextVector();
    }

    /// <summary>The kernel's own memory.</summary>
    public IoBuffer(Span<byte> kernel)
    {
        _kernel = kernel;
        Remaining = kernel.Length;
    }

    /// <summary>Bytes that are left.</summary>
    public long Remaining { get; private set; }

    /// <summary>Shortens what is left to at most <paramref name="length"/> bytes.</summary>
    public void Truncate(long length)
    {
        if (length < Remaining)
        {
            Remaining = length;
        }
    }

    /// <summary>Fills the buffer from <paramref name="source"/>. Bytes taken (fewer at a bad address or the end), or −EFAULT when none could be.</summary>
    public long CopyOut(scoped ReadOnlySpan<byte> source)
    {
        if (source.Length > Remaining)
        {
            source = source[..(int)Remaining];
        }

        if (_memory is null)
        {
            source.CopyTo(_kernel);
            Advance(source.Length);
            return source.Length;
        }

        long done = 0;
        while (source.Length > 0)
        {
            int step = (int)Math.Min((ulong)source.Length, _length);
            long n = _memory.CopyOut(_address, source[..step]);
            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            Advance(n);
            done += n;
            if (n < step)
            {
                break;
            }

            source = source[step..];
        }

        return done;
    }

    /// <summary>Takes bytes out of the buffer into <paramref name="destination"/>. Bytes copied, or −EFAULT when none could be.</summary>
    public long CopyIn(scoped Span<byte> destination)
    {
        if (destination.Length > Remaining)
        {
            destination = destination[..(int)Remaining];
        }

        if (_memory is null)
        {
            _kernel[..destination.Length].CopyTo(destination);
            Advance(destination.Length);
            return destination.Length;
        }

        long done = 0;
        while (destination.Length > 0)
        {
            int step = (int)Math.Min((ulong)destination.Length, _length);
            long n = _memory.CopyIn(_address, destination[..step]);
            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            Advance(n);
            done += n;
            if (n < step)
            {
                break;
            }

            destination = destination[step..];
        }

        return done;
    }

    /// <summary>Writes <paramref name="length"/> zeros into the buffer. Result as <see cref="CopyOut"/>.</summary>
    public long ZeroOut(long length)
    {
        length = Math.Min(length, Remaining);
        if (_memory is null)
        {
            _kernel[..(int)length].Clear();
            Advance(length);
            return length;
        }

        long done = 0;
        while (done < length)
        {
            ulong step = Math.Min((ulong)(length - done), _length);
            long n = _memory.ZeroOut(_address, step);
            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            Advance(n);
            done += n;
            if ((ulong)n < step)
            {
                break;
            }
        }

        return done;
    }

    /// <summary>
    /// The next bytes in place, for host I/O straight from or to the application: use <see cref="HostRange.Span"/>,
    /// then <see cref="Advance"/> by what was done, then <see cref="EndHostRange"/>. Access.Write for a destination. EFAULT.
    /// Only while <see cref="Remaining"/> is positive.
    /// </summary>
    public Errno BeginHostRange(AccessType access, out HostRange range)
    {
        if (_memory is null)
        {
            range = new HostRange(_kernel[..(int)Remaining]);
            return Errno.None;
        }

        ulong want = Math.Min(_length, (ulong)Remaining);
        Errno error = _memory.Pin(_address, want, access, out PinnedMemory pinned);
        range = error == Errno.None ? new HostRange(pinned) : default;
        return error;
    }

    public readonly void EndHostRange(scoped in HostRange range)
    {
        if (range.IsPinned)
        {
            _memory!.Unpin(range.Pinned);
        }
    }

    /// <summary>Drops <paramref name="count"/> bytes from the front.</summary>
    public void Advance(long count)
    {
        Remaining -= count;
        if (_memory is null)
        {
            _kernel = _kernel[(int)count..];
            return;
        }

        while (count > 0)
        {
            ulong step = Math.Min((ulong)count, _length);
            _address += step;
            _length -= step;
            count -= (long)step;
            if (_length == 0)
            {
                NextVector();
            }
        }
    }

    private void NextVector()
    {
        while (_length == 0 && _rest.Length > 0)
        {
            _address = _rest[0].Address;
            _length = _rest[0].Length;
            _rest = _rest[1..];
        }
    }
}

/// <summary>Bytes that the host may read or write in place; ended by <see cref="IoBuffer.EndHostRange"/>.</summary>
internal readonly ref struct HostRange
{
    internal readonly PinnedMemory Pinned;
    internal readonly bool IsPinned;

    internal HostRange(Span<byte> kernel) => Span = kernel;

    internal HostRange(PinnedMemory pinned)
    {
        Pinned = pinned;
        IsPinned = true;
        Span = pinned.Span;
    }

    public Span<byte> Span { get; }
}
