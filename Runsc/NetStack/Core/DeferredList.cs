using System;
using System.Collections.Generic;
using System.Threading;

namespace Runsc.NetStack.Core;

/// <summary>Work for after the stack's lock, in order. Its own lock is a leaf.</summary>
/// <remarks>
/// Work of one stack may enter another, whose work then waits until that of the first is done: two stacks that answer each other take turns on one
/// thread without its stack growing.
/// </remarks>
internal sealed class DeferredList
{
    // Lists whose turn comes on this thread, while it runs one.
    [ThreadStatic]
    private static Queue<DeferredList>? t_waiting;

    [ThreadStatic]
    private static bool t_isRunning;

    private readonly Lock _mu = new();

    // Guarded by _mu.
    private DeferredWork? _first;
    private DeferredWork? _last;

    // Read without the lock: whoever added work runs the list itself later, so a stale null loses nothing.
    public bool IsEmpty => Volatile.Read(ref _first) is null;

    public void Add(DeferredWork work)
    {
        lock (_mu)
        {
            if (work.IsDeferred)
            {
                return;
            }

            work.IsDeferred = true;
            if (_last is null)
            {
                _first = work;
            }
            else
            {
                _last.NextDeferred = work;
            }

            _last = work;
        }
    }

    public void RunAll()
    {
        if (t_isRunning)
        {
            (t_waiting ??= new Queue<DeferredList>()).Enqueue(this);
            return;
        }

        t_isRunning = true;
        RunOwn();
        while (t_waiting is { } waiting && waiting.TryDequeue(out DeferredList? next))
        {
            next.RunOwn();
        }

        t_isRunning = false;
    }

    private void RunOwn()
    {
        while (!IsEmpty)
        {
            DeferredWork? work;
            lock (_mu)
            {
                work = _first;
                if (work is null)
                {
                    return;
                }

                _first = work.NextDeferred;
                if (_first is null)
                {
                    _last = null;
                }

                work.NextDeferred = null;
                work.IsDeferred = false;
            }

            work.Run();
        }
    }
}
