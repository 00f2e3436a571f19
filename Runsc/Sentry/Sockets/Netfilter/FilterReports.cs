using System;
using System.Globalization;
using System.Text;
using Runsc.NetStack;
using Runsc.NetStack.Filter.Tracking;
using Runsc.NetStack.Wire;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Texts of /proc/net about the packet filter.</summary>
internal static class FilterReports
{
    private const long Second = 1_000_000_000;

    public static string Names(NetNamespace network, bool v4) => Lines((v4 ? network.Netfilter.Tables4 : network.Netfilter.Tables6).Names());

    public static string Extensions(bool v4, bool isTarget) => Lines([.. XtExtensions.Names(v4, isTarget)]);

    private static string Lines(string[] names) => names.Length == 0 ? "" : string.Join('\n', names) + "\n";

    /// <summary>nf_conntrack: a line for each connection.</summary>
    public static string Connections(NetNamespace network)
    {
        StringBuilder text = new();
        Runsc.NetStack.Core.NetworkStack stack = network.Inet.Stack;
        using (stack.Enter())
        {
            if (network.Netfilter.Filter.Tracker.Count > 0)
            {
                network.Netfilter.Filter.Tracker.Table.ForEach(connection => Write(text, connection, stack.Now));
            }
        }

        return text.ToString();
    }

    /// <summary>stat/nf_conntrack: hexadecimal.</summary>
    public static string Statistics(NetNamespace network)
    {
        ConnectionTracker tracker = network.Netfilter.Filter.Tracker;
        uint Of(TrackingCounter counter) => tracker.Counters[(int)counter];
        uint[] numbers =
        [
            (uint)tracker.Count, 0, Of(TrackingCounter.Found), 0, Of(TrackingCounter.Invalid), 0, 0, 0, Of(TrackingCounter.Insert), Of(TrackingCounter.InsertFailed), Of(TrackingCounter.Drop),
            Of(TrackingCounter.EarlyDrop), 0, 0, 0, 0, 0,
        ];
        StringBuilder text = new("entries  clashres found new invalid ignore delete chainlength insert insert_failed drop early_drop icmp_error  expect_new expect_create expect_delete search_restart\n");
        for (int i = 0; i < numbers.Length; i++)
        {
            text.Append(i == 0 ? "" : i is 1 or 13 ? "  " : " ").Append(numbers[i].ToString("x8", CultureInfo.InvariantCulture));
        }

        return text.Append('\n').ToString();
    }

    private static void Write(StringBuilder text, Connection connection, long now)
    {
        FlowTuple original = connection.Original.Tuple;
        string name = original.Protocol switch
        {
            IpProtocol.Tcp => "tcp",
            IpProtocol.Udp => "udp",
            IpProtocol.Icmp => "icmp",
            IpProtocol.Icmpv6 => "icmpv6",
            _ => "unknown",
        };
        string family = original.Source.IsV4 ? "ipv4     2" : "ipv6     10";
        text.Append(CultureInfo.InvariantCulture, $"{family} {name,-8} {original.Protocol} {Math.Max(connection.Deadline - now, 0) / Second} ");
        if (original.Protocol == IpProtocol.Tcp)
        {
            text.Append(StateName(connection.Tcp)).Append(' ');
        }

        Append(text, connection.Original);
        if ((connection.Status & ConnectionStatus.SeenReply) == 0)
        {
            text.Append("[UNREPLIED] ");
        }

        Append(text, connection.Reply);
        if ((connection.Status & ConnectionStatus.Assured) != 0)
        {
            text.Append("[ASSURED] ");
        }

        text.Append(CultureInfo.InvariantCulture, $"mark={connection.Mark} zone=0 use=2\n");
    }

    private static void Append(StringBuilder text, FlowSide side)
    {
        FlowTuple tuple = side.Tuple;
        text.Append(CultureInfo.InvariantCulture, $"src={Full(tuple.Source)} dst={Full(tuple.Destination)} ");
        if (tuple.IsIcmp)
        {
            text.Append(CultureInfo.InvariantCulture, $"type={tuple.DestinationPort >> 8} code={tuple.DestinationPort & 0xff} id={tuple.SourcePort} ");
        }
        else
        {
            text.Append(CultureInfo.InvariantCulture, $"sport={tuple.SourcePort} dport={tuple.DestinationPort} ");
        }

        if (side.Connection!.IsCounted)
        {
            text.Append(CultureInfo.InvariantCulture, $"packets={side.Packets} bytes={side.Bytes} ");
        }
    }

    // An IPv6 address with all its digits.
    private static string Full(IpAddress address)
    {
        if (address.IsV4)
        {
            return address.ToString();
        }

        StringBuilder text = new();
        for (int i = 0; i < 8; i++)
        {
            text.Append(i == 0 ? "" : ":").Append(((i < 4 ? address.High : address.Low) >> (48 - (16 * (i & 3))) & 0xffff).ToString("x4", CultureInfo.InvariantCulture));
        }

        return text.ToString();
    }

    private static string StateName(TcpTrackState state) => state switch
    {
        TcpTrackState.SynSent => "SYN_SENT",
        TcpTrackState.SynReceived => "SYN_RECV",
        TcpTrackState.Established => "ESTABLISHED",
        TcpTrackState.FinWait => "FIN_WAIT",
        TcpTrackState.CloseWait => "CLOSE_WAIT",
        TcpTrackState.LastAck => "LAST_ACK",
        TcpTrackState.TimeWait => "TIME_WAIT",
        TcpTrackState.Close => "CLOSE",
        TcpTrackState.SynSent2 => "SYN_SENT2",
        _ => "NONE",
    };
}
