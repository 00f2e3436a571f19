using System;

namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>NewReno's window (RFC 5681): half on a loss, one segment more for each round trip.</summary>
internal sealed class Reno(CongestionWindow window) : CongestionControl(window)
{
    public override string Name => "reno";

    public override int ThresholdAfterLoss() => Math.Max(Window.Size >> 1, 2);

    public override void Grow(int acked, long now)
    {
        if (Window.InSlowStart)
        {
            acked = Window.SlowStart(acked);
        }

        if (acked > 0)
        {
            Window.Grow(Window.Size, acked);
        }
    }
}
