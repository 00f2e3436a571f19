using System.Collections.Generic;

namespace Runsc.Control;

/// <summary>The interfaces of the container's network namespace on the host, as they move into the sandbox. Addresses are text.</summary>
internal sealed class NetworkSetup
{
    public List<LinkSetup> Links { get; set; } = [];

    /// <summary>Values below /proc/sys/net that were set for the namespace, by path; those of interfaces come after those of all.</summary>
    public Dictionary<string, string> Sysctls { get; set; } = [];

    /// <summary>Docker's name server listens in the namespace: the last descriptor is a UDP socket that is connected to it.</summary>
    public bool HasResolver { get; set; }
}

/// <summary>One interface. The descriptor of its packet socket comes with the message, in the order of the links that are not loopback.</summary>
internal sealed class LinkSetup
{
    public int Index { get; set; }

    public string Name { get; set; } = "";

    public bool IsLoopback { get; set; }

    /// <summary>IPv6 is off here (net.ipv6.conf.INTERFACE.disable_ipv6).</summary>
    public bool Ipv6Disabled { get; set; }

    /// <summary>aa:bb:cc:dd:ee:ff.</summary>
    public string Mac { get; set; } = "";

    public int Mtu { get; set; }

    public int QueueLength { get; set; }

    /// <summary>The largest packet that the host's interface cuts itself.</summary>
    public int GsoMaxSize { get; set; }

    public List<AddressSetup> Addresses { get; set; } = [];

    public List<RouteSetup> Routes { get; set; } = [];

    public List<NeighborSetup> Neighbors { get; set; } = [];
}

internal sealed class AddressSetup
{
    public string Address { get; set; } = "";

    public int PrefixLength { get; set; }

    public string? Peer { get; set; }

    public string? Broadcast { get; set; }

    public string? Label { get; set; }

    /// <summary>RT_SCOPE_*.</summary>
    public int Scope { get; set; }
}

internal sealed class RouteSetup
{
    public string Destination { get; set; } = "";

    public int PrefixLength { get; set; }

    public string? Gateway { get; set; }

    public string? Source { get; set; }

    public uint Metric { get; set; }

    public int Protocol { get; set; }

    public int Scope { get; set; }

    /// <summary>RTN_*.</summary>
    public int Kind { get; set; }

    public int Mtu { get; set; }

    /// <summary>RTNH_F_ONLINK.</summary>
    public bool IsOnLink { get; set; }
}

internal sealed class NeighborSetup
{
    public string Address { get; set; } = "";

    public string Mac { get; set; } = "";
}
