using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>Texts of /proc/net (proc_pid_net(5)).</summary>
internal static class NetTables
{
    private const int UdpConnected = 1, UdpClosed = 7;

    /// <summary>/proc/net/tcp and tcp6: sockets, and connections in TIME-WAIT that no socket holds.</summary>
    public static string Tcp(NetNamespace network, bool v6)
    {
        StringBuilder text = new();
        AppendPadded(text, "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode", 149);
        int line = 0;
        foreach (InetSocket socket in network.InetSockets())
        {
            if (socket is TcpSocket tcp && (socket.Family == Socket.AF_INET6) == v6 && tcp.Endpoint.Local.Port != 0)
            {
                // Unlike sock_diag(7), this file does not tell the backlog.
                bool isListening = tcp.Endpoint.State == TcpState.Listen;
                (int receive, int send) = tcp.Endpoint.QueueLengths;
                send = isListening ? 0 : send;
                string tail = isListening ? "100 0 0 10 0" : "20 4 30 10 -1";
                AppendPadded(
                    text,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{line++,4}: {Hex(tcp.Endpoint.Local, v6)} {Hex(tcp.Endpoint.Remote, v6)} {(int)tcp.Endpoint.State:X2} {send:X8}:{receive:X8} 00:00000000 00000000 {socket.User,5}        0 {socket.InodeNumber} 1 {0:x16} {tail}"),
                    149);
            }
        }

        TcpFlow?[] flows = new TcpFlow?[network.Inet.Tcp.Flows.Count + 16];
        using (network.Inet.Stack.Enter())
        {
            int count = network.Inet.Tcp.Flows.CopyTo(flows);
            for (int i = 0; i < count; i++)
            {
                if (flows[i] is TimeWait wait && wait.LocalAddress.IsV4 != v6)
                {
                    IpEndpoint local = new(wait.LocalAddress, wait.LocalPort), remote = new(wait.RemoteAddress, wait.RemotePort);
                    AppendPadded(
                        text,
                        string.Create(
                            CultureInfo.InvariantCulture,
                            $"{line++,4}: {Hex(local, v6)} {Hex(remote, v6)} {(int)wait.State:X2} {0:X8}:{0:X8} 03:00000000 00000000     0        0 0 3 {0:x16}"),
                        149);
                }
            }
        }

        return text.ToString();
    }

    /// <summary>/proc/net/raw and raw6.</summary>
    public static string Raw(NetNamespace network, bool v6) => Datagrams(network, v6, Socket.SOCK_RAW, 0);

    /// <summary>/proc/net/udp, udp6, udplite and udplite6.</summary>
    public static string Udp(NetNamespace network, bool v6, int protocol = Socket.IPPROTO_UDP) => Datagrams(network, v6, Socket.SOCK_DGRAM, protocol);

    /// <summary>/proc/net/icmp and icmp6.</summary>
    public static string Pings(NetNamespace network, bool v6) => Datagrams(network, v6, Socket.SOCK_DGRAM, v6 ? Socket.IPPROTO_ICMPV6 : Socket.IPPROTO_ICMP);

    private static string Datagrams(NetNamespace network, bool v6, int type, int protocol)
    {
        StringBuilder text = new();
        string header = "  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops";
        AppendPadded(text, v6 ? header : "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops", 127);
        foreach (InetSocket socket in network.InetSockets())
        {
            bool wanted = type == Socket.SOCK_RAW ? socket.Type == type : socket.Type == type && socket.Protocol == protocol;
            if (wanted && socket is DatagramSocket datagram && (socket.Family == Socket.AF_INET6) == v6 && datagram.Endpoint.Local.Port != 0)
            {
                DatagramEndpoint endpoint = datagram.Endpoint;
                AppendPadded(
                    text,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{endpoint.Local.Port,5}: {Hex(endpoint.Local, v6)} {Hex(endpoint.Remote, v6)} {(endpoint.IsConnected ? UdpConnected : UdpClosed):X2} {0:X8}:{endpoint.QueuedMemory:X8} 00:00000000 00000000 {socket.User,5}        0 {socket.InodeNumber} 2 {0:x16} {endpoint.Drops}"),
                    127);
            }
        }

        return text.ToString();
    }

    private static void AppendPadded(StringBuilder text, string line, int width) => text.Append(line.PadRight(width)).Append('\n');

    // Words in the byte order of the machine, as Linux prints them.
    private static string Hex(in IpEndpoint endpoint, bool v6)
    {
        Span<byte> bytes = stackalloc byte[16];
        endpoint.Address.WriteV6(bytes);
        StringBuilder text = new();
        for (int i = v6 ? 0 : 12; i < 16; i += 4)
        {
            text.Append(CultureInfo.InvariantCulture, $"{BitConverter.ToUInt32(bytes[i..]):X8}");
        }

        return text.Append(CultureInfo.InvariantCulture, $":{endpoint.Port:X4}").ToString();
    }

