using System;
using System.Threading;
using Runsc.NetStack.Buffers;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Boot;

/// <summary>
/// Gives memory of the Sentry's own heap back to the host once a busy time is over: the collector runs only when something is allocated, so what thousands of
/// connections needed would stay for good.
/// </summary>
/// <remarks>An idle sandbox does nothing here: a collection arms the timer, and a time without one fires it.</remarks>
internal sealed class HeapTrimmer
{
    private const long QuietTime = 5_000_000_000;

    /// <summary>Bytes that the heap may keep.</summary>
    private const long Kept = 12 << 20;

    private readonly SentryKernel _kernel;
    private readonly BufferPool _buffers;
    private readonly KernelTimer _timer;
    private int _isArmed;

    // Of the thread that trims, of which there is one at a time: collections when the timer was armed last, and after the last trim.
    private int _seen;
    private int _trimmed;

    private HeapTrimmer(SentryKernel kernel, BufferPool buffers)
    {
        _kernel = kernel;
        _buffers = buffers;

        // Not on the timer thread: a full collection stops all.
        _timer = new KernelTimer(kernel.Timers, _ => new Thread(Trim, 256 << 10) { IsBackground = true, Name = "trim" }.Start());
    }

    public static void Start(SentryKernel kernel, BufferPool buffers) => _ = new Signal(new HeapTrimmer(kernel, buffers));

    private void OnCollection()
    {
        if (Interlocked.Exchange(ref _isArmed, 1) == 0)
        {
            Arm();
        }
    }

    private void Arm() => _timer.Set(_kernel.Clock.Monotonic + QuietTime, 0);

    private void Trim()
    {
        int collections = GC.CollectionCount(0);
        if (collections != _seen)
        {
            _seen = collections;
            Arm();
            return;
        }

        if (collections != _trimmed && GC.GetGCMemoryInfo().TotalCommittedBytes > Kept)
        {
            _buffers.Trim();
            GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
            _trimmed = _seen = GC.CollectionCount(0);
        }

        Volatile.Write(ref _isArmed, 0);
    }

    /// <summary>Garbage from the beginning: its end says that there was a collection.</summary>
    private sealed class Signal(HeapTrimmer owner)
    {
        ~Signal()
        {
            owner.OnCollection();
            _ = new Signal(owner);
        }
    }
}
