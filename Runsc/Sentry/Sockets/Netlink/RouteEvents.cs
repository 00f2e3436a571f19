using Runsc.NetStack.Core;
using Runsc.NetStack.Network;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>The multicast groups of NETLINK_ROUTE: tells the members of changes of links, addresses, routes and neighbours. Called under the stack's lock.</summary>
internal sealed class RouteEvents(NetNamespace network) : IStackObserver
{
    // RTNLGRP_*.
    private const int Link = 1, Neighbors = 3, AddressV4 = 5, RouteV4 = 7, AddressV6 = 9, RouteV6 = 11;

    public void InterfaceChanged(NetworkInterface networkInterface, bool removed)
    {
        if (network.HasNetlinkMembers(Link))
        {
            NetlinkWriter writer = new(0, 0);
            LinkFamily.Write(networkInterface, 0, writer, removed);
            Tell(Link, writer);
        }
    }

    public void AddressChanged(InterfaceAddress address, bool removed)
    {
        int group = address.Address.IsV4 ? AddressV4 : AddressV6;
        if (network.HasNetlinkMembers(group))
        {
            NetlinkWriter writer = new(0, 0);
            RouteFamily.WriteAddress(address, 0, writer, removed);
            Tell(group, writer);
        }
    }

    public void RouteChanged(RouteEntry route, bool removed)
    {
        bool v4 = route.Destination.IsV4;
        int group = v4 ? RouteV4 : RouteV6;
        if (network.HasNetlinkMembers(group))
        {
            NetlinkWriter writer = new(0, 0);
            RouteFamily.WriteRoute(route, v4, 0, writer, removed: removed);
            Tell(group, writer);
        }
    }

    public void NeighborChanged(Neighbor neighbor, bool removed)
    {
        if (network.HasNetlinkMembers(Neighbors))
        {
            NetlinkWriter writer = new(0, 0);
            RouteFamily.WriteNeighbor(neighbor, 0, writer, removed);
            Tell(Neighbors, writer);
        }
    }

    private void Tell(int group, NetlinkWriter writer)
    {
        writer.Flush();
        network.TellNetlinkMembers(Linux.Socket.NETLINK_ROUTE, group, writer.Datagrams);
    }
}
