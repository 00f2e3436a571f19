using System;
using System.Diagnostics;
using System.Threading;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Platform.Kvm.Paging;

namespace Runsc.Platform.Kvm;

/// <summary>
/// One task's processor state.
/// <para>
/// Interrupts are level-triggered. The word <see cref="_interrupt"/> is the level: <see cref="Interrupt"/> raises it and then, if the context is
/// running, kicks the vCPU (immediate_exit in the run page for the time before KVM_RUN looks, a signal for the time after). <see cref="Switch"/>
/// publishes that it runs, fences, and looks at the word; so either it sees the level or the kicker sees that it runs. The level falls only when
/// Interrupted is returned. A kick that comes too late ends a later KVM_RUN with EINTR, which is acknowledged and entered again: spurious, never lost.
/// </para>
/// </summary>
internal sealed unsafe partial class KvmContext : IContext
{
    private const ulong NoSystemCall = ulong.MaxValue;

    [ThreadStatic]
    private static int t_threadId;

    private readonly KvmPlatform _platform;
    private readonly XState _xstate;
    private TrapFrame _frame;

    /// <summary>The vCPU that holds this context's FPU state, or null. Set by this task; cleared by this task or by the holder of the vCPU.</summary>
    private VCpu? _vcpu;

    /// <summary>The vCPU this context is on between the look at <see cref="_interrupt"/> and the return of KVM_RUN.</summary>
    private VCpu? _running;
    private int _threadId;
    private int _interrupt;

    /// <summary>Kickers that may be about to signal <see cref="_threadId"/>; Dispose waits for them, so that no signal meets a reused thread id.</summary>
    private int _kickers;

    public KvmContext(KvmPlatform platform)
    {
        _platform = platform;
        _xstate = new XState(platform);
    }

    public ref TrapFrame Frame => ref _frame;

    /// <summary>Where the pool puts the vCPU that a waiting context gets. Guarded by the pool's lock.</summary>
    internal VCpu? Granted { get; set; }

    internal bool IsInterrupted => Volatile.Read(ref _interrupt) != 0;

    public void Switch(IAddressSpace space, out TrapInfo trap)
    {
        var target = (KvmAddressSpace)space;
        if (_frame.Rip >= _platform.UserAddressLimit)
        {
            FetchOutside(out trap);
            return;
        }

        PrepareThread();
        while (true)
        {
            VCpu? vcpu = AcquireVCpu();
            if (vcpu == null)
            {
                Volatile.Write(ref _interrupt, 0);
                trap = new TrapInfo { Kind = TrapKind.Interrupted };
                return;
            }

            _platform.CountRunning(1);
            bool done = RunOnce(vcpu, target, out trap);
            _platform.CountRunning(-1);
            _platform.VCpus.Release(vcpu);
            if (done)
            {
                return;
            }
        }
    }

    public void Interrupt()
    {
        Interlocked.Exchange(ref _interrupt, 1);
        Kick();
        if (_platform.VCpus.IsContended)
        {
            _platform.VCpus.WakeWaiters();
        }
    }

    public void SaveXState(Span<byte> area)
    {
        VCpu? vcpu = HoldOwnVCpu();
        _xstate.Save(vcpu, area);
        ReleaseOwn(vcpu);
    }

    public bool LoadXState(ReadOnlySpan<byte> area)
    {
        VCpu? vcpu = HoldOwnVCpu();
        bool accepted = _xstate.Load(area);
        ReleaseOwn(vcpu);
        return accepted;
    }

    public void CopyXStateFrom(IContext other)
    {
        var source = (KvmContext)other;
        VCpu? theirs = source.HoldOwnVCpu();
        source._xstate.Fetch(theirs);
        source.ReleaseOwn(theirs);

        VCpu? vcpu = HoldOwnVCpu();
        _xstate.CopyFrom(source._xstate);
        ReleaseOwn(vcpu);
    }

    public void ResetXState()
    {
        VCpu? vcpu = HoldOwnVCpu();
        _xstate.Reset();
        ReleaseOwn(vcpu);
    }

    public void Dispose()
    {
        VCpu? vcpu = HoldOwnVCpu();
        if (vcpu != null)
        {
            vcpu.Resident = null;
            Volatile.Write(ref _vcpu, null);
            ReleaseOwn(vcpu);
        }

        SpinWait spin = default;
        while (Volatile.Read(ref _kickers) != 0)
        {
            spin.SpinOnce();
        }

        _xstate.Dispose();
    }

    /// <summary>Makes a KVM_RUN under way end. Without <see cref="_interrupt"/> it is merely entered again, after a chance for waiting contexts.</summary>
    internal void Kick()
    {
        Interlocked.Increment(ref _kickers);
        VCpu? vcpu = Volatile.Read(ref _running);
        vcpu?.Kick(Volatile.Read(ref _threadId));
        Interlocked.Decrement(ref _kickers);
    }

    /// <summary>Another context takes the vCPU: keeps the FPU state in memory. The caller holds <paramref name="vcpu"/>.</summary>
    internal void Evict(VCpu vcpu)
    {
        _xstate.Fetch(vcpu);
        _xstate.Detach();
        vcpu.Resident = null;
        Volatile.Write(ref _vcpu, null);
    }

