namespace Runsc.NetStack.Core;

/// <summary>The statistics of a stack: what /proc/net/snmp, snmp6 and netstat show.</summary>
internal sealed class StackCounters
{
    public IpCounters Ipv4 { get; } = new();

    public IpCounters Ipv6 { get; } = new();

    public IcmpCounters Icmpv4 { get; } = new();

    public IcmpCounters Icmpv6 { get; } = new();

    public UdpCounters Udpv4 { get; } = new();

    public UdpCounters Udpv6 { get; } = new();

    public UdpCounters UdpLitev4 { get; } = new();

    public UdpCounters UdpLitev6 { get; } = new();

    public IpCounters Ip(bool v4) => v4 ? Ipv4 : Ipv6;

    public IcmpCounters Icmp(bool v4) => v4 ? Icmpv4 : Icmpv6;

    public UdpCounters Udp(bool v4, bool lite = false) => lite ? (v4 ? UdpLitev4 : UdpLitev6) : v4 ? Udpv4 : Udpv6;
}
