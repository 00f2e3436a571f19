using System;
using System.Diagnostics;
using Runsc.NetStack.Core;

namespace Runsc.Tests.Support;

/// <summary>The host's clocks for a network stack.</summary>
internal sealed class HostNetClock : INetClock
{
    private const long NanosecondsPerTick = 100;

    public long Monotonic => Stopwatch.GetTimestamp() * (1_000_000_000 / Stopwatch.Frequency);

    public long RealTime => (DateTime.UtcNow.Ticks - DateTime.UnixEpoch.Ticks) * NanosecondsPerTick;
}
