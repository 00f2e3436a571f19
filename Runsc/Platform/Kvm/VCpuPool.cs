using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Platform.Kvm.Paging;

namespace Runsc.Platform.Kvm;

/// <summary>
/// The vCPUs of the machine. A context keeps the vCPU it ran on until another needs it. The order of preference for one that has none: a free
/// vCPU, a new one, an idle one of another context, and at the limit a place in the queue. The head of the queue gets the next vCPU that is
/// given back; if none is for a while, running ones are kicked in turn, so that tasks which only compute share the vCPUs.
/// </summary>
internal sealed class VCpuPool : IDisposable
{
    /// <summary>How long the head of the queue waits before it takes a vCPU from a running task.</summary>
    private const int TimeSliceMilliseconds = 10;

    // A monitor, because waiting needs a condition.
    private readonly object _mu = new();
    private readonly KvmPlatform _platform;
    private readonly int _limit;
    private readonly VCpu[] _vcpus;

    // Guarded by _mu; _waiting also read without it (see Release).
    private readonly Queue<KvmContext> _queue = new();
    private int _count;
    private int _nextVictim;
    private int _waiting;

    public VCpuPool(KvmPlatform platform, int limit)
    {
        _platform = platform;
        _limit = limit;
        _vcpus = new VCpu[limit];
    }

    /// <summary>vCPUs created so far.</summary>
    public int Count
    {
        get
        {
            lock (_mu)
            {
                return _count;
            }
        }
    }

    public int Limit => _limit;

    /// <summary>A vCPU is in the guest on a runner's thread, for tests.</summary>
    public bool IsAnyWithRunner
    {
        get
        {
            int count = Volatile.Read(ref _count);
            for (int i = 0; i < count; i++)
            {
                if (_vcpus[i].GuestRun.IsUnderWay)
                {
                    return true;
                }
            }

            return false;
        }
    }

    /// <summary>Someone is in the queue: who can should give its vCPU back.</summary>
    public bool IsContended => Volatile.Read(ref _waiting) != 0;

    /// <summary>A vCPU, held, for a context that has none or has lost its own. Null if the context was interrupted while it waited.</summary>
    public VCpu? Acquire(KvmContext context, int thread)
    {
        lock (_mu)
        {
            if (_queue.Count == 0)
            {
                VCpu? vcpu = TakeFreeLocked(thread) ?? CreateLocked() ?? TakeIdleLocked();
                if (vcpu != null)
                {
                    return vcpu;
                }
            }

            return WaitLocked(context);
        }
    }

    /// <summary>Gives a vCPU back.</summary>
    public void Release(VCpu vcpu)
    {
        // Pairing: Release is a full fence and then reads _waiting; a waiter raises _waiting, fences, and then looks for idle vCPUs.
        vcpu.Release();
        if (Volatile.Read(ref _waiting) != 0)
        {
            lock (_mu)
            {
                HandOverLocked();
            }
        }
    }

    /// <summary>Writes the MSRs of every vCPU again: the SYSCALL target has changed.</summary>
    public void PrepareMsrs()
    {
        lock (_mu)
        {
            for (int i = 0; i < _count; i++)
            {
                _vcpus[i].PrepareMsrs();
            }
        }
    }

    /// <summary>Makes waiting contexts look whether they were interrupted.</summary>
    public void WakeWaiters()
    {
        lock (_mu)
        {
            Monitor.PulseAll(_mu);
        }
    }

    /// <summary>Gets every vCPU out of the guest that its runner has in <paramref name="space"/>; they may enter again.</summary>
    public void Recall(KvmAddressSpace space)
    {
        for (int i = 0; i < Volatile.Read(ref _count); i++)
        {
            GuestRun run = _vcpus[i].GuestRun;
            if (run.Space == space)
            {
                run.Recall();
            }
        }
    }

    /// <summary>Gets every vCPU out of the guest, at the end of the machine.</summary>
    public void RecallAll()
    {
        for (int i = 0; i < _count; i++)
        {
            _vcpus[i].Recall();
        }
    }

    public void Dispose()
    {
        for (int i = 0; i < _count; i++)
        {
            _vcpus[i].Dispose();
        }

        _count = 0;
    }

    private VCpu? TakeFreeLocked(int thread)
    {
        VCpu? found = null;
        for (int i = 0; i < _count; i++)
        {
            VCpu vcpu = _vcpus[i];
            if (vcpu.Resident == null && (found == null || vcpu.LastThread == thread) && vcpu.TryAcquire())
            {
                // The fields of a vCPU are its holder's: look again now.
                if (vcpu.Resident != null)
                {
                    vcpu.Release();
                    continue;
                }

                found?.Release();
                found = vcpu;
                if (vcpu.LastThread == thread)
                {
                    break;
                }
            }
        }

        return found;
    }

    private VCpu? TakeIdleLocked()
    {
        for (int i = 0; i < _count; i++)
        {
            // From the last victim on, so that the loss is spread.
            VCpu vcpu = _vcpus[(_nextVictim + i) % _count];
            if (vcpu.TryAcquire())
            {
                _nextVictim = (vcpu.Index + 1) % _count;
                return vcpu;
            }
        }

        return null;
    }

    private VCpu? CreateLocked()
    {
        if (_count == _limit)
        {
            return null;
        }

        VCpu vcpu;
        try
        {
            vcpu = new VCpu(_platform, _count);
        }
        catch (PlatformException) when (_count > 0)
        {
            // The host has no more to give (descriptors, memory): share what there is.
            return null;
        }

        _ = vcpu.TryAcquire();
        _vcpus[_count] = vcpu;
        Volatile.Write(ref _count, _count + 1);
        return vcpu;
    }

    private VCpu? WaitLocked(KvmContext context)
    {
        context.Granted = null;
        _queue.Enqueue(context);
        Interlocked.Increment(ref _waiting);
        HandOverLocked();
        while (context.Granted == null)
        {
            if (context.IsInterrupted)
            {
                RemoveLocked(context);
                return null;
            }

            if (!Monitor.Wait(_mu, TimeSliceMilliseconds))
            {
                PreemptLocked();
            }
        }

        return context.Granted;
    }

    private void HandOverLocked()
    {
        while (_queue.Count > 0)
        {
            VCpu? vcpu = TakeIdleLocked();
            if (vcpu == null)
            {
                return;
            }

            _queue.Dequeue().Granted = vcpu;
            Interlocked.Decrement(ref _waiting);
            Monitor.PulseAll(_mu);
        }
    }

    private void RemoveLocked(KvmContext context)
    {
        for (int left = _queue.Count; left > 0; left--)
        {
            KvmContext waiter = _queue.Dequeue();
            if (waiter != context)
            {
                _queue.Enqueue(waiter);
            }
        }

        Interlocked.Decrement(ref _waiting);
    }

    private void PreemptLocked()
    {
        _nextVictim = (_nextVictim + 1) % _count;
        // Racy on purpose: a kick that meets another context than intended only makes it enter again.
        _vcpus[_nextVictim].Resident?.Kick();
    }
}
