using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Time;

/// <summary>A point of CLOCK_MONOTONIC in nanoseconds until which something waits, or never.</summary>
internal readonly record struct Deadline(long Nanoseconds)
{
    public static Deadline Infinite => new(-1);

    public bool IsInfinite => Nanoseconds < 0;

    public bool HasPassed => !IsInfinite && HostTime.Now(TimeConstants.CLOCK_MONOTONIC) >= Nanoseconds;

    /// <summary>So many nanoseconds from now; negative: never.</summary>
    public static Deadline After(long nanoseconds)
    {
        if (nanoseconds < 0)
        {
            return Infinite;
        }

        long now = HostTime.Now(TimeConstants.CLOCK_MONOTONIC);
        return new Deadline(nanoseconds > long.MaxValue - now ? long.MaxValue : now + nanoseconds);
    }
}
