using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>
/// The event descriptors on which stub processes say that an order was carried out. All processes have all of them; an order names the one to use.
/// An application cannot write to one, so it cannot pretend. Thread-safe.
/// </summary>
internal sealed class Lanes : IDisposable
{
    private readonly Lock _mu = new();
    private readonly int[] _descriptors = new int[StubLayout.LaneCount];

    // Guarded by _mu.
    private readonly Stack<int> _free = new();
    private readonly SemaphoreSlim _available = new(StubLayout.LaneCount);

    public Lanes()
    {
        for (int i = 0; i < _descriptors.Length; i++)
        {
            int fd = SystrapCalls.CreateEvent();
            _descriptors[i] = fd >= 0 ? fd : throw new PlatformException($"systrap: eventfd2 failed (errno {-fd})");
            _free.Push(i);
        }
    }

    /// <summary>A lane that nobody else uses.</summary>
    public int Acquire()
    {
        _available.Wait();
        lock (_mu)
        {
            return _free.Pop();
        }
    }

    /// <summary>Nothing will be written to it any more.</summary>
    public void Release(int lane)
    {
        lock (_mu)
        {
            _free.Push(lane);
        }

        _available.Release();
    }

    public int this[int lane] => _descriptors[lane];

    public void Dispose()
    {
        foreach (int fd in _descriptors)
        {
            _ = HostFile.Close(fd);
        }

        _available.Dispose();
    }
}
