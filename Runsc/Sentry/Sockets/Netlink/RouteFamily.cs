using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Netlink;

/// <summary>NETLINK_ROUTE (rtnetlink(7)): addresses, routes, rules and neighbours of a namespace's stack; links are those of LinkFamily.</summary>
internal static class RouteFamily
{
    private const int NewLink = 16, DeleteLink = 17, GetLink = 18, SetLink = 19, NewAddress = 20, DeleteAddress = 21, GetAddress = 22, NewRoute = 24, DeleteRoute = 25, GetRoute = 26, NewNeighbor = 28,
        GetNeighbor = 30, GetQueue = 38, GetClass = 42, GetClassifier = 46, NewNamespace = 88, GetNamespace = 90;

    /// <summary>RTM_MAX: what is above is refused before the capability is asked for.</summary>
    private const int MaximumType = 123;

    // struct ifaddrmsg, rtmsg, ndmsg, fib_rule_hdr.
    private const int AddressSize = 8, RouteSize = 12;

    /// <summary>IP6_RT_PRIO_USER: what a route of IPv6 has when none is given.</summary>
    private const uint UserMetric = 1024;

    // RTA_*.
    private const int DestinationAttribute = 1, SourceAttribute = 2, OutputAttribute = 4, GatewayAttribute = 5, PriorityAttribute = 6, PreferredSourceAttribute = 7, CacheInfoAttribute = 12,
        TableAttribute = 15, PreferenceAttribute = 20, UserAttribute = 25;

    /// <summary>Answers a request into the writer. EOPNOTSUPP, EPERM for changes, …</summary>
    public static Errno Answer(ICaller caller, NetNamespace network, in NetlinkRequest request, bool isDump, bool isStrict, NetlinkWriter writer)
    {
        if (request.Type > MaximumType)
        {
            return Errno.EOPNOTSUPP;
        }

        bool isGet = (request.Type & 3) == 2;
        if (!isGet && !caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, network.Owner))
        {
            return Errno.EPERM;
        }

        if (request.Type is NewLink or DeleteLink or SetLink)
        {
            return LinkChanges.Run(caller, network, request);
        }

        if (request.Type is NewNamespace or GetNamespace)
        {
            return NamespaceNumbers.Answer(caller, network.Inet.Stack, request, isDump, writer);
        }

