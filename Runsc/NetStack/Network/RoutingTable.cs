using System;
using System.Collections.Generic;

namespace Runsc.NetStack.Network;

/// <summary>Routes of one table and family: a hash for each prefix length in use, searched from the longest. Guarded by the stack's lock.</summary>
internal sealed class RoutingTable(uint id, bool v4)
{
    private readonly Dictionary<IpAddress, RouteEntry>?[] _byLength = new Dictionary<IpAddress, RouteEntry>?[v4 ? 33 : 129];

    public uint Id { get; } = id;

    public int Count { get; private set; }

    /// <summary>The best route, of those over <paramref name="output"/> if it is not 0; null if there is none.</summary>
    public RouteEntry? Find(in IpAddress destination, int output, long now)
    {
        for (int length = _byLength.Length - 1; length >= 0; length--)
        {
            if (_byLength[length] is { Count: > 0 } routes && routes.TryGetValue(Prefix.Mask(destination, length), out RouteEntry? route))
            {
                for (; route is not null; route = route.Next)
                {
                    if (route.ValidUntil > now && (output == 0 || route.Interface?.Index == output) && (route.Interface is null || route.Interface.IsUp))
                    {
                        return route;
                    }
                }
            }
        }

        return null;
    }

    /// <summary>Adds in order of the metric; behind equals, or before them when it is to replace or precede.</summary>
    public void Add(RouteEntry route, bool first)
    {
        Dictionary<IpAddress, RouteEntry> routes = _byLength[route.PrefixLength] ??= [];
        Count++;
        if (!routes.TryGetValue(route.Destination, out RouteEntry? head) || Precedes(route, head, first))
        {
            route.Next = head;
            routes[route.Destination] = route;
            return;
        }

        while (head.Next is { } next && !Precedes(route, next, first))
        {
            head = next;
        }

        route.Next = head.Next;
        head.Next = route;
    }

    public bool Remove(RouteEntry route)
    {
        if (_byLength[route.PrefixLength] is not { } routes || !routes.TryGetValue(route.Destination, out RouteEntry? head))
        {
            return false;
        }

        if (head == route)
        {
            if (route.Next is null)
            {
                routes.Remove(route.Destination);
            }
            else
            {
                routes[route.Destination] = route.Next;
            }

            Count--;
            return true;
        }

        for (RouteEntry at = head; at.Next is not null; at = at.Next)
        {
            if (at.Next == route)
            {
                at.Next = route.Next;
                Count--;
                return true;
            }
        }

        return false;
    }

    /// <summary>The routes for exactly this prefix, best first.</summary>
    public RouteEntry? Exact(in IpAddress destination, int length) =>
        _byLength[length] is { } routes && routes.TryGetValue(destination, out RouteEntry? route) ? route : null;

    /// <summary>Puts all routes into a list, in the order in which Linux walks its trees.</summary>
    public void CopyTo(List<RouteEntry> list)
    {
        List<RouteEntry> heads = [];
        foreach (Dictionary<IpAddress, RouteEntry>? routes in _byLength)
        {
            if (routes is not null)
            {
                heads.AddRange(routes.Values);
            }
        }

        heads.Sort(v4 ? CompareV4 : CompareV6);
        foreach (RouteEntry head in heads)
        {
            for (RouteEntry? route = head; route is not null; route = route.Next)
            {
                list.Add(route);
            }
        }
    }

    // fib_trie: by address; of the same address, the longest prefix first.
    private static int CompareV4(RouteEntry a, RouteEntry b)
    {
        int order = a.Destination.V4.CompareTo(b.Destination.V4);
        return order != 0 ? order : b.PrefixLength.CompareTo(a.PrefixLength);
    }

    // fib6: a prefix comes behind all that it contains.
    private static int CompareV6(RouteEntry a, RouteEntry b)
    {
        int common = Math.Min(a.PrefixLength, b.PrefixLength);
        IpAddress first = Prefix.Mask(a.Destination, common), second = Prefix.Mask(b.Destination, common);
        return first == second ? b.PrefixLength.CompareTo(a.PrefixLength)
            : first.High != second.High ? first.High.CompareTo(second.High) : first.Low.CompareTo(second.Low);
    }

    private static bool Precedes(RouteEntry route, RouteEntry other, bool first) => first ? route.Metric <= other.Metric : route.Metric < other.Metric;
}
