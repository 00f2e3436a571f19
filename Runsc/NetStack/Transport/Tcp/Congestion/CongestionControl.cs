using System;

namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>An algorithm that sizes the congestion window of one connection (TCP_CONGESTION). Time is an argument; guarded by the stack's lock.</summary>
internal abstract class CongestionControl(CongestionWindow window)
{
    protected CongestionWindow Window { get; } = window;

    public abstract string Name { get; }

    public static ReadOnlySpan<string> Names => s_names;

    private static readonly string[] s_names = ["cubic", "reno"];

    /// <summary>Null if no algorithm has the name.</summary>
    public static CongestionControl? Create(string name, CongestionWindow window) => name switch
    {
        "cubic" => new Cubic(window),
        "reno" => new Reno(window),
        _ => null,
    };

    /// <summary>The threshold after a loss or a mark, at least 2.</summary>
    public abstract int ThresholdAfterLoss();

    /// <summary>Segments were acknowledged while nothing was wrong.</summary>
    public abstract void Grow(int acked, long now);

    /// <summary>A round-trip sample of an acknowledgement, in microseconds; the sequence numbers are the sender's edges.</summary>
    public virtual void OnSample(long rtt, SeqNum una, SeqNum next, long now)
    {
    }

    /// <summary>The window after a reduction that turned out to be wrong.</summary>
    public virtual int WindowAfterUndo() => Math.Max(Window.Size, Window.PriorSize);

    /// <summary>The time-out expired.</summary>
    public virtual void OnTimeout()
    {
    }

    /// <summary>Data go out after a pause of <paramref name="idle"/> nanoseconds.</summary>
    public virtual void OnRestart(long idle, long now)
    {
    }
}
