using System;
using System.Collections.Generic;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Sockets.Netfilter;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/PID/net: the tables of the network namespace of a task.</summary>
internal sealed class NetDirectory : PseudoDirectory
{
    public NetDirectory(PseudoSuperBlock super, Task task, ulong number)
        : base(super)
    {
        Number = number;
        foreach ((string name, Func<NetNamespace, string> text) in s_tables)
        {
            Add(name, new PseudoTextFile(super, () => text((NetNamespace)task.Network)));
        }

        Add("stat", new PseudoDirectory(super).Add("nf_conntrack", new PseudoTextFile(super, () => FilterReports.Statistics((NetNamespace)task.Network))));
    }

    private static readonly List<(string Name, Func<NetNamespace, string> Text)> s_tables =
    [
        ("arp", LinkTables.Arp),
        ("dev", NetTables.Devices),
        ("dev_mcast", LinkTables.LinkGroups),
        ("icmp", network => NetTables.Pings(network, v6: false)),
        ("icmp6", network => NetTables.Pings(network, v6: true)),
        ("if_inet6", NetTables.AddressesV6),
        ("igmp", LinkTables.Igmp),
        ("igmp6", LinkTables.Igmp6),
        ("ip6_tables_matches", _ => FilterReports.Extensions(v4: false, isTarget: false)),
        ("ip6_tables_names", network => FilterReports.Names(network, v4: false)),
        ("ip6_tables_targets", _ => FilterReports.Extensions(v4: false, isTarget: true)),
        ("ip_tables_matches", _ => FilterReports.Extensions(v4: true, isTarget: false)),
        ("ip_tables_names", network => FilterReports.Names(network, v4: true)),
        ("ip_tables_targets", _ => FilterReports.Extensions(v4: true, isTarget: true)),
        ("ipv6_route", LinkTables.RoutesV6),
        ("netlink", LinkTables.Netlinks),
        ("netstat", NetStatistics.Extended),
        ("nf_conntrack", FilterReports.Connections),
        ("nf_conntrack_expect", _ => ""),
        ("packet", LinkTables.Packets),
        ("raw", network => NetTables.Raw(network, v6: false)),
        ("raw6", network => NetTables.Raw(network, v6: true)),
        ("route", NetTables.Routes),
        ("snmp", NetStatistics.Snmp),
        ("snmp6", NetStatistics.Snmp6),
        ("sockstat", network => NetTables.SocketStatistics(network, v6: false)),
        ("sockstat6", network => NetTables.SocketStatistics(network, v6: true)),
        ("tcp", network => NetTables.Tcp(network, v6: false)),
        ("tcp6", network => NetTables.Tcp(network, v6: true)),
        ("udp", network => NetTables.Udp(network, v6: false)),
        ("udp6", network => NetTables.Udp(network, v6: true)),
        ("udplite", network => NetTables.Udp(network, v6: false, Linux.Socket.IPPROTO_UDPLITE)),
        ("udplite6", network => NetTables.Udp(network, v6: true, Linux.Socket.IPPROTO_UDPLITE)),
        ("unix", network => network.Unix.Describe()),
    ];
}
