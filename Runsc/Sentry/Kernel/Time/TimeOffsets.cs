using System;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Time;

/// <summary>What a time namespace adds to the clocks that do not count from 1970, in nanoseconds (time_namespaces(7)).</summary>
/// <remarks>
/// The kernel itself, its timers and deadlines know the clocks without offsets only: system calls convert. An offset is at most half of what 64 bits hold,
/// so that a sum with a clock fits.
/// </remarks>
internal readonly record struct TimeOffsets(long Monotonic, long BootTime)
{
    public bool IsNone => Monotonic == 0 && BootTime == 0;

    /// <summary>What is added to a clock; 0 for those that have no offset.</summary>
    public long Of(int clock) => clock switch
    {
        TimeConstants.CLOCK_MONOTONIC or TimeConstants.CLOCK_MONOTONIC_RAW or TimeConstants.CLOCK_MONOTONIC_COARSE => Monotonic,
        TimeConstants.CLOCK_BOOTTIME or TimeConstants.CLOCK_BOOTTIME_ALARM => BootTime,
        _ => 0,
    };

    /// <summary>A point of a clock inside as one of the same clock without the offset, not before its zero.</summary>
    public long ToKernel(int clock, long point)
    {
        long offset = Of(clock);
        return offset < 0 && point > long.MaxValue + offset ? long.MaxValue : Math.Max(point - offset, 0);
    }
}
