using System.Collections.Generic;
using System.Globalization;
using System.Text;
using Runsc.NetStack.Core;
using Runsc.NetStack.Transport.Tcp;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>/proc/net/snmp, snmp6 and netstat: the counters of a namespace's stack.</summary>
internal static class NetStatistics
{
    private static readonly (string Name, int Type)[] s_icmpTypes =
    [
        ("DestUnreachs", 3), ("TimeExcds", 11), ("ParmProbs", 12), ("SrcQuenchs", 4), ("Redirects", 5), ("Echos", 8), ("EchoReps", 0), ("Timestamps", 13),
        ("TimestampReps", 14), ("AddrMasks", 17), ("AddrMaskReps", 18),
    ];

    private static readonly (string Name, int Type)[] s_icmpv6Types =
    [
        ("DestUnreachs", 1), ("PktTooBigs", 2), ("TimeExcds", 3), ("ParmProblems", 4), ("Echos", 128), ("EchoReplies", 129), ("GroupMembQueries", 130),
        ("GroupMembResponses", 131), ("GroupMembReductions", 132), ("RouterSolicits", 133), ("RouterAdvertisements", 134), ("NeighborSolicits", 135),
        ("NeighborAdvertisements", 136), ("Redirects", 137), ("MLDv2Reports", 143),
    ];

    // A line of names and a line of numbers.
    private sealed class Group(string name)
    {
        private readonly StringBuilder _names = new(name + ":");
        private readonly StringBuilder _values = new(name + ":");

        public Group Add(string name, ulong value)
        {
            _names.Append(' ').Append(name);
            _values.Append(CultureInfo.InvariantCulture, $" {value}");
            return this;
        }

        public Group Add(string name, long value)
        {
            _names.Append(' ').Append(name);
            _values.Append(CultureInfo.InvariantCulture, $" {value}");
            return this;
        }

        public override string ToString() => $"{_names}\n{_values}\n";
    }

    public static string Snmp(NetNamespace network)
    {
        NetworkStack stack = network.Inet.Stack;
        StringBuilder text = new();
        long established = CountEstablished(network);
        using (stack.Enter())
        {
            StackCounters counters = stack.Counters;
            IpCounters ip = counters.Ipv4;
            text.Append(new Group("Ip").Add("Forwarding", stack.Parameters.Ipv4Forward ? 1L : 2L).Add("DefaultTTL", (long)stack.Parameters.DefaultTtl)
                .Add("InReceives", ip.InReceives).Add("InHdrErrors", ip.InHeaderErrors).Add("InAddrErrors", ip.InAddressErrors).Add("ForwDatagrams", ip.Forwarded)
                .Add("InUnknownProtos", ip.InUnknownProtocols).Add("InDiscards", ip.InDiscards).Add("InDelivers", ip.InDelivers).Add("OutRequests", ip.OutRequests)
                .Add("OutDiscards", ip.OutDiscards).Add("OutNoRoutes", ip.OutNoRoutes).Add("ReasmTimeout", ip.ReassemblyTimeouts).Add("ReasmReqds", ip.ReassemblyRequired)
                .Add("ReasmOKs", ip.ReassemblyOk).Add("ReasmFails", ip.ReassemblyFailures).Add("FragOKs", ip.FragmentOk).Add("FragFails", ip.FragmentFailures)
                .Add("FragCreates", ip.FragmentsCreated));
            AppendIcmp(text, counters.Icmpv4);
            TcpStatistics tcp = network.Inet.Tcp.Statistics;
            text.Append(new Group("Tcp").Add("RtoAlgorithm", 1L).Add("RtoMin", 200L).Add("RtoMax", 120000L).Add("MaxConn", -1L).Add("ActiveOpens", tcp.ActiveOpens)
                .Add("PassiveOpens", tcp.PassiveOpens).Add("AttemptFails", tcp.AttemptFails).Add("EstabResets", tcp.EstabResets).Add("CurrEstab", established)
                .Add("InSegs", tcp.InSegs).Add("OutSegs", tcp.OutSegs).Add("RetransSegs", tcp.RetransSegs).Add("InErrs", tcp.InErrs).Add("OutRsts", tcp.OutRsts)
                .Add("InCsumErrors", tcp.InCsumErrors));
            AppendUdp(text, "Udp", counters.Udpv4);
            AppendUdp(text, "UdpLite", counters.UdpLitev4);
        }

        return text.ToString();
    }

    private static long CountEstablished(NetNamespace network)
    {
        long count = 0;
        foreach (InetSocket socket in network.InetSockets())
        {
            count += socket is TcpSocket { Endpoint.State: TcpState.Established or TcpState.CloseWait } ? 1 : 0;
        }

        return count;
    }

