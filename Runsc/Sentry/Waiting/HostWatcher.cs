using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Sentry.Waiting;

/// <summary>
/// Watches descriptors of the host for tasks that wait for them: one thread, one epoll set. A descriptor is watched only while
/// somebody waits for it, one event at a time, so that a ready descriptor which nobody reads costs nothing.
/// </summary>
internal sealed class HostWatcher
{
    private const uint Edges = (uint)(EventMask.In | EventMask.Out | EventMask.Pri | EventMask.ReadHup);

    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly Dictionary<int, WaitQueue> _queues = [];
    private int _epoll = -1;

    /// <summary>Waits are over <paramref name="queue"/> from now on. False for what epoll does not take (regular files): it is always ready.</summary>
    public bool Add(int fd, WaitQueue queue) => Add(fd, queue, Epoll.EPOLLONESHOT);

    /// <summary>Tells the queue of every change, without <see cref="Arm"/>: for sockets that come and go, whose readers take all that there is.</summary>
    public bool AddEdges(int fd, WaitQueue queue) => Add(fd, queue, Edges | Epoll.EPOLLET);

    private bool Add(int fd, WaitQueue queue, uint events)
    {
        lock (_mu)
        {
            if (_epoll < 0)
            {
                _epoll = HostEvents.EpollCreate();
                if (_epoll < 0)
                {
                    return false;
                }

                new Thread(Run, 256 << 10) { IsBackground = true, Name = "host events" }.Start();
            }

            if (HostEvents.EpollControl(_epoll, Epoll.EPOLL_CTL_ADD, fd, events, (ulong)fd) < 0)
            {
                return false;
            }

            _queues[fd] = queue;
            return true;
        }
    }

    /// <summary>Tells the queue of the next event among these. Call it whenever a waiter is about to sleep.</summary>
    public void Arm(int fd, EventMask events)
    {
        lock (_mu)
        {
            if (_queues.ContainsKey(fd))
            {
                _ = HostEvents.EpollControl(_epoll, Epoll.EPOLL_CTL_MOD, fd, ((uint)events & 0xffff) | Epoll.EPOLLONESHOT, (ulong)fd);
            }
        }
    }

    public void Remove(int fd)
    {
        lock (_mu)
        {
            if (_queues.Remove(fd))
            {
                _ = HostEvents.EpollControl(_epoll, Epoll.EPOLL_CTL_DEL, fd, 0, 0);
            }
        }
    }

    private void Run()
    {
        Span<EpollEvent> events = stackalloc EpollEvent[16];
        while (true)
        {
            int count = HostEvents.EpollWait(_epoll, events);
            if (count == -(int)Errno.EINTR)
            {
                continue;
            }

            if (count < 0)
            {
                Invariant.Fail($"epoll_wait of the host failed: {-count}");
            }

            for (int i = 0; i < count; i++)
            {
                WaitQueue? queue;
                lock (_mu)
                {
                    queue = _queues.GetValueOrDefault((int)events[i].Data);
                }

                // poll and epoll share their bits.
                queue?.Notify((EventMask)(events[i].Events & 0xffff) | EventMask.ReadNormal | EventMask.WriteNormal);
            }
        }
    }
}
