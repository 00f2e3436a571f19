namespace Runsc.NetStack.Network;

/// <summary>What a route look-up depends on.</summary>
internal struct RouteQuery
{
    public IpAddress Destination;

    /// <summary>The source the caller is bound to, or an unspecified address to have one chosen.</summary>
    public IpAddress Source;

    /// <summary>SO_BINDTODEVICE, IP_PKTINFO, IP_MULTICAST_IF or the scope of the address; 0 is any.</summary>
    public int Interface;

    /// <summary>SO_MARK, for rules.</summary>
    public uint Mark;

    /// <summary>TOS, for rules.</summary>
    public byte TrafficClass;

    /// <summary>SO_DONTROUTE, MSG_DONTROUTE: only what is on a link of ours.</summary>
    public bool OnLinkOnly;

    /// <summary>The source need not be an address of this host (IP_TRANSPARENT, IP_FREEBIND, raw sockets with IP_HDRINCL).</summary>
    public bool AnySource;
}