    private static void AppendIcmp(StringBuilder text, IcmpCounters icmp)
    {
        Group group = new Group("Icmp").Add("InMsgs", icmp.InMessages).Add("InErrors", icmp.InErrors).Add("InCsumErrors", icmp.InChecksumErrors);
        foreach ((string name, int type) in s_icmpTypes)
        {
            group.Add("In" + name, icmp.InTypes[type]);
        }

        group.Add("OutMsgs", icmp.OutMessages).Add("OutErrors", icmp.OutErrors).Add("OutRateLimitGlobal", icmp.OutRateLimited);
        foreach ((string name, int type) in s_icmpTypes)
        {
            group.Add("Out" + name, icmp.OutTypes[type]);
        }

        text.Append(group);
        Group messages = new("IcmpMsg");
        bool any = AddTypes(messages, "InType", icmp.InTypes);
        any |= AddTypes(messages, "OutType", icmp.OutTypes);
        if (any)
        {
            text.Append(messages);
        }
    }

    private static bool AddTypes(Group group, string prefix, ulong[] types)
    {
        bool any = false;
        for (int i = 0; i < types.Length; i++)
        {
            if (types[i] != 0)
            {
                group.Add(string.Create(CultureInfo.InvariantCulture, $"{prefix}{i}"), types[i]);
                any = true;
            }
        }

        return any;
    }

    public static string Extended(NetNamespace network)
    {
        NetworkStack stack = network.Inet.Stack;
        using (stack.Enter())
        {
            TcpStatistics t = network.Inet.Tcp.Statistics;
            Group tcp = new Group("TcpExt").Add("SyncookiesSent", t.SyncookiesSent).Add("SyncookiesRecv", t.SyncookiesRecv).Add("SyncookiesFailed", t.SyncookiesFailed)
                .Add("RcvPruned", t.RcvPruned).Add("OfoPruned", t.OfoPruned).Add("TW", t.TimeWaited).Add("TWRecycled", t.TimeWaitRecycled).Add("PAWSEstab", t.PawsEstab)
                .Add("DelayedACKs", t.DelayedAcks).Add("ListenOverflows", t.ListenOverflows).Add("ListenDrops", t.ListenDrops).Add("TCPRenoRecovery", t.RenoRecovery)
                .Add("TCPSackRecovery", t.SackRecovery).Add("TCPSACKReneging", t.SackReneging).Add("TCPFullUndo", t.FullUndo).Add("TCPPartialUndo", t.PartialUndo)
                .Add("TCPDSACKUndo", t.DsackUndo).Add("TCPLossUndo", t.LossUndo).Add("TCPFastRetrans", t.FastRetrans).Add("TCPSlowStartRetrans", t.SlowStartRetrans)
                .Add("TCPTimeouts", t.Timeouts).Add("TCPLossProbes", t.LossProbes).Add("TCPLossProbeRecovery", t.LossProbeRecovery)
                .Add("TCPDSACKOldSent", t.DsackOldSent).Add("TCPDSACKOfoSent", t.DsackOfoSent).Add("TCPDSACKRecv", t.DsackRecv).Add("TCPAbortOnData", t.AbortOnData)
                .Add("TCPAbortOnClose", t.AbortOnClose).Add("TCPAbortOnMemory", t.AbortOnMemory).Add("TCPAbortOnTimeout", t.AbortOnTimeout)
                .Add("TCPAbortOnLinger", t.AbortOnLinger).Add("TCPTimeWaitOverflow", t.TimeWaitOverflow).Add("TCPOFOQueue", t.OfoQueue).Add("TCPOFODrop", t.OfoDrop)
                .Add("TCPChallengeACK", t.ChallengeAck).Add("TCPFastOpenActive", t.FastOpenActive).Add("TCPFastOpenActiveFail", t.FastOpenActiveFail)
                .Add("TCPFastOpenPassive", t.FastOpenPassive).Add("TCPFastOpenPassiveFail", t.FastOpenPassiveFail)
                .Add("TCPFastOpenListenOverflow", t.FastOpenListenOverflow).Add("TCPFastOpenCookieReqd", t.FastOpenCookieReqd)
                .Add("TCPFromZeroWindowAdv", t.FromZeroWindowAdv).Add("TCPToZeroWindowAdv", t.ToZeroWindowAdv).Add("TCPWantZeroWindowAdv", t.WantZeroWindowAdv)
                .Add("TCPKeepAlive", t.KeepAlive).Add("TCPWinProbe", t.WinProbe);
            IpCounters c = stack.Counters.Ipv4;
            Group ip = new Group("IpExt").Add("InNoRoutes", c.InNoRoutes).Add("InTruncatedPkts", c.InTruncated).Add("InMcastPkts", c.InMulticast)
                .Add("OutMcastPkts", c.OutMulticast).Add("InBcastPkts", c.InBroadcast).Add("OutBcastPkts", c.OutBroadcast).Add("InOctets", c.InBytes)
                .Add("OutOctets", c.OutBytes);
            return $"{tcp}{ip}";
        }
    }

