using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;

namespace Runsc.Sentry.Kernel.Aio;

/// <summary>The completion queues of an address space, by their ids. Counted by the tasks that share the space; the last one takes them down.</summary>
internal sealed class AioContexts(SentryKernel kernel)
{
    private readonly Lock _mu = new();

    // Guarded by _mu.
    private readonly Dictionary<ulong, AioContext> _contexts = [];
    private int _users = 1;

    public AioContexts IncUsers()
    {
        Interlocked.Increment(ref _users);
        return this;
    }

    public void DecUsers()
    {
        if (Interlocked.Decrement(ref _users) == 0)
        {
            lock (_mu)
            {
                foreach (AioContext context in _contexts.Values)
                {
                    Interlocked.Add(ref kernel.AioEvents, -context.Capacity);
                }

                _contexts.Clear();
            }
        }
    }

    /// <summary>A new queue under an id that is free. EAGAIN: the system has no room for so many results.</summary>
    public Errno Add(ulong id, int capacity)
    {
        if (Interlocked.Add(ref kernel.AioEvents, capacity) > Linux.Aio.MaxEvents)
        {
            Interlocked.Add(ref kernel.AioEvents, -capacity);
            return Errno.EAGAIN;
        }

        lock (_mu)
        {
            _contexts[id] = new AioContext(capacity);
        }

        return Errno.None;
    }

    public AioContext? Find(ulong id)
    {
        lock (_mu)
        {
            return _contexts.GetValueOrDefault(id);
        }
    }

    /// <summary>False when there is no such queue (any more).</summary>
    public bool Remove(ulong id)
    {
        AioContext? context;
        lock (_mu)
        {
            if (!_contexts.Remove(id, out context))
            {
                return false;
            }
        }

        Interlocked.Add(ref kernel.AioEvents, -context.Capacity);
        context.Destroy();
        return true;
    }
}
