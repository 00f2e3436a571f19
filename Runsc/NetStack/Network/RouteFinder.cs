using System;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>From a query to a filled route: tables, source address, next hop, MTU. Under the stack's lock.</summary>
internal static class RouteFinder
{
    public static NetError Find(NetworkStack stack, in RouteQuery asked, Route route, int input = 0)
    {
        RouteQuery query = asked;
        route.Invalidate();
        bool v4 = query.Destination.IsV4;
        if (query.Destination.IsUnspecified)
        {
            // "This host" is reached by its loopback address, as Linux has it.
            query.Destination = v4 ? IpAddress.LoopbackV4 : IpAddress.LoopbackV6;
        }

        if (!query.Source.IsUnspecified && query.Source.IsV4 != v4)
        {
            return NetError.FamilyNotSupported;
        }

        if (!query.Source.IsUnspecified && !query.AnySource && !IsOwn(stack, query.Source))
        {
            return v4 ? NetError.InvalidArgument : NetError.AddressNotAvailable;
        }

        NetError error = query.Destination.IsMulticast || query.Destination.IsLimitedBroadcast
            ? FindGroup(stack, query, route)
            : FindUnicast(stack, query, route, input);
        if (error != NetError.None)
        {
            // Of IPv6, Linux looks for a source before it looks at the route's own answer.
            bool isAnswer = error is NetError.NetworkUnreachable or NetError.HostUnreachable or NetError.AccessDenied;
            stack.Counters.Ip(v4).OutNoRoutes++;
            return !v4 && isAnswer && query.Source.IsUnspecified && !HasAddressV6(stack) ? NetError.AddressNotAvailable : error;
        }

        if (!v4 && route.Source.IsUnspecified && query.Source.IsUnspecified && !route.IsLoopback)
        {
            return NetError.AddressNotAvailable;
        }

        route.Validate(stack);
        return NetError.None;
    }

    private static bool HasAddressV6(NetworkStack stack)
    {
        foreach (NetworkInterface one in stack.Interfaces)
        {
            if (!one.SelectV6(IpAddress.AnyV6).IsUnspecified)
            {
                return true;
            }
        }

        return false;
    }

    private static bool IsOwn(NetworkStack stack, in IpAddress source) =>
        source.IsV4 ? stack.Routes4.FindLocal(source) is { Kind: RouteKind.Local } : stack.FindAddress(source) is not null;

    /// <summary>Groups and 255.255.255.255: the interface is what the socket says, that of its address, or that of a route.</summary>
    private static NetError FindGroup(NetworkStack stack, in RouteQuery query, Route route)
    {
        bool v4 = query.Destination.IsV4;
        NetworkInterface? output = query.Interface != 0 ? stack.FindInterface(query.Interface) : null;
        if (query.Interface != 0 && output is null)
        {
            return NetError.NoSuchDevice;
        }

        RouteEntry? entry = null;
        if (output is null && !query.Source.IsUnspecified)
        {
            output = stack.FindAddress(query.Source)?.Interface;
        }

        if (output is null)
        {
            entry = stack.Routes(v4).Find(query);
            output = entry?.Interface;
            if (entry is not null && output is null)
            {
                return ErrorOf(entry.Kind);
            }
        }

        if (output is null && !v4)
        {
            output = FirstMulticast(stack);
        }

        if (output is null || !output.IsUp || (!v4 && output.IsLoopback && stack.Routes6.Find(query) is null))
        {
            return NetError.NetworkUnreachable;
        }

        IpAddress source = !query.Source.IsUnspecified ? query.Source
            : entry is { PreferredSource.IsUnspecified: false } ? entry.PreferredSource
            : v4 ? output.SelectV4(query.Destination, NetworkStack.ScopeLink) : output.SelectV6(query.Destination);
        Fill(stack, route, output, source, query.Destination, query.Destination, entry);
        route.Kind = query.Destination.IsMulticast ? RouteKind.Multicast : RouteKind.Broadcast;
        return NetError.None;
    }

    private static NetworkInterface? FirstMulticast(NetworkStack stack)
    {
        foreach (NetworkInterface one in stack.Interfaces)
        {
            if (one is { IsUp: true, IsLoopback: false, Ipv6Disabled: false } && (one.Flags & InterfaceFlags.Multicast) != 0)
            {
                return one;
            }
        }

        return null;
    }