    private static void AppendUdp(StringBuilder text, string name, UdpCounters udp) =>
        text.Append(new Group(name).Add("InDatagrams", udp.InDatagrams).Add("NoPorts", udp.NoPorts).Add("InErrors", udp.InErrors).Add("OutDatagrams", udp.OutDatagrams)
            .Add("RcvbufErrors", udp.ReceiveBufferErrors).Add("SndbufErrors", udp.SendBufferErrors).Add("InCsumErrors", udp.InChecksumErrors)
            .Add("IgnoredMulti", udp.IgnoredMulti).Add("MemErrors", udp.MemoryErrors));

    // The file has no column of ignored groups for UDP-Lite.
    private static void AddUdp(List<(string Name, ulong Value)> all, string name, UdpCounters udp)
    {
        all.AddRange(
        [
            (name + "InDatagrams", udp.InDatagrams), (name + "NoPorts", udp.NoPorts), (name + "InErrors", udp.InErrors), (name + "OutDatagrams", udp.OutDatagrams),
            (name + "RcvbufErrors", udp.ReceiveBufferErrors), (name + "SndbufErrors", udp.SendBufferErrors), (name + "InCsumErrors", udp.InChecksumErrors),
        ]);
        if (name == "Udp6")
        {
            all.Add((name + "IgnoredMulti", udp.IgnoredMulti));
        }

        all.Add((name + "MemErrors", udp.MemoryErrors));
    }

    public static string Snmp6(NetNamespace network)
    {
        NetworkStack stack = network.Inet.Stack;
        StringBuilder text = new();
        using (stack.Enter())
        {
            IpCounters ip = stack.Counters.Ipv6;
            IcmpCounters icmp = stack.Counters.Icmpv6;
            List<(string Name, ulong Value)> all =
            [
                ("Ip6InReceives", ip.InReceives), ("Ip6InHdrErrors", ip.InHeaderErrors), ("Ip6InTooBigErrors", ip.InTooBigErrors), ("Ip6InNoRoutes", ip.InNoRoutes),
                ("Ip6InAddrErrors", ip.InAddressErrors), ("Ip6InUnknownProtos", ip.InUnknownProtocols), ("Ip6InTruncatedPkts", ip.InTruncated),
                ("Ip6InDiscards", ip.InDiscards), ("Ip6InDelivers", ip.InDelivers), ("Ip6OutForwDatagrams", ip.Forwarded), ("Ip6OutRequests", ip.OutRequests),
                ("Ip6OutDiscards", ip.OutDiscards), ("Ip6OutNoRoutes", ip.OutNoRoutes), ("Ip6ReasmTimeout", ip.ReassemblyTimeouts),
                ("Ip6ReasmReqds", ip.ReassemblyRequired), ("Ip6ReasmOKs", ip.ReassemblyOk), ("Ip6ReasmFails", ip.ReassemblyFailures), ("Ip6FragOKs", ip.FragmentOk),
                ("Ip6FragFails", ip.FragmentFailures), ("Ip6FragCreates", ip.FragmentsCreated), ("Ip6InMcastPkts", ip.InMulticast), ("Ip6OutMcastPkts", ip.OutMulticast),
                ("Ip6InOctets", ip.InBytes), ("Ip6OutOctets", ip.OutBytes),
                ("Icmp6InMsgs", icmp.InMessages), ("Icmp6InErrors", icmp.InErrors), ("Icmp6OutMsgs", icmp.OutMessages), ("Icmp6OutErrors", icmp.OutErrors),
                ("Icmp6InCsumErrors", icmp.InChecksumErrors),
            ];
            foreach ((string name, int type) in s_icmpv6Types)
            {
                all.Add(("Icmp6In" + name, icmp.InTypes[type]));
            }

            foreach ((string name, int type) in s_icmpv6Types)
            {
                all.Add(("Icmp6Out" + name, icmp.OutTypes[type]));
            }

            AddUdp(all, "Udp6", stack.Counters.Udpv6);
            AddUdp(all, "UdpLite6", stack.Counters.UdpLitev6);
            foreach ((string name, ulong value) in all)
            {
                text.Append(CultureInfo.InvariantCulture, $"{name,-32}\t{value}\n");
            }
        }

        return text.ToString();
    }
}
