using System;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Host.Syscalls;

namespace Runsc.Platform.Kvm.HandOver;

/// <summary>
/// A thread that keeps a vCPU in the guest while the task's own thread answers the system calls that the stub hands over. One order is one KVM_RUN:
/// whatever ends it, the task's thread is told (<see cref="GuestRun"/>), and the runner is free for another vCPU.
/// </summary>
internal sealed unsafe class VCpuRunner : IDisposable
{
    private const int Idle = 0;
    private const int Ordered = 1;
    private const int Stopped = 2;
    private const int StackSize = 128 * 1024;

    private readonly RunnerPool _pool;
    private readonly Thread _thread;

    /// <summary>Futex words, each in a cache line of its own: the order, and whether the runner sleeps on it.</summary>
    private readonly int* _order;
    private readonly int* _sleeps;
    private VCpu? _vcpu;
    private volatile int _threadId;

    /// <exception cref="OutOfMemoryException">The host grants no more threads.</exception>
    public VCpuRunner(RunnerPool pool)
    {
        _pool = pool;
        _order = FutexWords.Allocate(2);
        _sleeps = FutexWords.At(_order, 1);
        _thread = new Thread(Loop, StackSize) { IsBackground = true, Name = "vcpu" };
        try
        {
            _thread.Start();
        }
        catch (OutOfMemoryException)
        {
            NativeMemory.AlignedFree(_order);
            throw;
        }

        SpinWait spin = default;
        while (_threadId == 0)
        {
            spin.SpinOnce();
        }
    }

    /// <summary>The thread to kick.</summary>
    public int ThreadId => _threadId;

    /// <summary>Runs the vCPU once, as its run page was prepared. The runner is the caller's, by <see cref="RunnerPool.TryTake"/>.</summary>
    public void Run(VCpu vcpu)
    {
        _vcpu = vcpu;
        Interlocked.Exchange(ref *_order, Ordered);
        if (Volatile.Read(ref *_sleeps) != 0)
        {
            HostFutex.Wake(_order);
        }
    }

    /// <summary>Ends the thread; it must be free.</summary>
    public void Dispose()
    {
        Interlocked.Exchange(ref *_order, Stopped);
        HostFutex.Wake(_order);
        _thread.Join();
        NativeMemory.AlignedFree(_order);
    }

    private void Loop()
    {
        // A kick only ends KVM_RUN, which unblocks it.
        _ = KvmCalls.BlockSignal(KvmPlatform.KickSignal);
        _threadId = KvmCalls.GetThreadId();
        while (true)
        {
            AwaitOrder();
            if (Volatile.Read(ref *_order) == Stopped)
            {
                return;
            }

            VCpu vcpu = _vcpu!;
            _vcpu = null;
            Volatile.Write(ref *_order, Idle);
            long result = vcpu.Run();
            if (result is -KvmCalls.EINTR or -KvmCalls.EAGAIN)
            {
                vcpu.AcknowledgeKick();
            }

            _pool.Return(this);
            vcpu.GuestRun.End(result);
        }
    }

    private void AwaitOrder()
    {
        for (int i = 0; i < FutexWords.Spin; i++)
        {
            if (Volatile.Read(ref *_order) != Idle)
            {
                return;
            }

            Thread.SpinWait(1);
        }

        Interlocked.Exchange(ref *_sleeps, 1);
        while (Volatile.Read(ref *_order) == Idle)
        {
            HostFutex.Wait(_order, Idle, -1);
        }

        Volatile.Write(ref *_sleeps, 0);
    }
}
