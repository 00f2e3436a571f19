namespace Runsc.NetStack.Filter.Tracking;

/// <summary>TCP_CONNTRACK_*, with their values.</summary>
internal enum TcpTrackState : byte
{
    None,
    SynSent,
    SynReceived,
    Established,
    FinWait,
    CloseWait,
    LastAck,
    TimeWait,
    Close,
    SynSent2,

    /// <summary>The segment changes nothing.</summary>
    Ignore,

    /// <summary>The segment is of no connection.</summary>
    Invalid,
}
