using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Events;

/// <summary>A counter that can be waited for (eventfd(2)).</summary>
internal sealed class EventDescription(SentryKernel kernel, ulong initial, bool semaphore, int flags)
    : FileDescription(kernel.AnonymousFiles.NewPath("anon_inode:[eventfd]", 0x180), Fcntl.O_RDWR | flags)
{
    private readonly Lock _mu = new();
    private readonly WaitQueue _events = new();
    private ulong _count = initial;

    public override bool SupportsPoll => true;

    public override string ShownInfo => $"eventfd-count: {Volatile.Read(ref _count),16:x}\n";

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        if (destination.Remaining < 8)
        {
            return -(long)Errno.EINVAL;
        }

        ulong value;
        lock (_mu)
        {
            if (_count == 0)
            {
                return -(long)Errno.EAGAIN;
            }

            value = semaphore ? 1 : _count;
            _count -= value;
        }

        _events.Notify(EventMask.Writable);
        Span<byte> bytes = stackalloc byte[8];
        BitConverter.TryWriteBytes(bytes, value);
        return destination.CopyOut(bytes);
    }

    public override long Write(ICaller caller, ref IoBuffer source)
    {
        if (source.Remaining < 8)
        {
            return -(long)Errno.EINVAL;
        }

        // A write that must wait leaves its bytes in the buffer, so they are taken only when there is room for any value.
        Span<byte> bytes = stackalloc byte[8];
        IoBuffer look = source;
        long n = look.CopyIn(bytes);
        if (n != 8)
        {
            return n < 0 ? n : -(long)Errno.EFAULT;
        }

        ulong value = BitConverter.ToUInt64(bytes);
        if (value == ulong.MaxValue)
        {
            return -(long)Errno.EINVAL;
        }

        lock (_mu)
        {
            if (value > ulong.MaxValue - 1 - _count)
            {
                return -(long)Errno.EAGAIN;
            }

            _count += value;
        }

        source = look;
        _events.Notify(EventMask.Readable);
        return 8;
    }

    public override EventMask Readiness(EventMask mask)
    {
        ulong count = Volatile.Read(ref _count);
        EventMask events = (count > 0 ? EventMask.Readable : 0) | (count < ulong.MaxValue - 1 ? EventMask.Writable : 0);
        return events & mask;
    }

    public override void Register(Waiter waiter) => _events.Register(waiter);

    public override void Unregister(Waiter waiter) => _events.Unregister(waiter);
}
