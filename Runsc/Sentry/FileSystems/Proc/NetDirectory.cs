using System;
using System.Collections.Generic;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Sockets;

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
    }

    private const string SocketHeader = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

    private static readonly List<(string Name, Func<NetNamespace, string> Text)> s_tables =
    [
        ("arp", _ => "IP address       HW type     Flags       HW address            Mask     Device\n"),
        ("dev", _ => "Inter-|   Receive                                                |  Transmit\n face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n"
            + "    lo:       0       0    0    0    0     0          0         0        0       0    0    0    0     0       0          0\n"),
        ("if_inet6", _ => ""),
        ("route", _ => "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"),
        ("snmp", _ => ""),
        ("tcp", _ => SocketHeader + "\n"),
        ("tcp6", _ => SocketHeader + "\n"),
        ("udp", _ => SocketHeader + " ref pointer drops\n"),
        ("udp6", _ => SocketHeader + " ref pointer drops\n"),
        ("unix", network => network.Unix.Describe()),
    ];
}
