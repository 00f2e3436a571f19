using System;

namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>An algorithm that sizes the congestion window of one connection (TCP_CONGESTION). Time is an argument; guarded by the stack's lock.</summary>
internal abstract class CongestionControl(CongestionWindow window)
{
    protected CongestionWindow Window { get; } = window;

    public abstract string Name { get; }

    public static ReadOnlySpan<string> Names => s_names;

    private static readonly string[] s_names = ["reno", "cubic", "bbr"];

    /// <summary>Null if no algorithm has the name.</summary>
    public static CongestionControl? Create(string name, CongestionWindow window) => name switch
    {
        "cubic" => new Cubic(window),
        "reno" => new Reno(window),
        "bbr" => new Bbr(window),
        _ => null,
    };

    /// <summary>It sets the window itself, by <see cref="OnRate"/>, in all states; else it is reduced after losses and grows by <see cref="Grow"/>.</summary>
    public virtual bool IsRateBased => false;

    /// <summary>Bytes a second that go out at most; 0 for no limit.</summary>
    public virtual long PacingRate => 0;

    /// <summary>It sends less than the application wants: rates that are measured meanwhile are lower bounds.</summary>
    public virtual bool HoldsBack => false;

    /// <summary>Set before <see cref="OnRestart"/>: the application had nothing to send before.</summary>
    public bool WasAppLimited { get; set; }

    /// <summary>The connection stands, or the algorithm is chosen for one that does. Microseconds, 0 and long.MaxValue if unknown; bytes of a segment; nanoseconds.</summary>
    public virtual void OnEstablished(long smoothedRtt, long minimumRtt, int mss, long now)
    {
    }

    /// <summary>After each acknowledgement, if <see cref="IsRateBased"/>.</summary>
    public virtual void OnRate(in RateSample sample)
    {
    }

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
