namespace Runsc.NetStack.Filter.Tracking;

/// <summary>net.netfilter.nf_conntrack_*; times in seconds. A new connection has those of its namespace.</summary>
internal enum TrackingSetting
{
    Accounting,
    Events,
    Max,
    BeLiberal,
    IgnoreInvalidReset,
    Loose,
    MaxRetransmissions,
    GenericTimeout,
    IcmpTimeout,
    Icmpv6Timeout,
    UdpTimeout,
    UdpStreamTimeout,

    /// <summary>The time of <see cref="TcpTrackState.None"/>, which nothing uses; those of the other states follow in their order.</summary>
    TcpTimeout,
    TcpMaxRetransmissionsTimeout = TcpTimeout + TcpTrackState.SynSent2 + 1,
    TcpUnacknowledgedTimeout,
    Count,
}
