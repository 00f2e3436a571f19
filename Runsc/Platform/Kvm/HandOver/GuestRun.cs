using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Platform.Kvm.Paging;

namespace Runsc.Platform.Kvm.HandOver;

/// <summary>
/// A vCPU's stay in the guest on the thread of a runner. Begun and waited for by the holder of the vCPU, ended by the runner; <see cref="Recall"/>,
/// <see cref="IsUnderWay"/> and <see cref="Space"/> are for any thread.
/// </summary>
internal sealed unsafe class GuestRun
{
    private readonly VCpu _vcpu;

    // Futex words: whether it is under way, and whether the task's thread sleeps on that.
    private readonly int* _underWay;
    private readonly int* _waiting;
    private KvmAddressSpace? _space;
    private volatile int _threadId;

    public GuestRun(VCpu vcpu)
    {
        _vcpu = vcpu;
        _underWay = FutexWords.Allocate(2);
        _waiting = FutexWords.At(_underWay, 1);
    }

    /// <summary>KVM_RUN has not come back: the vCPU's registers and FPU state cannot be reached.</summary>
    public bool IsUnderWay => Volatile.Read(ref *_underWay) != 0;

    /// <summary>The space that the vCPU is in, null when it is in none.</summary>
    public KvmAddressSpace? Space => Volatile.Read(ref _space);

    /// <summary>The thread to kick.</summary>
    public int ThreadId => _threadId;

    /// <summary>What KVM_RUN returned: 0 or −errno. After EINTR the kick has been acknowledged.</summary>
    public long Result { get; private set; }

    /// <summary>Enters the guest, with the run page prepared. EnterGuest of <paramref name="space"/> has been called; the end calls its LeaveGuest.</summary>
    public void Begin(VCpuRunner runner, KvmAddressSpace space)
    {
        Volatile.Write(ref _space, space);
        _threadId = runner.ThreadId;
        Interlocked.Exchange(ref *_underWay, 1);
        runner.Run(_vcpu);
    }

    /// <summary>For the runner: KVM_RUN has come back.</summary>
    public void End(long result)
    {
        Result = result;
        KvmAddressSpace space = _space!;
        Volatile.Write(ref _space, null);
        space.LeaveGuest();
        Interlocked.Exchange(ref *_underWay, 0);
        if (Volatile.Read(ref *_waiting) != 0)
        {
            HostFutex.Wake(_underWay);
        }
    }

    /// <summary>Returns when KVM_RUN has come back.</summary>
    public void WaitForEnd()
    {
        for (int i = 0; i < FutexWords.Spin; i++)
        {
            if (!IsUnderWay)
            {
                return;
            }

            Thread.SpinWait(1);
        }

        Interlocked.Exchange(ref *_waiting, 1);
        while (IsUnderWay)
        {
            HostFutex.Wait(_underWay, 1, -1);
        }

        Volatile.Write(ref *_waiting, 0);
    }

    /// <summary>Makes KVM_RUN come back.</summary>
    public void Recall()
    {
        if (IsUnderWay)
        {
            _vcpu.Kick(_threadId);
        }
    }

    /// <summary>The vCPU is gone.</summary>
    public void Free() => NativeMemory.AlignedFree(_underWay);
}
