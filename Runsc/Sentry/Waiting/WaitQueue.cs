using System.Threading;
using Runsc.Common;

namespace Runsc.Sentry.Waiting;

/// <summary>The waiters of one event source, in order of registration. Its lock is a leaf but for what Notify takes.</summary>
internal sealed class WaitQueue
{
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private Waiter? _first;
    private Waiter? _last;

    // Read without the lock so that an event nobody waits for costs one load. Written under _mu.
    private volatile int _count;

    public bool IsEmpty => _count == 0;

    public void Register(Waiter waiter)
    {
        lock (_mu)
        {
            if (waiter.Queue is not null)
            {
                Invariant.Fail("a waiter stands in two queues");
            }

            waiter.Queue = this;
            waiter.Previous = _last;
            waiter.Next = null;
            if (_last is null)
            {
                _first = waiter;
            }
            else
            {
                _last.Next = waiter;
            }

            _last = waiter;
            _count++;
        }

        // Pairs with the barrier in Notify: either the notifier sees the count, or the waiter's look at the
        // state that follows registration sees the event.
        Interlocked.MemoryBarrier();
    }

    public void Unregister(Waiter waiter)
    {
        lock (_mu)
        {
            if (waiter.Queue != this)
            {
                return;
            }

            if (waiter.Previous is null)
            {
                _first = waiter.Next;
            }
            else
            {
                waiter.Previous.Next = waiter.Next;
            }

            if (waiter.Next is null)
            {
                _last = waiter.Previous;
            }
            else
            {
                waiter.Next.Previous = waiter.Previous;
            }

            waiter.Previous = waiter.Next = null;
            waiter.Queue = null;
            _count--;
        }
    }

    /// <summary>Tells every waiter whose mask meets <paramref name="events"/>, but of the exclusive ones the first that takes it. Call after the state has changed.</summary>
    public void Notify(EventMask events)
    {
        Interlocked.MemoryBarrier();
        if (_count == 0)
        {
            return;
        }

        lock (_mu)
        {
            bool taken = false;
            for (Waiter? waiter = _first; waiter is not null; waiter = waiter.Next)
            {
                EventMask hit = events & (waiter.Mask | EventMask.Unmaskable);
                if (hit == 0)
                {
                    continue;
                }

                if (!waiter.IsExclusive)
                {
                    waiter.Notify(hit);
                }
                else if (!taken)
                {
                    taken = waiter.TryNotify(hit);
                }
            }
        }
    }
}
