using System;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;

namespace Runsc.Sentry.Kernel.Time;

/// <summary>The host's time-stamp counter.</summary>
internal readonly struct HostCounter : ICounter
{
    public ulong Read() => HostTsc.Read();
}

/// <summary>
/// The clocks of applications: the host's, computed from its time-stamp counter in the same way as the vDSO does, so that system calls and vDSO never contradict each
/// other. Now and then the counter is compared with the host's clocks and the time page set anew: what is wrong by then (tens of nanoseconds) is made up
/// for by going a little faster or slower, never by a step back. Until <see cref="Start"/>, and when the counter turns out to be useless, it is the host's clock.
/// </summary>
internal sealed class CalibratedClock<TCounter>(TimePage page, IClock host, TCounter counter) : IClock
    where TCounter : struct, ICounter
{
    private const long Millisecond = 1_000_000;

    // The first comparisons come soon, since the frequency is known from them; later ones keep up with the host's clock discipline.
    private static readonly long[] s_intervals = [20 * Millisecond, 100 * Millisecond, 1000 * Millisecond, 2000 * Millisecond];

    // A comparison is as good as the time between two looks at the counter, in nanoseconds.
    private const long GoodComparison = 20_000;

    // More than this cannot be the frequency's error: the host slept, or the counter stood still.
    private const long Step = Millisecond;

    // Readings of a useless counter jump about by more than this part of its frequency, in millionths.
    private const ulong MaxJump = 500;

    private KernelTimer? _timer;

    // Of the timer thread.
    private int _round;
    private ulong _lastCounter;
    private long _lastTime;
    private bool _hasLast;

    // What was shown last by a page that is no longer valid.
    private long _floor;

    public long Monotonic => page.TryRead(counter, out long now, out _) ? now : Math.Max(host.Monotonic, Volatile.Read(ref _floor));

    public long Realtime => page.TryRead(counter, out long now, out long offset) ? now + offset : host.Realtime;

    /// <summary>Begins to compare. The timers run on this clock.</summary>
    public void Start(TimerQueue timers)
    {
        _timer = new KernelTimer(timers, _ => Update());
        Update();
    }

    /// <summary>Compares once, and sets the time page. On the timer thread, or before that is started.</summary>
    public void Update()
    {
        long interval = s_intervals[Math.Min(_round, s_intervals.Length - 1)];
        if (TryCompare(out ulong at, out long time))
        {
            if (_hasLast && !Adjust(at, time, interval))
            {
                return;
            }

            _round += _round < s_intervals.Length ? 1 : 0;
            _hasLast = true;
            _lastCounter = at;
            _lastTime = time;
        }

        _timer?.Set(host.Monotonic + interval, 0);
    }

    /// <summary>False when the counter is given up.</summary>
    private bool Adjust(ulong at, long time, long interval)
    {
        if (at <= _lastCounter || time <= _lastTime)
        {
            return GiveUp(at);
        }

        ulong measured = (ulong)(((UInt128)(ulong)(time - _lastTime) << 32) / (at - _lastCounter));
        if (measured == 0)
        {
            return GiveUp(at);
        }

        bool valid = page.IsValid;
        ulong multiplier = measured;
        long predicted = time, error = 0;
        if (valid)
        {
            ulong old = page.Multiplier;
            predicted = page.Predict(at);
            error = time - predicted;

            // What it is behind or ahead is to be gone in about one interval; at most a two-thousandth faster or slower.
            UInt128 ticks = UInt128.Max(((UInt128)(ulong)interval << 32) / measured, 1);
            Int128 wanted = (Int128)error * (1L << 32) / (Int128)ticks;
            long most = (long)(measured / 2000);
            long correction = wanted > most ? most : wanted < -most ? -most : (long)wanted;
            multiplier = (ulong)((long)measured + correction);
            ulong difference = measured > old ? measured - old : old - measured;
            if (_round >= s_intervals.Length && error is > -Step and < Step && difference > old / 1_000_000 * MaxJump)
            {
                Log.Warning("the time-stamp counter does not run evenly: the vDSO asks the kernel");
                return GiveUp(at);
            }
        }

        long realtime = CompareRealtime(valid);
        page.BeginChange();
        ulong now = counter.Read();
        long value = valid && error < Step ? page.Predict(now) : Extrapolate(now, at, time, measured);
        page.Set(valid: true, now, value, multiplier, realtime);
        page.EndChange();
        return true;
    }

    private static long Extrapolate(ulong now, ulong at, long time, ulong multiplier) =>
        time + (long)(ulong)(((UInt128)(now > at ? now - at : 0) * multiplier) >> 32);

    private bool GiveUp(ulong at)
    {
        if (page.IsValid)
        {
            Volatile.Write(ref _floor, page.Predict(at));
            page.BeginChange();
            page.Set(valid: false, 0, 0, 0, 0);
            page.EndChange();
        }

        return false;
    }

    /// <summary>A reading of the counter and the host's clock at the same time, as far as that can be had.</summary>
    private bool TryCompare(out ulong at, out long time)
    {
        ulong best = ulong.MaxValue;
        at = 0;
        time = 0;
        for (int i = 0; i < 6; i++)
        {
            ulong before = counter.Read();
            long now = host.Monotonic;
            ulong after = counter.Read();
            if (after >= before && after - before < best)
            {
                best = after - before;
                at = before + (best / 2);
                time = now;
            }
        }

        // Ticks are at least about as short as nanoseconds.
        return best < GoodComparison * 4;
    }

    /// <summary>CLOCK_REALTIME − CLOCK_MONOTONIC of the host: the present value as long as it can be right.</summary>
    private long CompareRealtime(bool known)
    {
        long before = host.Monotonic, wall = host.Realtime, after = host.Monotonic;
        long low = wall - after, high = wall - before, present = page.RealtimeOffset;
        return known && present >= low && present <= high ? present : low + ((high - low) / 2);
    }
}
