using System;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Aio;

/// <summary>
/// A completion queue of io_setup(2). A request is carried out when it is submitted, as Linux does for files that it cannot read ahead of, so that nothing is ever
/// under way; what is kept are the results that nobody has taken yet. Thread-safe.
/// </summary>
internal sealed class AioContext(int capacity)
{
    /// <summary>Hears of results, and of the end.</summary>
    public readonly WaitQueue Events = new();

    private readonly Lock _mu = new();

    // Guarded by _mu. Places for results are reserved before a request is carried out.
    private readonly List<IoEvent> _results = [];
    private int _reserved;
    private bool _isDestroyed;

    public int Capacity { get; } = capacity;

    public bool IsDestroyed
    {
        get
        {
            lock (_mu)
            {
                return _isDestroyed;
            }
        }
    }

    /// <summary>A place for the result of a request; false when there is none.</summary>
    public bool TryReserve()
    {
        lock (_mu)
        {
            if (_isDestroyed || _reserved >= Capacity)
            {
                return false;
            }

            _reserved++;
            return true;
        }
    }

    /// <summary>The request was refused: it has no result.</summary>
    public void GiveBack()
    {
        lock (_mu)
        {
            _reserved--;
        }
    }

    public void Complete(in IoEvent result)
    {
        lock (_mu)
        {
            _results.Add(result);
        }

        Events.Notify(EventMask.Internal);
    }

    /// <summary>Takes results, the oldest first, as far as they are there and fit: how many.</summary>
    public int Take(Span<IoEvent> results)
    {
        lock (_mu)
        {
            int count = Math.Min(results.Length, _results.Count);
            CollectionsMarshal.AsSpan(_results)[..count].CopyTo(results);
            _results.RemoveRange(0, count);
            _reserved -= count;
            return count;
        }
    }

    /// <summary>Results that could not be handed over are the oldest again.</summary>
    public void PutBack(ReadOnlySpan<IoEvent> results)
    {
        lock (_mu)
        {
            _results.InsertRange(0, results);
            _reserved += results.Length;
        }
    }

    public void Destroy()
    {
        lock (_mu)
        {
            _isDestroyed = true;
        }

        Events.Notify(EventMask.Internal);
    }
}
