namespace Runsc.NetStack.Transport.Tcp.Congestion;

/// <summary>The phases of <see cref="Bbr"/>.</summary>
internal enum BbrMode
{
    /// <summary>The rate doubles each round trip until it finds the limit.</summary>
    Startup,

    /// <summary>The queue that this has built is emptied.</summary>
    Drain,

    /// <summary>The rate is varied about the limit, to see whether it has moved.</summary>
    ProbeBandwidth,

    /// <summary>Almost nothing is sent for a moment, to see the round trip without a queue.</summary>
    ProbeRtt,
}
