using System;

namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>The congestion window of a connection and what the algorithms need to know of it. Counted in segments, as Linux does. Guarded by the stack's lock.</summary>
internal sealed class CongestionWindow
{
    /// <summary>RFC 6928.</summary>
    public const int Initial = 10;

    /// <summary>Segments that may be out.</summary>
    public int Size = Initial;

    /// <summary>The slow-start threshold; int.MaxValue until something was lost.</summary>
    public int Threshold = int.MaxValue;

    /// <summary>TCP_WINDOW_CLAMP of the congestion window: never beyond this.</summary>
    public int Clamp = 1 << 20;

    /// <summary>The most that was out in the last round trip: how much of the window is used.</summary>
    public int MaxOut;

    /// <summary>The sender was stopped by the window in the last round trip, so it may grow (RFC 7661's idea).</summary>
    public bool IsLimited;

    /// <summary>When a reduction began.</summary>
    public int PriorSize;

    private int _fraction;

    public bool InSlowStart => Size < Threshold;

    /// <summary>The threshold that an undone or finished reduction goes back to.</summary>
    public int CurrentThreshold(CongestionState state) =>
        state is CongestionState.Reduced or CongestionState.Recovery ? Threshold : Math.Max(Threshold, (Size >> 1) + (Size >> 2));

    /// <summary>Slow start, one segment for each acknowledged one; returns what is left of <paramref name="acked"/> beyond the threshold.</summary>
    public int SlowStart(int acked)
    {
        int size = (int)Math.Min((long)Size + acked, Threshold);
        acked -= size - Size;
        Size = Math.Min(size, Clamp);
        return acked;
    }

    /// <summary>Grows by one for each <paramref name="interval"/> acknowledged segments.</summary>
    public void Grow(int interval, int acked)
    {
        if (_fraction >= interval)
        {
            _fraction = 0;
            Size++;
        }

        _fraction += acked;
        if (_fraction >= interval)
        {
            Size += _fraction / interval;
            _fraction %= interval;
        }

        Size = Math.Min(Size, Clamp);
    }

    public void ResetFraction() => _fraction = 0;
}
