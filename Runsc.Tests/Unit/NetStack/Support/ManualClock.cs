using Runsc.NetStack.Core;

namespace Runsc.Tests.Unit.NetStack.Support;

/// <summary>A clock that a test turns by hand.</summary>
internal sealed class ManualClock : INetClock
{
    public long Monotonic { get; set; } = 1_000_000_000;

    public long RealTime => Monotonic + 1_700_000_000_000_000_000;
}
