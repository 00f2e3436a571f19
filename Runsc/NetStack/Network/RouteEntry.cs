using Runsc.NetStack.Core;

namespace Runsc.NetStack.Network;

/// <summary>A route as rtnetlink(7) and `ip route` know it. Immutable.</summary>
internal sealed class RouteEntry
{
    /// <summary>Who made it (RTPROT_*): 2 kernel, 3 boot, 4 static, 9 router advertisement.</summary>
    public byte Protocol { get; init; } = 3;

    public RouteKind Kind { get; init; } = RouteKind.Unicast;

    /// <summary>RT_SCOPE_*: 0 universe, 253 link, 254 host.</summary>
    public byte Scope { get; init; }

    /// <summary>The table it stands in: 255 local, 254 main, 253 default.</summary>
    public uint Table { get; init; } = RoutingTables.Main;

    public IpAddress Destination { get; init; }

    public int PrefixLength { get; init; }

    /// <summary>An unspecified address when the destination is on the link.</summary>
    public IpAddress Gateway { get; init; }

    /// <summary>RTNH_F_ONLINK: the gateway is taken to be on the link.</summary>
    public bool IsOnLink { get; init; }

    /// <summary>Null for blackhole, unreachable and prohibit.</summary>
    public NetworkInterface? Interface { get; init; }

    /// <summary>RTA_PREFSRC, or an unspecified address.</summary>
    public IpAddress PreferredSource { get; init; }

    /// <summary>RTA_PRIORITY: the lowest wins.</summary>
    public uint Metric { get; init; }

    public byte TrafficClass { get; init; }

    /// <summary>RTAX_MTU, or 0.</summary>
    public int Mtu { get; init; }

    /// <summary>RTAX_ADVMSS, or 0.</summary>
    public int AdvertisedMss { get; init; }

    public int InitialCongestionWindow { get; init; }

    public int InitialReceiveWindow { get; init; }

    /// <summary>The end of a route that a router advertised, in monotonic nanoseconds.</summary>
    public long ValidUntil { get; init; } = NetTimer.Never;

    public bool HasGateway => !Gateway.IsUnspecified;

    internal RouteEntry? Next { get; set; }
}
