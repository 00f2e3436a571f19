namespace Runsc.NetStack.Core;

/// <summary>What sysctl shows under net. Defaults are those of Linux. Guarded by the stack's lock; single words may be read without it.</summary>
internal sealed class StackParameters
{
    /// <summary>net.ipv4.ip_forward.</summary>
    public bool Ipv4Forward { get; set; }

    /// <summary>net.ipv6.conf.all.forwarding.</summary>
    public bool Ipv6Forward { get; set; }

    /// <summary>net.ipv4.ip_default_ttl.</summary>
    public byte DefaultTtl { get; set; } = 64;

    /// <summary>net.ipv6.conf.default.hop_limit; a router advertisement sets that of an interface.</summary>
    public byte DefaultHopLimit { get; set; } = 64;

    /// <summary>net.ipv6.conf.all.disable_ipv6.</summary>
    public bool Ipv6Disabled { get; set; }

    /// <summary>net.ipv6.bindv6only.</summary>
    public bool BindV6Only { get; set; }

    /// <summary>net.ipv4.ip_nonlocal_bind.</summary>
    public bool NonLocalBind { get; set; }

    /// <summary>net.ipv4.ip_unprivileged_port_start.</summary>
    public int UnprivilegedPortStart { get; set; } = 1024;

    /// <summary>net.ipv4.ping_group_range: groups that may make ping sockets; nobody while the first is larger.</summary>
    public uint PingGroupFirst { get; set; } = 1;

    public uint PingGroupLast { get; set; }

    /// <summary>net.ipv4.icmp_echo_ignore_all.</summary>
    public bool IgnoreEcho { get; set; }

    /// <summary>net.ipv4.icmp_echo_ignore_broadcasts.</summary>
    public bool IgnoreBroadcastEcho { get; set; } = true;

    /// <summary>net.ipv4.icmp_msgs_per_sec and icmp_msgs_burst: ICMP messages of errors, all receivers together.</summary>
    public int IcmpPerSecond { get; set; } = 1000;

    public int IcmpBurst { get; set; } = 50;

    /// <summary>net.ipv6.conf.*.accept_ra, while not forwarding.</summary>
    public bool AcceptRouterAdvertisements { get; set; } = true;

    /// <summary>net.ipv6.conf.*.dad_transmits: probes for duplicates; 0 makes addresses usable at once.</summary>
    public int DadTransmits { get; set; } = 1;

    /// <summary>net.ipv4.conf.all.rp_filter: 0 off, 1 strict, 2 loose.</summary>
    public int ReversePathFilter { get; set; }

    /// <summary>net.ipv4.conf.all.route_localnet.</summary>
    public bool RouteLocalNet { get; set; }

    /// <summary>net.core.rmem_default and so on, in bytes.</summary>
    public int DefaultReceiveBuffer { get; set; } = 212992;

    public int MaxReceiveBuffer { get; set; } = 4 << 20;

    public int DefaultSendBuffer { get; set; } = 212992;

    public int MaxSendBuffer { get; set; } = 4 << 20;

    /// <summary>net.core.somaxconn.</summary>
    public int MaxBacklog { get; set; } = 4096;
}
