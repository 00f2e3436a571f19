namespace Runsc.NetStack.Network;

/// <summary>A policy rule as `ip rule` knows it: which packets look in which table. Immutable.</summary>
internal sealed class RouteRule
{
    public uint Priority { get; init; }

    public uint Table { get; init; }

    /// <summary>FR_ACT_*: 1 look in the table, 6 blackhole, 7 unreachable, 8 prohibit.</summary>
    public byte Action { get; init; } = 1;

    public byte Protocol { get; init; } = 2;

    public IpAddress Source { get; init; }

    public int SourceLength { get; init; }

    public IpAddress Destination { get; init; }

    public int DestinationLength { get; init; }

    public uint Mark { get; init; }

    public uint MarkMask { get; init; }

    public byte TrafficClass { get; init; }

    /// <summary>The interface a packet came in on, or 0.</summary>
    public int InputInterface { get; init; }

    /// <summary>The interface a socket is bound to, or 0.</summary>
    public int OutputInterface { get; init; }

    public bool IsInverted { get; init; }

    public bool Matches(in RouteQuery query, int input)
    {
        bool hit = (SourceLength == 0 || (!query.Source.IsUnspecified && Prefix.Matches(Source, query.Source, SourceLength)))
            && (DestinationLength == 0 || Prefix.Matches(Destination, query.Destination, DestinationLength))
            && (query.Mark & MarkMask) == (Mark & MarkMask)
            && (TrafficClass == 0 || TrafficClass == query.TrafficClass)
            && (InputInterface == 0 || InputInterface == input)
            && (OutputInterface == 0 || OutputInterface == query.Interface);
        return hit != IsInverted;
    }
}
