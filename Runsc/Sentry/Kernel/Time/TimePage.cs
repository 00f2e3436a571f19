using System.Threading;

namespace Runsc.Sentry.Kernel.Time;

/// <summary>
/// The page from which the vDSO computes the clocks ("vvar"), shared with every program, which can only read it. One writer at a time: the timer thread.
/// </summary>
/// <remarks>
/// A sequence lock: odd while the rest changes. The writer reads the counter for a new base after it has made the sequence odd, so that whoever computes with the
/// old values has either read the counter before, or sees the change and begins again: time never goes back at a change.
/// </remarks>
internal sealed unsafe class TimePage(byte* page)
{
    // The layout is known to vdso.S.
    private readonly uint* _sequence = (uint*)page;
    private readonly uint* _valid = (uint*)(page + 4);
    private readonly ulong* _counterBase = (ulong*)(page + 8);
    private readonly long* _nanosecondBase = (long*)(page + 16);
    private readonly ulong* _multiplier = (ulong*)(page + 24);
    private readonly long* _realtime = (long*)(page + 32);

    public const int SizeInBytes = 40;

    public bool IsValid => Volatile.Read(ref *_valid) != 0;

    /// <summary>Nanoseconds for each tick of the counter, as a fixed-point number with 32 bits behind the point. For the writer.</summary>
    public ulong Multiplier => *_multiplier;

    /// <summary>CLOCK_REALTIME − CLOCK_MONOTONIC. For the writer.</summary>
    public long RealtimeOffset => *_realtime;

    /// <summary>What the page says that CLOCK_MONOTONIC is at a reading of the counter. For the writer.</summary>
    public long Predict(ulong counter) => Compute(counter, *_counterBase, *_nanosecondBase, *_multiplier);

    public void BeginChange()
    {
        Volatile.Write(ref *_sequence, unchecked(*_sequence + 1));
        Interlocked.MemoryBarrier();
    }

    public void EndChange()
    {
        Interlocked.MemoryBarrier();
        Volatile.Write(ref *_sequence, unchecked(*_sequence + 1));
    }

    /// <summary>Between <see cref="BeginChange"/> and <see cref="EndChange"/>.</summary>
    public void Set(bool valid, ulong counterBase, long nanosecondBase, ulong multiplier, long realtimeOffset)
    {
        *_valid = valid ? 1u : 0;
        *_counterBase = counterBase;
        *_nanosecondBase = nanosecondBase;
        *_multiplier = multiplier;
        *_realtime = realtimeOffset;
    }

    /// <summary>The clocks as the vDSO computes them. False when the page is not valid.</summary>
    public bool TryRead<TCounter>(in TCounter counter, out long monotonic, out long realtimeOffset)
        where TCounter : struct, ICounter
    {
        SpinWait spin = default;
        while (true)
        {
            uint sequence = Volatile.Read(ref *_sequence);
            if ((sequence & 1) == 0)
            {
                bool valid = Volatile.Read(ref *_valid) != 0;
                ulong now = valid ? counter.Read() : 0;
                monotonic = Compute(now, Volatile.Read(ref *_counterBase), Volatile.Read(ref *_nanosecondBase), Volatile.Read(ref *_multiplier));
                realtimeOffset = Volatile.Read(ref *_realtime);

                // The counter was read before this, too.
                Interlocked.MemoryBarrier();
                if (Volatile.Read(ref *_sequence) == sequence)
                {
                    return valid;
                }
            }

            spin.SpinOnce();
        }
    }

    private static long Compute(ulong counter, ulong counterBase, long nanosecondBase, ulong multiplier)
    {
        ulong ticks = counter > counterBase ? counter - counterBase : 0;
        return unchecked(nanosecondBase + (long)(ulong)(((System.UInt128)ticks * multiplier) >> 32));
    }
}

/// <summary>A counter that runs evenly; a type argument, so that the call costs nothing.</summary>
internal interface ICounter
{
    ulong Read();
}
