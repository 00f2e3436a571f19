namespace Runsc.NetStack.Filter.Matches;

/// <summary>A number that packets have, for <see cref="FieldMatch"/> and <see cref="FieldTarget"/>.</summary>
internal enum PacketField
{
    Length,

    /// <summary>TTL, or hop limit.</summary>
    HopLimit,

    /// <summary>TOS, or traffic class, with its lowest two bits.</summary>
    TrafficClass,

    /// <summary>PACKET_*.</summary>
    Type,

    /// <summary>The maximum segment size that a TCP segment names.</summary>
    SegmentSize,
}