    /// <summary>The trap of an instruction fetch at an address that no application can have: what Linux makes of a jump there.</summary>
    private void FetchOutside(out TrapInfo trap)
    {
        bool canonical = _frame.Rip is < 0x8000_0000_0000 or >= 0xffff_8000_0000_0000;
        trap = canonical
            ? new TrapInfo
            {
                Kind = TrapKind.PageFault,
                Vector = TrapVector.PageFault,
                ErrorCode = TrapVector.PageFaultUser | TrapVector.PageFaultFetch,
                FaultAddress = _frame.Rip,
                Access = AccessType.Execute,
            }
            : new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.GeneralProtection };
        _frame.OrigRax = NoSystemCall;
    }

    private void PrepareThread()
    {
        if (t_threadId == 0)
        {
            // From now on a kick is never delivered to this thread: it only ends KVM_RUN, which unblocks it.
            _ = KvmCalls.BlockSignal(KvmPlatform.KickSignal);
            t_threadId = KvmCalls.GetThreadId();
        }

        Volatile.Write(ref _threadId, t_threadId);
    }

    /// <summary>A vCPU, held, that is this context's; it may be in the guest, with an answered call's stub waiting.</summary>
    private VCpu? AcquireVCpu()
    {
        VCpu? vcpu = TryHoldOwnVCpu();
        if (vcpu != null)
        {
            return vcpu;
        }

        vcpu = _platform.VCpus.Acquire(this, _threadId);
        if (vcpu == null)
        {
            return null;
        }

        if (vcpu.Resident != this)
        {
            vcpu.Recall();
            vcpu.Resident?.Evict(vcpu);
            vcpu.Resident = this;
            Volatile.Write(ref _vcpu, vcpu);
        }

        return vcpu;
    }

    /// <summary>The vCPU with this context's FPU state, held and out of the guest; null if the state is in memory.</summary>
    private VCpu? HoldOwnVCpu()
    {
        VCpu? vcpu = TryHoldOwnVCpu();
        vcpu?.Recall();
        return vcpu;
    }

    /// <summary>The same, but it may be in the guest.</summary>
    private VCpu? TryHoldOwnVCpu()
    {
        SpinWait spin = default;
        while (true)
        {
            VCpu? vcpu = Volatile.Read(ref _vcpu);
            if (vcpu == null)
            {
                return null;
            }

            if (vcpu.TryAcquire())
            {
                if (vcpu.Resident == this)
                {
                    return vcpu;
                }

                _platform.VCpus.Release(vcpu);
            }

            // Another context holds it and is about to evict this one, or looked at it in passing.
            spin.SpinOnce();
        }
    }

    private void ReleaseOwn(VCpu? vcpu)
    {
        if (vcpu != null)
        {
            _platform.VCpus.Release(vcpu);
        }
    }

    /// <summary>One KVM_RUN. False if it only has to be repeated.</summary>
    private bool RunOnce(VCpu vcpu, KvmAddressSpace space, out TrapInfo trap)
    {
        trap = default;
        bool waits = AwaitsAnswer(vcpu, space);
        VCpuRunner? runner = waits ? null : TakeRunner();
        if (waits || runner != null)
        {
            Volatile.Write(ref _threadId, waits ? vcpu.GuestRun.ThreadId : runner!.ThreadId);
        }

        Volatile.Write(ref _running, vcpu);
        Interlocked.MemoryBarrier();
        if (TakeInterrupt())
        {
            Volatile.Write(ref _running, null);
            if (runner != null)
            {
                _platform.Runners.Return(runner);
            }

            trap.Kind = TrapKind.Interrupted;
            return true;
        }

        if (waits)
        {
            return Answer(vcpu, out trap);
        }

        _xstate.Install(vcpu);
        vcpu.XStateIsInitial = false;
        vcpu.LastThread = _threadId;
        space.EnterGuest();
        if (runner != null)
        {
            return HandOver(vcpu, runner, space, out trap);
        }

        if (_platform.SystemCallsStayInRing3)
        {
            vcpu.CallPage = space.CallPage(vcpu.Index);
            vcpu.CallPage.Disarm();
        }

        long start = _platform.HandsOver ? Stopwatch.GetTimestamp() : 0;
        long result = vcpu.Enter(_frame, space);
        space.LeaveGuest();
        Volatile.Write(ref _running, null);
        if (result != 0)
        {
            return Stopped(vcpu, result, out trap);
        }

        bool done = TrapDecoder.Decode(_platform, vcpu, ref _frame, out trap);
        if (_platform.HandsOver && trap.Kind == TrapKind.SystemCall)
        {
            _policy.CountExit(Stopwatch.GetTimestamp() - start, _platform.QuickTicks);
        }

        return done;
    }

    /// <summary>KVM_RUN came back with an error. The runner acknowledges kicks itself: they are signals to its thread.</summary>
    private bool Stopped(VCpu vcpu, long result, out TrapInfo trap, bool acknowledged = false)
    {
        if (result is not (-KvmCalls.EINTR) and not (-KvmCalls.EAGAIN))
        {
            return TrapDecoder.DecodeError(_platform, vcpu, result, ref _frame, out trap);
        }

        if (!acknowledged)
        {
            vcpu.AcknowledgeKick();
        }

        if (TrapDecoder.DecodeInterrupted(_platform, vcpu, ref _frame, out trap))
        {
            return true;
        }

        // After the acknowledgement, whose store is ordered before this by the exchange: a kick from here on ends the next KVM_RUN.
        trap.Kind = TrapKind.Interrupted;
        return TakeInterrupt();
    }

    private bool TakeInterrupt() => Volatile.Read(ref _interrupt) != 0 && Interlocked.Exchange(ref _interrupt, 0) != 0;
}
