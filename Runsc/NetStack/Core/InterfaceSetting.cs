namespace Runsc.NetStack.Core;

/// <summary>What <see cref="InterfaceParameters"/> has; the names are those of sysctl.</summary>
internal enum InterfaceSetting
{
    /// <summary>forwarding.</summary>
    Ipv4Forward,

    /// <summary>accept_local: packets from an address of our own may come in.</summary>
    AcceptLocal,

    /// <summary>arp_ignore: 0 answers for all addresses of ours, 1 for those of the interface.</summary>
    ArpIgnore,

    /// <summary>route_localnet: 127.0.0.0/8 is routed like others.</summary>
    RouteLocalNet,

    /// <summary>rp_filter: 0 off, 1 strict, 2 loose.</summary>
    ReversePathFilter,

    FirstOfIpv6,

    /// <summary>forwarding: of "all", whether there is any; of an interface, whether it is a router's.</summary>
    Ipv6Forward = FirstOfIpv6,

    /// <summary>accept_ra: 0 no, 1 while not forwarding, 2 always.</summary>
    AcceptRouterAdvertisements,

    /// <summary>autoconf: addresses from prefixes that a router advertises.</summary>
    Autoconfiguration,

    /// <summary>dad_transmits: probes for duplicates; 0 makes addresses usable at once.</summary>
    DadTransmits,

    /// <summary>disable_ipv6.</summary>
    Ipv6Disabled,

    /// <summary>hop_limit.</summary>
    HopLimit,

    Count,
}
