using System.Threading;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Platform.Kvm.Paging;

namespace Runsc.Platform.Kvm;

/// <summary>
/// System calls that do not leave the guest. The vCPU's runner is in KVM_RUN; the task's thread looks at the call page for the next call, and puts
/// the answer there. Whatever else happens ends the run, and goes the same way as an exit on the task's own thread.
/// </summary>
internal sealed unsafe partial class KvmContext
{
    /// <summary>Rounds of some 20 ns that the task's thread looks for a call before it sleeps, and that the stub looks for its answer before it leaves.</summary>
    private const int TaskSpin = 2500;
    private const int StubSpin = 1500;
    private const int RoundsBetweenLooks = 128;

    private HandOverPolicy _policy;

    /// <summary>The vCPU waits for the answer that the frame is. Otherwise it is out of the guest when this returns.</summary>
    private bool AwaitsAnswer(VCpu vcpu, KvmAddressSpace space)
    {
        if (!vcpu.GuestRun.IsUnderWay)
        {
            return false;
        }

        if (vcpu.GuestRun.Space == space && _xstate.IsInVCpu && vcpu.HasBases(_frame) && CallPage.CanAnswer(_frame))
        {
            return true;
        }

        vcpu.Recall();
        return false;
    }

    /// <summary>A runner for the next run, if calls should be handed over.</summary>
    private VCpuRunner? TakeRunner() =>
        _platform.HandsOver && (_policy.IsDue || _platform.HandsOverAlways) && _platform.MaySpin ? _platform.Runners.TryTake() : null;

    /// <summary>Enters on the runner's thread. As <see cref="RunOnce"/> from its EnterGuest on.</summary>
    private bool HandOver(VCpu vcpu, VCpuRunner runner, KvmAddressSpace space, out TrapInfo trap)
    {
        vcpu.CallPage = space.CallPage(vcpu.Index);
        vcpu.CallPage.Arm(StubSpin);
        vcpu.EnterBy(runner, _frame, space);
        return Await(vcpu, out trap);
    }

    private bool Answer(VCpu vcpu, out TrapInfo trap)
    {
        if (vcpu.CallPage.TryAnswer(_frame))
        {
            return Await(vcpu, out trap);
        }

        // It has waited long enough and is on its way out; or the application has written there, and it may not be.
        vcpu.Recall();
        Volatile.Write(ref _running, null);
        _policy.Fail();
        trap = default;
        return false;
    }

    /// <summary>Waits for a call, or for the end of the run.</summary>
    private bool Await(VCpu vcpu, out TrapInfo trap)
    {
        GuestRun run = vcpu.GuestRun;
        CallPage page = vcpu.CallPage;
        for (int i = 1; i < TaskSpin && (i % RoundsBetweenLooks != 0 || _platform.MaySpin); i++)
        {
            if (page.State >= CallPage.Called)
            {
                return TakeCall(vcpu, out trap);
            }

            if (!run.IsUnderWay)
            {
                return EndOfRun(vcpu, out trap);
            }

            Thread.SpinWait(1);
        }

        if (!page.TrySleep() && page.State >= CallPage.Called)
        {
            return TakeCall(vcpu, out trap);
        }

        _policy.Fail();
        run.WaitForEnd();
        return EndOfRun(vcpu, out trap);
    }

    private bool TakeCall(VCpu vcpu, out TrapInfo trap)
    {
        Volatile.Write(ref _running, null);
        vcpu.CallPage.Take(ref _frame);
        vcpu.SetBases(_frame);
        _policy.CountHandOver();
        trap = new TrapInfo { Kind = TrapKind.SystemCall };
        return true;
    }

    private bool EndOfRun(VCpu vcpu, out TrapInfo trap)
    {
        Volatile.Write(ref _running, null);
        long result = vcpu.GuestRun.Result;
        return result == 0
            ? TrapDecoder.Decode(_platform, vcpu, ref _frame, out trap)
            : Stopped(vcpu, result, out trap, acknowledged: true);
    }
}
