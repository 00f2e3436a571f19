namespace Runsc.NetStack.Network;

/// <summary>What is known of a neighbour (RFC 4861, 7.3.2; used for IPv4 too), with the values of NUD_*.</summary>
internal enum NeighborState : byte
{
    None = 0,

    /// <summary>Asked for, no answer yet; packets wait.</summary>
    Incomplete = 0x01,

    /// <summary>Confirmed a short time ago.</summary>
    Reachable = 0x02,

    /// <summary>Was confirmed once; used as it is until the next packet.</summary>
    Stale = 0x04,

    /// <summary>Used, and hoped to be confirmed by upper layers within 5 s.</summary>
    Delay = 0x08,

    /// <summary>Asked again, by unicast.</summary>
    Probe = 0x10,

    /// <summary>Did not answer.</summary>
    Failed = 0x20,

    /// <summary>The link has no addresses to find out.</summary>
    NoArp = 0x40,

    /// <summary>Set by the administrator.</summary>
    Permanent = 0x80,
}
