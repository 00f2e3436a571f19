using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Network;
using Runsc.Sentry.Sockets.Netlink;
using Runsc.Sentry.Sockets.Packet;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>Texts of /proc/net about neighbours, groups, routes of IPv6, and the sockets that are not of the Internet families.</summary>
internal static class LinkTables
{
    /// <summary>/proc/net/arp.</summary>
    public static string Arp(NetNamespace network)
    {
        const int complete = 2, permanent = 4;
        StringBuilder text = new("IP address       HW type     Flags       HW address            Mask     Device\n");
        NetworkStack stack = network.Inet.Stack;
        using (stack.Enter())
        {
            foreach (NetworkInterface one in stack.Interfaces)
            {
                foreach (Neighbor neighbor in one.Neighbors.All)
                {
                    if (neighbor.Address.IsV4)
                    {
                        int flags = (neighbor.HasAddress ? complete : 0) | (neighbor.State == NeighborState.Permanent ? permanent : 0);
                        string mac = neighbor.HasAddress ? neighbor.Mac.ToString() : "00:00:00:00:00:00";
                        text.Append(CultureInfo.InvariantCulture, $"{neighbor.Address,-16} 0x{(int)one.Device.Kind,-10:x}0x{flags,-10:x}{mac,-22}*        {one.Name}\n");
                    }
                }
            }
        }

        return text.ToString();
    }

    /// <summary>/proc/net/igmp: IPv4 groups. Addresses are words in the byte order of the machine.</summary>
    public static string Igmp(NetNamespace network)
    {
        StringBuilder text = new("Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
        NetworkStack stack = network.Inet.Stack;
        using (stack.Enter())
        {
            foreach (NetworkInterface one in stack.Interfaces)
            {
                List<(uint Group, int Users)> groups = one.IsUp ? [(0xe000_0001, 1)] : [];
                foreach ((IpAddress group, GroupMember member) in one.Groups.All)
                {
                    if (group.IsV4 && group.V4 != 0xe000_0001)
                    {
                        groups.Insert(0, (group.V4, member.Count));
                    }
                }

                text.Append(CultureInfo.InvariantCulture, $"{one.Index}\t{one.Name,-10}: {groups.Count,5}      V3\n");
                foreach ((uint group, int users) in groups)
                {
                    uint word = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(group);
                    text.Append(CultureInfo.InvariantCulture, $"\t\t\t\t{word:X8} {users,5} 0:00000000\t\t0\n");
                }
            }
        }

        return text.ToString();
    }

    /// <summary>/proc/net/igmp6: IPv6 groups.</summary>
    public static string Igmp6(NetNamespace network)
    {
        StringBuilder text = new();
        NetworkStack stack = network.Inet.Stack;
        Span<byte> bytes = stackalloc byte[16];
        using (stack.Enter())
        {
            foreach (NetworkInterface one in stack.Interfaces)
            {
                // The newest first.
                List<IpAddress> groups = [.. one.Groups.All.Keys];
                groups.Reverse();
                foreach (IpAddress group in groups)
                {
                    GroupMember member = one.Groups.All[group];
                    if (group.IsV6)
                    {
                        group.WriteV6(bytes);
                        text.Append(CultureInfo.InvariantCulture, $"{one.Index,-4} {one.Name,-15} {Convert.ToHexStringLower(bytes)} {member.Count,5} {4:X8} 0\n");
                    }
                }
            }
        }

        return text.ToString();
    }

    /// <summary>/proc/net/ipv6_route.</summary>
    public static string RoutesV6(NetNamespace network)
    {
        const uint up = 1, gateway = 2, local = 0x8020_0000;
        StringBuilder text = new();
        List<RouteEntry> routes = [];
        NetworkStack stack = network.Inet.Stack;
        using (stack.Enter())
        {
            stack.Routes6.CopyTo(routes, 0);
        }

        foreach (RouteEntry route in routes)
        {
            if (route.Interface is { } owner)
            {
                uint flags = up | (route.HasGateway ? gateway : 0) | (route.Kind == RouteKind.Local ? local : 0);
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"{Hex(route.Destination)} {route.PrefixLength:x2} {new string('0', 32)} 00 {Hex(route.Gateway)} {route.Metric:x8} {1:x8} {0:x8} {flags:x8} {owner.Name,8}\n");
            }
        }

        return text.ToString();
    }

    private static string Hex(in IpAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        if (address.IsV6)
        {
            address.WriteV6(bytes);
        }

        return Convert.ToHexStringLower(bytes);
    }

    /// <summary>/proc/net/packet.</summary>
    public static string Packets(NetNamespace network)
    {
        StringBuilder text = new("sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n");
        foreach (SocketDescription socket in network.OtherSockets())
        {
            if (socket is PacketSocket packet)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"{0:x16} {2,-6} {socket.Type,-4} {packet.Endpoint.Protocol:x4}   {packet.Endpoint.Interface,-5} {(packet.Endpoint.Protocol != 0 ? 1 : 0)} {packet.Endpoint.QueuedMemory,-6} {packet.User,-6} {socket.InodeNumber,-6}\n");
            }
        }

        return text.ToString();
    }

    /// <summary>/proc/net/netlink.</summary>
    public static string Netlinks(NetNamespace network)
    {
        StringBuilder text = new("sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n");
        foreach (SocketDescription socket in network.OtherSockets())
        {
            if (socket is NetlinkSocket netlink)
            {
                text.Append(
                    CultureInfo.InvariantCulture,
                    $"{0:x16} {socket.Protocol,-3} {netlink.Port,-10} {(uint)(netlink.Groups & uint.MaxValue):x8} {netlink.QueuedBytes,-8} {0,-8} {0,-5} {2,-8} {0,-8} {socket.InodeNumber,-8}\n");
            }
        }

        return text.ToString();
    }

    /// <summary>/proc/net/dev_mcast: link addresses that an interface listens to besides its own.</summary>
    public static string LinkGroups(NetNamespace network)
    {
        StringBuilder text = new();
        NetworkStack stack = network.Inet.Stack;
        using (stack.Enter())
        {
            foreach (NetworkInterface one in stack.Interfaces)
            {
                if (one.Device.Kind != LinkKind.Ethernet)
                {
                    continue;
                }

                foreach (IpAddress group in one.Groups.All.Keys)
                {
                    text.Append(CultureInfo.InvariantCulture, $"{one.Index,-4} {one.Name,-15} {1,-5} {0,-5} {NetStack.Wire.MacAddress.OfGroup(group).Value:x12}\n");
                }
            }
        }

        return text.ToString();
    }
}
