using Runsc.Platform.Kvm;
using Runsc.Tests.Platforms;
using Xunit;

namespace Runsc.Tests.Kvm;

/// <summary>The run of a few instructions that every machine starts with.</summary>
[Collection("kvm")]
public sealed class KvmProbeTests
{
    [KvmFact]
    public void PendingKick_OfAnotherMachine_DoesNotKeepItOut()
    {
        // The signal is blocked in the thread from the first switch on, so a kick that comes late stays pending. Without an end here, the probe never had one.
        using (var other = new GuestMachine(kvm: true))
        {
            using var task = new GuestTask(other, [0x0f, 0x05]);
            task.ExpectSystemCall();
        }

        Assert.Equal(0, KvmCalls.Tgkill(KvmCalls.GetThreadId(), KvmPlatform.KickSignal));
        using var machine = new GuestMachine(kvm: true);
        Assert.Equal(-KvmCalls.EAGAIN, KvmCalls.ConsumeSignal(KvmPlatform.KickSignal));
    }
}