    private static NetError FindUnicast(NetworkStack stack, in RouteQuery query, Route route, int input)
    {
        bool v4 = query.Destination.IsV4;
        if (!v4 && query.Destination.IsLinkLocal && query.Interface == 0 && stack.FindAddress(query.Destination) is null)
        {
            return NetError.InvalidArgument;
        }

        RouteEntry? entry = stack.Routes(v4).Find(query, input);
        NetworkInterface? output = entry?.Interface;
        IpAddress nextHop = entry is { HasGateway: true } ? entry.Gateway : query.Destination;
        if (entry is null || (query.OnLinkOnly && entry.HasGateway))
        {
            // With the interface given and no route, the destination is taken to be on its link; in IPv6 it has a route there.
            output = query.Interface != 0 && (v4 || entry is not null) ? stack.FindInterface(query.Interface) : null;
            nextHop = query.Destination;
            entry = null;
            if (output is not { IsUp: true })
            {
                return NetError.NetworkUnreachable;
            }
        }
        else if (output is null)
        {
            return ErrorOf(entry.Kind);
        }

        if (entry is { Kind: RouteKind.Local })
        {
            if (stack.Loopback is not { IsUp: true } loopback)
            {
                return NetError.NetworkUnreachable;
            }

            IpAddress own = !query.Source.IsUnspecified ? query.Source : !v4 || entry.PreferredSource.IsUnspecified ? query.Destination : entry.PreferredSource;
            Fill(stack, route, loopback, own, query.Destination, query.Destination, entry);
            route.Kind = RouteKind.Local;
            return NetError.None;
        }

        byte scope = nextHop.IsLinkLocal ? NetworkStack.ScopeLink : NetworkStack.ScopeUniverse;
        IpAddress source = !query.Source.IsUnspecified ? query.Source
            : entry is { PreferredSource.IsUnspecified: false } ? entry.PreferredSource
            : v4 ? output.SelectV4(nextHop, scope) : output.SelectV6(query.Destination);
        if (source.IsUnspecified && v4)
        {
            // An interface without an address speaks for the host with any address of it.
            source = AnyAddress(stack);
        }

        Fill(stack, route, output, source, query.Destination, nextHop, entry);
        route.Kind = entry?.Kind ?? RouteKind.Unicast;
        if (output.Device.Kind == LinkKind.Ethernet && route.Kind == RouteKind.Unicast)
        {
            route.Neighbor = output.Neighbors.GetOrAdd(nextHop);
            if (route.Neighbor is null)
            {
                return NetError.NoBufferSpace;
            }
        }

        return NetError.None;
    }

    private static IpAddress AnyAddress(NetworkStack stack)
    {
        foreach (NetworkInterface one in stack.Interfaces)
        {
            foreach (InterfaceAddress address in one.Addresses)
            {
                if (address.Address.IsV4 && address.Scope == NetworkStack.ScopeUniverse && !one.IsLoopback)
                {
                    return address.Address;
                }
            }
        }

        return IpAddress.AnyV4;
    }

    private static void Fill(NetworkStack stack, Route route, NetworkInterface output, in IpAddress source, in IpAddress destination, in IpAddress nextHop, RouteEntry? entry)
    {
        bool v4 = destination.IsV4;
        int mtu = v4 ? output.Mtu : output.Ipv6Mtu;
        if (entry is { Mtu: > 0 })
        {
            mtu = Math.Min(mtu, entry.Mtu);
        }

        route.Interface = output;
        route.Source = source;
        route.Destination = destination;
        route.NextHop = nextHop;
        route.Neighbor = null;
        route.Mtu = output.IsLoopback ? mtu : stack.PathMtus.Find(destination, mtu);
        route.AdvertisedMss = entry?.AdvertisedMss ?? 0;
        route.InitialCongestionWindow = entry?.InitialCongestionWindow ?? 0;
        route.InitialReceiveWindow = entry?.InitialReceiveWindow ?? 0;
        route.MaxGsoPacket = Math.Max(route.Mtu, Ipv4Header.MaxPacket);
        route.IsLoopback = output.IsLoopback;
    }

    private static NetError ErrorOf(RouteKind kind) => kind switch
    {
        RouteKind.Blackhole => NetError.InvalidArgument,
        RouteKind.Prohibit => NetError.AccessDenied,
        RouteKind.Unreachable => NetError.HostUnreachable,
        _ => NetError.NetworkUnreachable,
    };
}
