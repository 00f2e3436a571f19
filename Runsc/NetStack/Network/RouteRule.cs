using Runsc.NetStack.Core;

namespace Runsc.NetStack.Network;

/// <summary>A policy rule as `ip rule` knows it: which packets look in which table. Immutable.</summary>
internal sealed class RouteRule
{
    /// <summary>FR_ACT_TO_TBL, FR_ACT_NOP.</summary>
    public const byte Look = 1, Nothing = 3;

    public uint Priority { get; init; }

    public uint Table { get; init; }

    /// <summary>FR_ACT_*: 1 look in the table, 3 go on, 6 blackhole, 7 unreachable, 8 prohibit.</summary>
    public byte Action { get; init; } = 1;

    public byte Protocol { get; init; } = 2;

    public IpAddress Source { get; init; }

    public int SourceLength { get; init; }

    public IpAddress Destination { get; init; }

    public int DestinationLength { get; init; }

    public uint Mark { get; init; }

    public uint MarkMask { get; init; }

    public byte TrafficClass { get; init; }

    /// <summary>The interface a packet came in on, "lo" for those of this host, or null. There need be none of that name.</summary>
    public string? InputName { get; init; }

    /// <summary>The interface a socket is bound to, or null.</summary>
    public string? OutputName { get; init; }

    /// <summary>A route of a prefix that is no longer does not count; -1: any does.</summary>
    public int SuppressedLength { get; init; } = -1;

    public bool IsInverted { get; init; }

    public bool Matches(NetworkStack stack, in RouteQuery query, int input)
    {
        bool hit = (SourceLength == 0 || (!query.Source.IsUnspecified && Prefix.Matches(Source, query.Source, SourceLength)))
            && (DestinationLength == 0 || Prefix.Matches(Destination, query.Destination, DestinationLength))
            && (query.Mark & MarkMask) == (Mark & MarkMask)
            && (TrafficClass == 0 || TrafficClass == query.TrafficClass)
            && (InputName is null || (input == 0 ? InputName == "lo" : stack.FindInterface(input)?.Name == InputName))
            && (OutputName is null || (query.Interface != 0 && stack.FindInterface(query.Interface)?.Name == OutputName));
        return hit != IsInverted;
    }
}
