using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Time;

/// <summary>A timer of the kernel's: calls back on the timer thread at a point of CLOCK_MONOTONIC, perhaps again and again.</summary>
internal sealed class KernelTimer(TimerQueue queue, Action<KernelTimer> callback)
{
    internal readonly Action<KernelTimer> Callback = callback;

    // Guarded by the queue's lock.
    internal long Expiry = -1;
    internal long Period;
    internal long Sequence;

    /// <summary>Arms (deadline ≥ 0) or disarms (negative) the timer; period 0: once.</summary>
    public void Set(long deadline, long period) => queue.Set(this, deadline, period);

    /// <summary>Nanoseconds until it expires (at least 1 when armed), or 0 when disarmed; and its period.</summary>
    public long GetRemaining(out long period) => queue.GetRemaining(this, out period);
}

/// <summary>All timers, and the one thread that waits for the next.</summary>
internal sealed class TimerQueue
{
    private readonly Lock _mu = new();
    private readonly AutoResetEvent _changed = new(false);

    // Guarded by _mu.
    private readonly SortedSet<(long Expiry, long Sequence, KernelTimer Timer)> _armed =
        new(Comparer<(long Expiry, long Sequence, KernelTimer Timer)>.Create((a, b) =>
            a.Expiry != b.Expiry ? a.Expiry.CompareTo(b.Expiry) : a.Sequence.CompareTo(b.Sequence)));

    private long _sequence;
    private bool _started;

    public void Set(KernelTimer timer, long deadline, long period)
    {
        bool first;
        lock (_mu)
        {
            if (timer.Expiry >= 0)
            {
                _armed.Remove((timer.Expiry, timer.Sequence, timer));
            }

            timer.Expiry = deadline;
            timer.Period = period;
            if (deadline >= 0)
            {
                timer.Sequence = ++_sequence;
                _armed.Add((deadline, timer.Sequence, timer));
            }

            first = deadline >= 0 && _armed.Min.Timer == timer;
            if (first && !_started)
            {
                _started = true;
                new Thread(Run, 256 << 10) { IsBackground = true, Name = "timers" }.Start();
            }
        }

        if (first)
        {
            _changed.Set();
        }
    }

    public long GetRemaining(KernelTimer timer, out long period)
    {
        lock (_mu)
        {
            period = timer.Period;
            return timer.Expiry < 0 ? 0 : Math.Max(timer.Expiry - HostTime.Now(TimeConstants.CLOCK_MONOTONIC), 1);
        }
    }

    private void Run()
    {
        while (true)
        {
            long now = HostTime.Now(TimeConstants.CLOCK_MONOTONIC);
            KernelTimer? due = null;
            int wait = Timeout.Infinite;
            lock (_mu)
            {
                if (_armed.Count > 0)
                {
                    (long expiry, _, KernelTimer timer) = _armed.Min;
                    if (expiry <= now)
                    {
                        due = timer;
                        _armed.Remove((expiry, timer.Sequence, timer));
                        timer.Expiry = -1;
                        if (timer.Period > 0)
                        {
                            // Missed periods are not made up for one by one; the owner counts overruns by the clock.
                            long periods = ((now - expiry) / timer.Period) + 1;
                            timer.Expiry = expiry + (periods * timer.Period);
                            timer.Sequence = ++_sequence;
                            _armed.Add((timer.Expiry, timer.Sequence, timer));
                        }
                    }
                    else
                    {
                        wait = (int)Math.Min(((expiry - now) / 1_000_000) + 1, int.MaxValue);
                    }
                }
            }

            if (due is not null)
            {
                due.Callback(due);
            }
            else
            {
                _changed.WaitOne(wait);
            }
        }
    }
}
