using System;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Time;

/// <summary>Where the kernel takes time from; a test has its own.</summary>
internal interface IClock
{
    /// <summary>CLOCK_MONOTONIC in nanoseconds.</summary>
    long Monotonic { get; }

    /// <summary>CLOCK_REALTIME in nanoseconds since 1970.</summary>
    long Realtime { get; }
}

/// <summary>The host's clocks, which applications see as they are: the vDSO computes the same from the same TSC.</summary>
internal sealed class HostClock : IClock
{
    public long Monotonic => HostTime.Now(TimeConstants.CLOCK_MONOTONIC);

    public long Realtime => HostTime.Now(TimeConstants.CLOCK_REALTIME);
}

/// <summary>Time in the units of the ABI.</summary>
internal static class ClockMath
{
    public const long Second = 1_000_000_000;

    /// <summary>USER_HZ: the unit of times(2) and /proc/PID/stat.</summary>
    public const long NanosecondsPerTick = 10_000_000;

    /// <summary>A point of a clock as one of CLOCK_MONOTONIC: for sleeps and timers with absolute times.</summary>
    public static long ToMonotonic(IClock clock, bool realtime, long point)
    {
        if (!realtime)
        {
            return Math.Max(point, 0);
        }

        long delta = point - clock.Realtime;
        long now = clock.Monotonic;
        return delta > long.MaxValue - now ? long.MaxValue : Math.Max(now + delta, 0);
    }
}
