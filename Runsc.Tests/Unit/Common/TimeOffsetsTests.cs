using Runsc.Linux;
using Runsc.Sentry.Kernel.Time;
using Xunit;

namespace Runsc.Tests.Unit.Common;

public sealed class TimeOffsetsTests
{
    [Theory]
    [InlineData(TimeConstants.CLOCK_MONOTONIC, 100, 60)]
    [InlineData(TimeConstants.CLOCK_MONOTONIC, 39, 0)]
    [InlineData(TimeConstants.CLOCK_MONOTONIC_COARSE, 41, 1)]
    [InlineData(TimeConstants.CLOCK_BOOTTIME, 100, 130)]
    [InlineData(TimeConstants.CLOCK_BOOTTIME_ALARM, long.MaxValue - 30, long.MaxValue)]
    [InlineData(TimeConstants.CLOCK_BOOTTIME, long.MaxValue - 29, long.MaxValue)]
    [InlineData(TimeConstants.CLOCK_BOOTTIME, long.MaxValue, long.MaxValue)]
    [InlineData(TimeConstants.CLOCK_REALTIME, 100, 100)]
    public void Point_WithoutTheOffset(int clock, long point, long expected) => Assert.Equal(expected, new TimeOffsets(40, -30).ToKernel(clock, point));
}
