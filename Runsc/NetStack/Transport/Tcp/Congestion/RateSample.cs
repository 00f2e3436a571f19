namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>What an acknowledgement tells of the delivery rate (draft-cheng-iccrg-delivery-rate-estimation), and where the connection stands. Counted in segments; times in microseconds.</summary>
internal struct RateSample
{
    /// <summary>Delivered within <see cref="Interval"/>; meaningless without one.</summary>
    public int Delivered;

    /// <summary>The longer of the time that sending these took and the time that their acknowledging took; 0 if there is no valid sample.</summary>
    public long Interval;

    /// <summary>The connection's count of delivered segments when the newest segment that is acknowledged was sent.</summary>
    public long PriorDelivered;

    /// <summary>The application had nothing to send at some time, so the rate is a lower bound.</summary>
    public bool IsAppLimited;

    /// <summary>A round trip, or -1.</summary>
    public long Rtt;

    /// <summary>The receiver may have held the acknowledgement back.</summary>
    public bool IsAckDelayed;

    /// <summary>By this acknowledgement: delivered (SACKed or acknowledged), and believed lost.</summary>
    public int Acked;
    public int Lost;

    /// <summary>Out before the acknowledgement came, and now.</summary>
    public int PriorInFlight;
    public int InFlight;

    /// <summary>All that was ever delivered.</summary>
    public long TotalDelivered;

    public long SmoothedRtt;

    /// <summary>Bytes of a segment.</summary>
    public int Mss;

    public CongestionState State;

    /// <summary>Monotonic nanoseconds.</summary>
    public long Now;
}
