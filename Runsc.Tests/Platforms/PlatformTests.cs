using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>A class of tests that is there once for each platform. The methods are <see cref="EachPlatformAttribute"/>.</summary>
[Collection("kvm")]
public abstract class PlatformTests
{
    private protected abstract bool UsesKvm { get; }

    /// <summary>Every system call is handed over, whatever the policy would say.</summary>
    private protected virtual bool HandsOver => false;

    private protected GuestMachine NewMachine(int vcpuLimit = 0)
    {
        var machine = new GuestMachine(UsesKvm, vcpuLimit);
        if (HandsOver)
        {
            machine.Kvm.HandsOverAlways = true;
        }

        return machine;
    }
}
