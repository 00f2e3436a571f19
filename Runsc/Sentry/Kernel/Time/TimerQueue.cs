using System;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Host.Syscalls;

namespace Runsc.Sentry.Kernel.Time;

/// <summary>
/// A timer of the kernel's: calls back on the timer thread at a point of CLOCK_MONOTONIC, perhaps again and again.
/// A callback may still be under way, or just about to begin, when <see cref="Set"/> returns: owners check their own state in it.
/// The callback is short, does not block and may call <see cref="Set"/>.
/// </summary>
internal sealed class KernelTimer(TimerQueue queue, Action<KernelTimer> callback)
{
    internal readonly Action<KernelTimer> Callback = callback;

    // Guarded by the queue's lock. Position in the heap, or −1 when disarmed.
    internal int Index = -1;
    internal long Expiry;
    internal long Period;
    internal long LastExpirations;

    /// <summary>Arms (deadline ≥ 0) or disarms (negative) the timer; period 0: once.</summary>
    public void Set(long deadline, long period) => queue.Set(this, deadline, period);

    /// <summary>Nanoseconds until it expires (at least 1 when armed), or 0 when disarmed; and its period.</summary>
    public long GetRemaining(out long period) => queue.GetRemaining(this, out period);

    /// <summary>In a callback: how many periods it stands for (1 and more when the thread was late).</summary>
    public long Expirations => LastExpirations;
}

/// <summary>All timers, and the one thread that waits for the next: a binary heap, so that arming allocates nothing.</summary>
internal sealed unsafe class TimerQueue(IClock clock)
{
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private KernelTimer[] _heap = new KernelTimer[16];
    private int _count;
    private bool _started;

    // What the thread sleeps on; native, since the host sleeps on its address. Lives as long as the process.
    private readonly int* _wake = (int*)NativeMemory.AllocZeroed(64);

    /// <summary>Without a thread of its own, for tests: <see cref="RunDue"/> is called instead.</summary>
    public bool IsManual { get; init; }

    public void Set(KernelTimer timer, long deadline, long period)
    {
        bool first;
        lock (_mu)
        {
            RemoveLocked(timer);
            timer.Period = period;
            if (deadline < 0)
            {
                return;
            }

            timer.Expiry = deadline;
            InsertLocked(timer);
            first = _heap[0] == timer && !IsManual;
            if (first && !_started)
            {
                _started = true;
                new Thread(Run, 256 << 10) { IsBackground = true, Name = "timers" }.Start();
            }
        }

        if (first && Interlocked.Exchange(ref *_wake, 1) == 0)
        {
            HostFutex.Wake(_wake);
        }
    }

    public long GetRemaining(KernelTimer timer, out long period)
    {
        lock (_mu)
        {
            period = timer.Period;
            return timer.Index < 0 ? 0 : Math.Max(timer.Expiry - clock.Monotonic, 1);
        }
    }

    /// <summary>Calls back every timer that is due; the deadline of the next, or −1.</summary>
    public long RunDue()
    {
        while (true)
        {
            KernelTimer due;
            lock (_mu)
            {
                if (_count == 0)
                {
                    return -1;
                }

                due = _heap[0];
                long now = clock.Monotonic;
                if (due.Expiry > now)
                {
                    return due.Expiry;
                }

                RemoveLocked(due);
                due.LastExpirations = 1;
                if (due.Period > 0)
                {
                    // Missed periods come as one callback that knows their number.
                    long periods = ((now - due.Expiry) / due.Period) + 1;
                    due.LastExpirations = periods;
                    due.Expiry += periods * due.Period;
                    InsertLocked(due);
                }
            }

            due.Callback(due);
        }
    }

    private void Run()
    {
        while (true)
        {
            long next = RunDue();
            if (Interlocked.Exchange(ref *_wake, 0) == 0)
            {
                _ = HostFutex.Wait(_wake, 0, next);
            }
        }
    }

    private void InsertLocked(KernelTimer timer)
    {
        if (_count == _heap.Length)
        {
            Array.Resize(ref _heap, _count * 2);
        }

        int index = _count++;
        while (index > 0)
        {
            int parent = (index - 1) / 2;
            if (_heap[parent].Expiry <= timer.Expiry)
            {
                break;
            }

            PlaceLocked(_heap[parent], index);
            index = parent;
        }

        PlaceLocked(timer, index);
    }

    private void RemoveLocked(KernelTimer timer)
    {
        int index = timer.Index;
        if (index < 0)
        {
            return;
        }

        timer.Index = -1;
        KernelTimer last = _heap[--_count];
        _heap[_count] = null!;
        if (last == timer)
        {
            return;
        }

        // The last one takes the hole, and goes up or down from there.
        while (index > 0 && _heap[(index - 1) / 2].Expiry > last.Expiry)
        {
            PlaceLocked(_heap[(index - 1) / 2], index);
            index = (index - 1) / 2;
        }

        while (true)
        {
            int child = (2 * index) + 1;
            if (child >= _count)
            {
                break;
            }

            if (child + 1 < _count && _heap[child + 1].Expiry < _heap[child].Expiry)
            {
                child++;
            }

            if (_heap[child].Expiry >= last.Expiry)
            {
                break;
            }

            PlaceLocked(_heap[child], index);
            index = child;
        }

        PlaceLocked(last, index);
    }

    private void PlaceLocked(KernelTimer timer, int index)
    {
        _heap[index] = timer;
        timer.Index = index;
    }
}
