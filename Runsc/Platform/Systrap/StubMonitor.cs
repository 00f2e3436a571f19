using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Platform.Systrap;

/// <summary>Notices the ends of stub processes, on a thread of its own.</summary>
internal sealed class StubMonitor : IDisposable
{
    private const ulong Stop = ulong.MaxValue;

    private readonly Lock _mu = new();
    private readonly int _epoll;
    private readonly int _stop;
    private readonly Thread _thread;

    // Guarded by _mu.
    private readonly Dictionary<ulong, StubProcess> _processes = [];
    private ulong _next;

    public StubMonitor()
    {
        _epoll = HostEvents.EpollCreate();
        _stop = SystrapCalls.CreateEvent();
        if (_epoll < 0 || _stop < 0 || HostEvents.EpollControl(_epoll, Epoll.EPOLL_CTL_ADD, _stop, Epoll.EPOLLIN, Stop) < 0)
        {
            throw new PlatformException("systrap: no descriptors to watch processes with");
        }

        _thread = new Thread(Run, 256 << 10) { IsBackground = true, Name = "stubs" };
        _thread.Start();
    }

    /// <summary>Watches a process: it will be told of its end, and released.</summary>
    public bool TryAdd(StubProcess process)
    {
        lock (_mu)
        {
            ulong key = _next++;
            _processes.Add(key, process);
            if (HostEvents.EpollControl(_epoll, Epoll.EPOLL_CTL_ADD, process.Descriptor, Epoll.EPOLLIN, key) >= 0)
            {
                return true;
            }

            _processes.Remove(key);
            return false;
        }
    }

    public void Dispose()
    {
        _ = HostFile.Write(_stop, BitConverter.GetBytes(1UL));
        _thread.Join();
        _ = HostFile.Close(_epoll);
        _ = HostFile.Close(_stop);
    }

    private void Run()
    {
        EpollEvent[] events = new EpollEvent[16];
        while (true)
        {
            int count = HostEvents.EpollWait(_epoll, events);
            for (int i = 0; i < count; i++)
            {
                if (events[i].Data == Stop)
                {
                    return;
                }

                Ended(events[i].Data);
            }
        }
    }

    private void Ended(ulong key)
    {
        StubProcess? process;
        lock (_mu)
        {
            if (!_processes.Remove(key, out process))
            {
                return;
            }
        }

        _ = HostEvents.EpollControl(_epoll, Epoll.EPOLL_CTL_DEL, process.Descriptor, 0, 0);
        process.OnDeath();
        process.Release();
    }
}