        NetworkStack stack = network.Inet.Stack;
        int family = request.Body.Length > 0 ? request.Body[0] : 0;
        using (stack.Enter())
        {
            switch (request.Type)
            {
                case GetLink when isDump && family == LinkFamily.BridgeAddressFamily:
                    return LinkFamily.DumpPorts(stack, writer);
                case GetNeighbor when isDump && family == LinkFamily.BridgeAddressFamily:
                    return LinkFamily.DumpStations(stack, request, writer);
                case GetLink:
                    return isDump ? LinkFamily.Dump(stack, writer) : LinkFamily.One(stack, request, writer);
                case GetQueue when isDump:
                    return LinkFamily.DumpQueues(stack, writer);
                case GetClass or GetClassifier when isDump:
                    // No queue has any.
                    return Errno.None;
                case GetAddress when isDump:
                    return DumpAddresses(stack, family, request, isStrict, writer);
                case GetRoute when isDump:
                    return DumpRoutes(stack, family, request, isStrict, writer);
                case GetRoute:
                    return OneRoute(caller, stack, request, family, writer);
                case GetNeighbor when isDump:
                    return DumpNeighbors(stack, family, request, isStrict, writer);
                case RuleMessages.Get when isDump:
                    return RuleMessages.Dump(stack, family, writer);
                case RuleMessages.New or RuleMessages.Delete:
                    return RuleMessages.Change(stack, request);
                case NewAddress or DeleteAddress:
                    return ChangeAddress(stack, request);
                case NewRoute or DeleteRoute:
                    return ChangeRoute(stack, request);
                default:
                    return Errno.EOPNOTSUPP;
            }
        }
    }

    private static bool IsWanted(int family, bool isV4) => family == Socket.AF_UNSPEC || (family == Socket.AF_INET) == isV4;

    private static Errno DumpAddresses(NetworkStack stack, int family, in NetlinkRequest request, bool isStrict, NetlinkWriter writer)
    {
        int index = isStrict && request.Body.Length >= AddressSize ? BitConverter.ToInt32(request.Body[4..]) : 0;

        // One family after the other, as Linux asks them.
        for (int i = 0; i < 2; i++)
        {
            if (!IsWanted(family, i == 0))
            {
                continue;
            }

            foreach (NetworkInterface one in stack.Interfaces)
            {
                foreach (InterfaceAddress address in one.Addresses)
                {
                    if (address.Address.IsV4 == (i == 0) && (index == 0 || index == one.Index))
                    {
                        WriteAddress(address, NetlinkWriter.Multi, writer);
                    }
                }
            }
        }

        return Errno.None;
    }

    /// <summary>RTM_NEWADDR, RTM_DELADDR.</summary>
    public static void WriteAddress(InterfaceAddress address, int messageFlags, NetlinkWriter writer, bool removed = false)
    {
        const byte permanent = 0x80, secondary = 1, deprecated = 0x20, tentative = 0x40;
        bool v4 = address.Address.IsV4;
        NetworkInterface one = address.Interface;
        int flags = (address.IsPermanent ? permanent : 0) | (address.IsSecondary ? secondary : 0)
            | (address.IsDeprecated ? deprecated : 0) | (address.IsTentative ? tentative : 0);
        writer.Begin(removed ? DeleteAddress : NewAddress, messageFlags);
        writer.Add((byte)(v4 ? Socket.AF_INET : Socket.AF_INET6));
        writer.Add((byte)address.PrefixLength);
        writer.Add((byte)flags);
        writer.Add(address.Scope);
        writer.Add((uint)one.Index);
        writer.Attribute(1, address.Peer);
        if (v4)
        {
            writer.Attribute(2, address.Address);
            if (!address.Broadcast.IsUnspecified)
            {
                writer.Attribute(4, address.Broadcast);
            }

            writer.Attribute(3, address.Label ?? one.Name);
        }

        writer.Attribute(8, (uint)flags);
        long now = one.Stack.Clock.Monotonic;
        Span<uint> lifetimes = [Seconds(address.PreferredUntil, now), Seconds(address.ValidUntil, now), 0, 0];
        writer.Attribute(6, System.Runtime.InteropServices.MemoryMarshal.AsBytes(lifetimes));
        writer.End();
    }

    private static uint Seconds(long until, long now) =>
        until == NetTimer.Never ? uint.MaxValue : (uint)Math.Clamp((until - now) / 1_000_000_000, 0, uint.MaxValue - 1);

    private static Errno DumpRoutes(NetworkStack stack, int family, in NetlinkRequest request, bool isStrict, NetlinkWriter writer)
    {
        uint table = 0, output = 0;
        int protocol = 0, kind = 0;
        if (isStrict && request.Body.Length >= RouteSize)
        {
            // NETLINK_GET_STRICT_CHK: the header and the attributes choose.
            table = request.TryGetNumber(RouteSize, 15, out uint number) ? number : request.Body[4];
            (protocol, kind) = (request.Body[5], request.Body[7]);
            request.TryGetNumber(RouteSize, 4, out output);
        }

        for (int i = 0; i < 2; i++)
        {
            if (!IsWanted(family, i == 0))
            {
                continue;
            }

            List<RouteEntry> routes = [];
            stack.Routes(i == 0).CopyTo(routes, 0);
            foreach (RouteEntry route in routes)
            {
                if ((table == 0 || table == route.Table) && (protocol == 0 || protocol == route.Protocol) && (kind == 0 || kind == (int)route.Kind)
                    && (output == 0 || output == (uint)(route.Interface?.Index ?? 0)))
                {
                    WriteRoute(route, i == 0, NetlinkWriter.Multi, writer);
                }
            }
        }

        return Errno.None;
    }

    /// <summary>RTM_NEWROUTE, RTM_DELROUTE.</summary>
    public static void WriteRoute(RouteEntry route, bool v4, int flags, NetlinkWriter writer, bool removed = false)
    {
        Begin(route, v4, removed ? DeleteRoute : NewRoute, flags, 0, 0, writer);
        if (route.PrefixLength > 0)
        {
            writer.Attribute(DestinationAttribute, route.Destination);
        }

        if (!v4 || route.Metric != 0)
        {
            writer.Attribute(PriorityAttribute, route.Metric);
        }

        if (!route.PreferredSource.IsUnspecified)
        {
            writer.Attribute(PreferredSourceAttribute, route.PreferredSource);
        }

        WriteWay(route, writer);
        if (!v4)
        {
            WriteCacheInfo(writer);
            writer.Attribute(PreferenceAttribute, [(byte)0]);
        }

        writer.End();
    }

    // struct rtmsg and the table. In IPv6 the scope is not used.
    private static void Begin(RouteEntry route, bool v4, int type, int flags, int sourceLength, uint routeFlags, NetlinkWriter writer)
    {
        writer.Begin(type, flags);
        writer.Add((byte)(v4 ? Socket.AF_INET : Socket.AF_INET6));
        writer.Add((byte)route.PrefixLength);
        writer.Add((byte)sourceLength);
        writer.Add(route.TrafficClass);
        writer.Add((byte)Math.Min(route.Table, 255));
        writer.Add(route.Protocol);
        writer.Add(v4 ? route.Scope : (byte)0);
        writer.Add((byte)route.Kind);
        writer.Add(routeFlags);
        writer.Attribute(TableAttribute, route.Table);
    }

    private static void WriteWay(RouteEntry route, NetlinkWriter writer)
    {
        if (route.HasGateway)
        {
            writer.Attribute(GatewayAttribute, route.Gateway);
        }

        if (route.Interface is NetworkInterface owner)
        {
            writer.Attribute(OutputAttribute, (uint)owner.Index);
        }
    }

    // struct rta_cacheinfo: of a route that does not expire and has no error.
    private static void WriteCacheInfo(NetlinkWriter writer)
    {
        Span<byte> empty = stackalloc byte[32];
        empty.Clear();
        writer.Attribute(CacheInfoAttribute, empty);
    }

    // RTM_GETROUTE with RTA_DST: which way a packet goes. Readers depend on what stands behind the source (nmap stops too early).
    private static Errno OneRoute(ICaller caller, NetworkStack stack, in NetlinkRequest request, int family, NetlinkWriter writer)
    {
        if (!request.TryGetAddress(RouteSize, DestinationAttribute, out IpAddress destination))
        {
            destination = family == Socket.AF_INET ? IpAddress.AnyV4 : IpAddress.AnyV6;
        }

        const int markAttribute = 16;
        request.TryGetNumber(RouteSize, OutputAttribute, out uint output);
        request.TryGetNumber(RouteSize, markAttribute, out uint mark);
        bool hasSource = request.TryGetAddress(RouteSize, SourceAttribute, out IpAddress source) && source.IsV4 == destination.IsV4 && !source.IsUnspecified;
        Route found = new();
        RouteQuery query = new() { Destination = destination, Source = hasSource ? source : destination.AnyOfFamily, Interface = unchecked((int)output), Mark = mark };
        NetError error = stack.Ip.FindRoute(query, found);
        if (error != NetError.None)
        {
            return NetErrors.ToErrno(error);
        }

        // The answer about IPv6 tells of the route itself, that of IPv4 of what was made from it.
        bool v4 = destination.IsV4;
        RouteEntry? origin = v4 ? null : stack.Routes6.Find(query);
        RouteEntry shown = new()
        {
            Kind = found.Kind,
            Destination = destination,
            PrefixLength = destination.Bits,
            Interface = found.Interface,
            Gateway = found.NextHop == destination ? destination.AnyOfFamily : found.NextHop,
            Protocol = origin?.Protocol ?? 0,
            Metric = origin?.Metric ?? 0,
            Table = origin?.Table ?? RoutingTables.Main,
        };
        const uint cloned = 0x200, local = 0x8000_0000;
        Begin(shown, v4, NewRoute, 0, v4 && !hasSource ? 0 : destination.Bits, !v4 ? 0 : found.Kind == RouteKind.Local ? cloned | local : cloned, writer);
        writer.Attribute(DestinationAttribute, destination);
        if (v4)
        {
            if (hasSource)
            {
                writer.Attribute(SourceAttribute, source);
            }

            writer.Attribute(OutputAttribute, (uint)(found.Interface?.Index ?? 0));
            if (!hasSource)
            {
                writer.Attribute(PreferredSourceAttribute, found.Source);
            }

            if (shown.HasGateway)
            {
                writer.Attribute(GatewayAttribute, shown.Gateway);
            }

            writer.Attribute(UserAttribute, caller.Credentials.UserNamespace.Uids.Shown(caller.Credentials.EffectiveUid));
            WriteCacheInfo(writer);
        }
        else
        {
            writer.Attribute(SourceAttribute, IpAddress.AnyV6);
            writer.Attribute(PreferredSourceAttribute, found.Source);
            WriteWay(shown, writer);
            writer.Attribute(PriorityAttribute, shown.Metric);
            WriteCacheInfo(writer);
            writer.Attribute(PreferenceAttribute, [(byte)0]);
        }

        writer.End();
        return Errno.None;
    }

    private static Errno DumpNeighbors(NetworkStack stack, int family, in NetlinkRequest request, bool isStrict, NetlinkWriter writer)
    {
        const int neighborSize = 12, interfaceIndex = 8;
        uint index = 0;
        if (isStrict && request.Body.Length >= neighborSize)
        {
            request.TryGetNumber(neighborSize, interfaceIndex, out index);
        }

        foreach (NetworkInterface one in stack.Interfaces)
        {
            foreach (Neighbor neighbor in one.Neighbors.All)
            {
                if (IsWanted(family, neighbor.Address.IsV4) && (index == 0 || index == (uint)one.Index))
                {
                    WriteNeighbor(neighbor, NetlinkWriter.Multi, writer);
                }
            }
        }

        return Errno.None;
    }

    /// <summary>RTM_NEWNEIGH, RTM_DELNEIGH.</summary>
    public static void WriteNeighbor(Neighbor neighbor, int flags, NetlinkWriter writer, bool removed = false)
    {
        Span<byte> mac = stackalloc byte[6];
        writer.Begin(removed ? NewNeighbor + 1 : NewNeighbor, flags);
        writer.Add((byte)(neighbor.Address.IsV4 ? Socket.AF_INET : Socket.AF_INET6));
        writer.Add((byte)0);
        writer.Add((ushort)0);
        writer.Add((uint)neighbor.Interface.Index);
        writer.Add((ushort)neighbor.State);
        writer.Add((byte)(neighbor.IsRouter ? 0x80 : 0));
        writer.Add((byte)RouteKind.Unicast);
        writer.Attribute(1, neighbor.Address);
        if (neighbor.HasAddress)
        {
            neighbor.Mac.Write(mac);
            writer.Attribute(2, mac);
        }

        writer.End();
    }

    private static Errno ChangeAddress(NetworkStack stack, in NetlinkRequest request)
    {
        const int address = 1, local = 2, label = 3, broadcast = 4, flags = 8;
        const uint noDetection = 2;
        if (request.Body.Length < AddressSize)
        {
            return Errno.EINVAL;
        }

        if (stack.FindInterface(BitConverter.ToInt32(request.Body[4..])) is not NetworkInterface owner)
        {
            return Errno.ENODEV;
        }

        bool hasPeer = request.TryGetAddress(AddressSize, address, out IpAddress peer), hasLocal = request.TryGetAddress(AddressSize, local, out IpAddress own);
        if (!hasPeer && !hasLocal)
        {
            return Errno.EINVAL;
        }

        own = hasLocal ? own : peer;
        peer = hasPeer ? peer : own;
        int prefix = request.Body[1];
        if (request.Type == DeleteAddress)
        {
            foreach (InterfaceAddress present in owner.Addresses)
            {
                if (present.Address == own && (present.PrefixLength == prefix || !own.IsV4))
                {
                    stack.RemoveAddress(present);
                    return Errno.None;
                }
            }

            return Errno.EADDRNOTAVAIL;
        }

        string text = request.GetText(AddressSize, label);
        request.TryGetAddress(AddressSize, broadcast, out IpAddress all);
        uint wanted = request.TryGetNumber(AddressSize, flags, out uint number) ? number : request.Body[2];
        InterfaceAddress added = new(owner, own, prefix)
        {
            Peer = peer,
            Broadcast = all,
            Scope = request.Body[3],
            Label = text.Length > 0 ? text : own.IsV4 ? owner.Name : null,
        };
        return NetErrors.ToErrno(stack.AddAddress(added, noDad: (wanted & noDetection) != 0));
    }

    private static Errno ChangeRoute(NetworkStack stack, in NetlinkRequest request)
    {
        const int destination = 1, output = 4, gateway = 5, priority = 6, source = 7, table = 15;
        const int replace = 0x100, exclusive = 0x200, append = 0x800;
        if (request.Body.Length < RouteSize)
        {
            return Errno.EINVAL;
        }

        bool v4 = request.Body[0] == Socket.AF_INET;
        if (!v4 && request.Body[0] != Socket.AF_INET6)
        {
            return Errno.EAFNOSUPPORT;
        }

        request.TryGetNumber(RouteSize, output, out uint index);
        request.TryGetNumber(RouteSize, priority, out uint metric);
        NetworkInterface? owner = index != 0 ? stack.FindInterface(unchecked((int)index)) : null;
        if (index != 0 && owner is null)
        {
            return Errno.ENODEV;
        }

        IpAddress any = v4 ? IpAddress.AnyV4 : IpAddress.AnyV6;
        IpAddress to = request.TryGetAddress(RouteSize, destination, out IpAddress given) ? given : any;
        IpAddress through = request.TryGetAddress(RouteSize, gateway, out IpAddress hop) ? hop : any;
        if (to.IsV4 != v4 || through.IsV4 != v4 || request.Body[1] > any.Bits)
        {
            return Errno.EINVAL;
        }

        if (owner is null && !through.IsUnspecified)
        {
            // On which link the gateway is; no address of ours need be ready for use yet.
            if (stack.Routes(v4).Find(new RouteQuery { Destination = through, Source = any }) is { Kind: RouteKind.Unicast, HasGateway: false } way)
            {
                owner = way.Interface;
            }
        }

        RouteEntry route = new()
        {
            Kind = (RouteKind)request.Body[7],
            Protocol = request.Body[5],
            Scope = request.Body[6],
            Table = request.TryGetNumber(RouteSize, table, out uint number) ? number : request.Body[4] == 0 ? RoutingTables.Main : request.Body[4],
            Destination = to,
            PrefixLength = request.Body[1],
            Gateway = through,
            Interface = owner,
            PreferredSource = request.TryGetAddress(RouteSize, source, out IpAddress preferred) ? preferred : any,
            Metric = metric == 0 && !v4 && request.Type == NewRoute ? UserMetric : metric,
            TrafficClass = request.Body[3],
        };
        if (request.Type == DeleteRoute)
        {
            return NetErrors.ToErrno(stack.Routes(v4).RemoveMatching(route));
        }

        if (owner is null && route.Kind == RouteKind.Unicast)
        {
            return through.IsUnspecified ? Errno.ENODEV : Errno.ENETUNREACH;
        }

        return NetErrors.ToErrno(stack.Routes(v4).Add(
            route, (request.Flags & exclusive) != 0, (request.Flags & replace) != 0, (request.Flags & append) != 0));
    }
}
