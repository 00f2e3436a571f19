using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Events;

/// <summary>A timer that can be read and waited for (timerfd_create(2)).</summary>
internal sealed class TimerDescription : FileDescription
{
    private readonly Lock _mu = new();
    private readonly WaitQueue _events = new();
    private readonly KernelTimer _timer;

    // Guarded by _mu.
    private long _expirations;
    private long _period;
    private bool _isArmed;

    public TimerDescription(SentryKernel kernel, int clock, int flags)
        : base(kernel.AnonymousFiles.NewPath("anon_inode:[timerfd]", 0x180), Fcntl.O_RDWR | flags)
    {
        Clock = clock;
        _timer = new KernelTimer(kernel.Timers, Expired);
    }

    public override bool SupportsPoll => true;

    /// <summary>CLOCK_* that points of time are of.</summary>
    public int Clock { get; }

    public override string ShownInfo
    {
        get
        {
            (long left, long period) = Get();
            return $"clockid: {Clock}\nticks: {_expirations}\nsettime flags: 00\n"
                + $"it_value: ({left / ClockMath.Second}, {left % ClockMath.Second})\nit_interval: ({period / ClockMath.Second}, {period % ClockMath.Second})\n";
        }
    }

    /// <summary>Arms the timer for a point of CLOCK_MONOTONIC (negative: disarms), then every period; what had expired is forgotten.</summary>
    public void Set(long deadline, long period)
    {
        lock (_mu)
        {
            _expirations = 0;
            _period = period;
            _isArmed = deadline >= 0;
            _timer.Set(deadline, period);
        }
    }

    /// <summary>Nanoseconds left (0: disarmed) and the period.</summary>
    public (long Left, long Period) Get()
    {
        lock (_mu)
        {
            long left = _timer.GetRemaining(out _);
            return (_isArmed ? left : 0, _period);
        }
    }

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        if (destination.Remaining < 8)
        {
            return -(long)Errno.EINVAL;
        }

        long count;
        lock (_mu)
        {
            count = _expirations;
            _expirations = 0;
        }

        if (count == 0)
        {
            return -(long)Errno.EAGAIN;
        }

        Span<byte> bytes = stackalloc byte[8];
        BitConverter.TryWriteBytes(bytes, count);
        return destination.CopyOut(bytes);
    }

    public override EventMask Readiness(EventMask mask)
    {
        lock (_mu)
        {
            return _expirations > 0 ? mask & EventMask.Readable : EventMask.None;
        }
    }

    public override void Register(Waiter waiter) => _events.Register(waiter);

    public override void Unregister(Waiter waiter) => _events.Unregister(waiter);

    protected override void OnRelease() => _timer.Set(-1, 0);

    private void Expired(KernelTimer timer)
    {
        lock (_mu)
        {
            if (!_isArmed)
            {
                return;
            }

            _expirations += timer.Expirations;
            _isArmed = _period > 0;
        }

        _events.Notify(EventMask.Readable);
    }
}
