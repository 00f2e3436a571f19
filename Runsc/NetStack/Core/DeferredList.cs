using System.Threading;

namespace Runsc.NetStack.Core;

/// <summary>Work for after the stack's lock, in order. Its own lock is a leaf.</summary>
internal sealed class DeferredList
{
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
