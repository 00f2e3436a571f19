using System;
using System.Collections.Generic;
using System.Threading;

namespace Runsc.Platform.Kvm.HandOver;

/// <summary>The runners of the machine: no more than processors, since each keeps one busy. Thread-safe.</summary>
internal sealed class RunnerPool : IDisposable
{
    private readonly Lock _mu = new();
    private readonly int _limit;

    // Guarded by _mu. The one that came back last is the one that still spins.
    private readonly Stack<VCpuRunner> _free;
    private int _count;

    public RunnerPool(int limit)
    {
        _limit = limit;
        _free = new Stack<VCpuRunner>(limit);
    }

    /// <summary>A runner for one run, after which it returns by itself; null if there is none to be had.</summary>
    public VCpuRunner? TryTake()
    {
        lock (_mu)
        {
            if (_free.TryPop(out VCpuRunner? runner))
            {
                return runner;
            }

            if (_count == _limit)
            {
                return null;
            }

            _count++;
        }

        try
        {
            return new VCpuRunner(this);
        }
        catch (OutOfMemoryException)
        {
            // No more threads: a limit of the container's, most likely. What is not handed over leaves the guest.
            lock (_mu)
            {
                _count--;
            }

            return null;
        }
    }

    /// <summary>For a runner whose run has ended, or that was taken for nothing.</summary>
    public void Return(VCpuRunner runner)
    {
        lock (_mu)
        {
            _free.Push(runner);
        }
    }

    /// <summary>No run is under way or will be.</summary>
    public void Dispose()
    {
        lock (_mu)
        {
            foreach (VCpuRunner runner in _free)
            {
                runner.Dispose();
            }

            _free.Clear();
        }
    }
}
