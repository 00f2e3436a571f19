namespace Runsc.NetStack.Core;

/// <summary>The time of a stack. Tests hand in one that they turn by hand.</summary>
internal interface INetClock
{
    /// <summary>Nanoseconds of a clock that never goes back; its origin means nothing.</summary>
    long Monotonic { get; }

    /// <summary>Nanoseconds since 1970-01-01, for time stamps that applications see.</summary>
    long RealTime { get; }
}
