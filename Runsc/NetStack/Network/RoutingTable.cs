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

    /// <summary>Puts all routes into a list, the shortest prefixes first.</summary>
    public void CopyTo(List<RouteEntry> list)
    {
        foreach (Dictionary<IpAddress, RouteEntry>? routes in _byLength)
        {
            if (routes is null)
            {
                continue;
            }

            foreach (RouteEntry head in routes.Values)
            {
                for (RouteEntry? route = head; route is not null; route = route.Next)
                {
                    list.Add(route);
                }
            }
        }
    }

    private static bool Precedes(RouteEntry route, RouteEntry other, bool first) => first ? route.Metric <= other.Metric : route.Metric < other.Metric;
}
