namespace Runsc.NetStack.Network;

/// <summary>What a route leads to, with the values of rtnetlink(7) (RTN_*).</summary>
internal enum RouteKind : byte
{
    None = 0,

    /// <summary>A host on a link or behind a gateway.</summary>
    Unicast = 1,

    /// <summary>This host.</summary>
    Local = 2,

    Broadcast = 3,
    Multicast = 5,

    /// <summary>Packets vanish (EINVAL to a local sender).</summary>
    Blackhole = 6,

    /// <summary>EHOSTUNREACH.</summary>
    Unreachable = 7,

    /// <summary>EACCES.</summary>
    Prohibit = 8,

    /// <summary>The look-up goes on in the next rule.</summary>
    Throw = 9,
}