    /// <summary>/proc/net/dev.</summary>
    public static string Devices(NetNamespace network)
    {
        StringBuilder text = new("Inter-|   Receive                                                |  Transmit\n");
        text.Append(" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
        NetworkStack stack = network.Inet.Stack;
        using (stack.Enter())
        {
            foreach (NetworkInterface one in stack.Interfaces)
            {
                InterfaceCounters c = one.Counters;
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"{one.Name,6}: {c.ReceivedBytes,7} {c.ReceivedPackets,7} {c.ReceiveErrors,4} {c.ReceiveDropped,4}    0     0          0 {c.ReceivedMulticast,9} {c.SentBytes,8} {c.SentPackets,7} {c.SendErrors,4} {c.SendDropped,4}    0     0       0          0\n");
            }
        }

        return text.ToString();
    }

    /// <summary>/proc/net/route: IPv4 routes of the main table.</summary>
    public static string Routes(NetNamespace network)
    {
        const int up = 1, gateway = 2, host = 4;
        StringBuilder text = new();
        AppendPadded(text, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT", 127);
        NetworkStack stack = network.Inet.Stack;
        List<RouteEntry> routes = [];
        using (stack.Enter())
        {
            stack.Routes4.CopyTo(routes, RoutingTables.Main);
        }

        foreach (RouteEntry route in routes)
        {
            if (route.Kind == RouteKind.Unicast && route.Interface is NetworkInterface owner)
            {
                int flags = up | (route.HasGateway ? gateway : 0) | (route.PrefixLength == 32 ? host : 0);
                uint mask = route.PrefixLength == 0 ? 0 : uint.MaxValue << (32 - route.PrefixLength);
                AppendPadded(
                    text,
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{owner.Name}\t{Swap(route.Destination.V4):X8}\t{(route.HasGateway ? Swap(route.Gateway.V4) : 0):X8}\t{flags:X4}\t0\t0\t{route.Metric}\t{Swap(mask):X8}\t{route.Mtu}\t0\t0"),
                    127);
            }
        }

        return text.ToString();
    }

    private static uint Swap(uint value) => System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(value);

    /// <summary>/proc/net/if_inet6.</summary>
    public static string AddressesV6(NetNamespace network)
    {
        const int permanent = 0x80, tentative = 0x40, deprecated = 0x20;
        StringBuilder text = new();
        NetworkStack stack = network.Inet.Stack;
        Span<byte> bytes = stackalloc byte[16];
        using (stack.Enter())
        {
            foreach (NetworkInterface one in stack.Interfaces)
            {
                foreach (InterfaceAddress address in one.Addresses)
                {
                    if (!address.Address.IsV4)
                    {
                        address.Address.WriteV6(bytes);
                        int scope = address.Address.IsLoopback ? 0x10 : address.Address.IsLinkLocal ? 0x20 : 0;
                        int flags = (address.IsPermanent ? permanent : 0) | (address.IsTentative ? tentative : 0) | (address.IsDeprecated ? deprecated : 0);
                        text.Append(
                            CultureInfo.InvariantCulture,
                            $"{Convert.ToHexStringLower(bytes)} {one.Index:x2} {address.PrefixLength:x2} {scope:x2} {flags:x2} {one.Name,8}\n");
                    }
                }
            }
        }

        return text.ToString();
    }

    /// <summary>/proc/net/sockstat and sockstat6.</summary>
    public static string SocketStatistics(NetNamespace network, bool v6)
    {
        int tcp = 0, udp = 0, lite = 0, raw = 0, connections = 0, all = network.Unix.Snapshot().Length + network.OtherSockets().Length;
        foreach (InetSocket socket in network.InetSockets())
        {
            all++;
            connections += socket is TcpSocket ? 1 : 0;
            if ((socket.Family == Socket.AF_INET6) == v6)
            {
                tcp += socket is TcpSocket ? 1 : 0;
                udp += socket is { Type: Socket.SOCK_DGRAM, Protocol: Socket.IPPROTO_UDP } ? 1 : 0;
                lite += socket is { Type: Socket.SOCK_DGRAM, Protocol: Socket.IPPROTO_UDPLITE } ? 1 : 0;
                raw += socket.Type == Socket.SOCK_RAW ? 1 : 0;
            }
        }

        return v6
            ? string.Create(CultureInfo.InvariantCulture, $"TCP6: inuse {tcp}\nUDP6: inuse {udp}\nUDPLITE6: inuse {lite}\nRAW6: inuse {raw}\nFRAG6: inuse 0 memory 0\n")
            : string.Create(
                CultureInfo.InvariantCulture,
                $"sockets: used {all}\nTCP: inuse {tcp} orphan {network.Inet.Tcp.Orphans} tw {network.Inet.Tcp.TimeWaits.Count} alloc {connections} mem {network.Inet.Tcp.MemoryUsed / 4096}\nUDP: inuse {udp} mem 0\nUDPLITE: inuse {lite}\nRAW: inuse {raw}\nFRAG: inuse 0 memory 0\n");
    }
}
