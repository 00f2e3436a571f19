using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>A class of tests that is there once for each platform. The methods are <see cref="EachPlatformAttribute"/>.</summary>
[Collection("kvm")]
public abstract class PlatformTests
{
    private protected abstract bool UsesKvm { get; }

    private protected GuestMachine NewMachine(int vcpuLimit = 0) => new(UsesKvm, vcpuLimit);
}
