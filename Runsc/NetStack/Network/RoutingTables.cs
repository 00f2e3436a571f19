using System.Collections.Generic;
using Runsc.NetStack.Core;

namespace Runsc.NetStack.Network;

/// <summary>The tables and rules of one family. Guarded by the stack's lock.</summary>
internal sealed class RoutingTables
{
    public const uint Default = 253;
    public const uint Main = 254;
    public const uint Local = 255;

    /// <summary>Tables, routes and rules that an application may make.</summary>
    private const int MaxTables = 256;
    private const int MaxRoutes = 16384;
    private const int MaxRules = 1024;

    private readonly NetworkStack _stack;
    private readonly bool _v4;
    private readonly Dictionary<uint, RoutingTable> _tables = [];
    private readonly List<RouteRule> _rules;
    private int _routes;

    public RoutingTables(NetworkStack stack, bool v4)
    {
        _stack = stack;
        _v4 = v4;
        IpAddress any = v4 ? IpAddress.AnyV4 : IpAddress.AnyV6;
        _rules =
        [
            new RouteRule { Priority = 0, Table = Local, Source = any, Destination = any },
            new RouteRule { Priority = 32766, Table = Main, Source = any, Destination = any },
        ];
        if (v4)
        {
            _rules.Add(new RouteRule { Priority = 32767, Table = Default, Source = any, Destination = any });
        }
    }

    public IReadOnlyList<RouteRule> Rules => _rules;

    /// <summary>There are rules beside those of the beginning.</summary>
    public bool HasRules => _rules.Count > 3;

    /// <summary>What a rule gets that states no priority: to stand before the second one.</summary>
    public uint NextPriority => _rules.Count > 1 && _rules[1].Priority > 0 ? _rules[1].Priority - 1 : 0;

    /// <summary>The route by the rules; null if there is none. A throw route goes on to the next rule.</summary>
    public RouteEntry? Find(in RouteQuery query, int input = 0)
    {
        long now = _stack.Now;
        for (int i = 0; i < _rules.Count; i++)
        {
            RouteRule rule = _rules[i];
            if (rule.Action == RouteRule.Nothing || !rule.Matches(_stack, query, input))
            {
                continue;
            }

            if (rule.Action != RouteRule.Look)
            {
                // What a rule calls unreachable is as if there were no route.
                return rule.Action == (byte)RouteKind.Unreachable ? null : new RouteEntry { Kind = (RouteKind)rule.Action, Destination = query.Destination };
            }

            // The local table knows no output interface: an address of ours is ours whatever a socket is bound to.
            int output = rule.Table == Local ? 0 : query.Interface;
            if (_tables.TryGetValue(rule.Table, out RoutingTable? table) && table.Find(query.Destination, output, now) is { } route
                && route.Kind != RouteKind.Throw && route.PrefixLength > rule.SuppressedLength)
            {
                return route;
            }
        }

        return null;
    }

    /// <summary>The entry of the local table: addresses and broadcast addresses of ours.</summary>
    public RouteEntry? FindLocal(in IpAddress destination) =>
        _tables.TryGetValue(Local, out RoutingTable? table) ? table.Find(destination, 0, 0) : null;

    /// <summary>Adds a route; the flags are NLM_F_EXCL, NLM_F_REPLACE, and NLM_F_APPEND.</summary>
    public NetError Add(RouteEntry route, bool exclusive = true, bool replace = false, bool append = false)
    {
        if (!_tables.TryGetValue(route.Table, out RoutingTable? table))
        {
            if (_tables.Count >= MaxTables)
            {
                return NetError.NoBufferSpace;
            }

            table = new RoutingTable(route.Table, _v4);
            _tables.Add(route.Table, table);
        }

        RouteEntry? same = Same(table, route);
        if (same is not null && replace)
        {
            Remove(same);
        }
        else if (same is not null && ((exclusive && !append) || IsTwin(same, route)))
        {
            return NetError.Exists;
        }

        if (_routes >= MaxRoutes)
        {
            return NetError.NoBufferSpace;
        }

        _routes++;
        table.Add(route, first: !append);
        _stack.RoutesChanged();
        _stack.Observer?.RouteChanged(route, removed: false);
        return NetError.None;
    }

    public bool Remove(RouteEntry route)
    {
        if (!_tables.TryGetValue(route.Table, out RoutingTable? table) || !table.Remove(route))
        {
            return false;
        }

        _routes--;
        _stack.RoutesChanged();
        _stack.Observer?.RouteChanged(route, removed: true);
        return true;
    }

    /// <summary>Removes the first route of the prefix that meets what the pattern states.</summary>
    public NetError RemoveMatching(RouteEntry pattern)
    {
        if (!_tables.TryGetValue(pattern.Table, out RoutingTable? table))
        {
            return NetError.NoSuchEntry;
        }

        for (RouteEntry? route = table.Exact(pattern.Destination, pattern.PrefixLength); route is not null; route = route.Next)
        {
            if ((pattern.Metric == 0 || route.Metric == pattern.Metric)
                && (pattern.Kind == RouteKind.None || route.Kind == pattern.Kind)
                && (!pattern.HasGateway || route.Gateway == pattern.Gateway)
                && (pattern.Interface is null || route.Interface == pattern.Interface)
                && (pattern.PreferredSource.IsUnspecified || route.PreferredSource == pattern.PreferredSource))
            {
                Remove(route);
                return NetError.None;
            }
        }

        return NetError.NoSuchEntry;
    }

    /// <summary>Removes the routes over an interface: all of them, or those with a gateway or a prefix that went away with an address.</summary>
    public void RemoveOf(NetworkInterface networkInterface, bool keepLocal = false)
    {
        List<RouteEntry> all = [];
        CopyTo(all, 0);
        foreach (RouteEntry route in all)
        {
            if (route.Interface == networkInterface && !(keepLocal && route.Table == Local && route.Kind == RouteKind.Local))
            {
                Remove(route);
            }
        }
    }

    /// <summary>Copies the routes of a table, or of all for 0, in Linux's order.</summary>
    public void CopyTo(List<RouteEntry> list, uint table)
    {
        // Linux has its tables in 256 buckets.
        List<RoutingTable> tables = [.. _tables.Values];
        tables.Sort((a, b) => (a.Id & 0xff).CompareTo(b.Id & 0xff));
        foreach (RoutingTable one in tables)
        {
            if (table == 0 || one.Id == table)
            {
                one.CopyTo(list);
            }
        }
    }

    public NetError AddRule(RouteRule rule)
    {
        if (_rules.Count >= MaxRules)
        {
            return NetError.NoBufferSpace;
        }

        int at = 0;
        while (at < _rules.Count && _rules[at].Priority <= rule.Priority)
        {
            at++;
        }

        _rules.Insert(at, rule);
        _stack.RoutesChanged();
        return NetError.None;
    }

    public bool RemoveRule(RouteRule rule)
    {
        bool removed = _rules.Remove(rule);
        _stack.RoutesChanged();
        return removed;
    }

    private static RouteEntry? Same(RoutingTable table, RouteEntry route)
    {
        for (RouteEntry? at = table.Exact(route.Destination, route.PrefixLength); at is not null; at = at.Next)
        {
            if (at.Metric == route.Metric && at.TrafficClass == route.TrafficClass)
            {
                return at;
            }
        }

        return null;
    }

    private static bool IsTwin(RouteEntry a, RouteEntry b) =>
        a.Kind == b.Kind && a.Gateway == b.Gateway && a.Interface == b.Interface && a.PreferredSource == b.PreferredSource;
}
