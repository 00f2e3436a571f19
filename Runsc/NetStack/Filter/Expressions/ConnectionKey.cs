namespace Runsc.NetStack.Filter.Expressions;

/// <summary>NFT_CT_*, with their values, as far as they are there.</summary>
internal enum ConnectionKey
{
    State = 0,
    Direction = 1,
    Status = 2,
    Mark = 3,
    Expiration = 5,
    Family = 8,
    Source = 9,
    Destination = 10,
    Protocol = 11,
    SourcePort = 12,
    DestinationPort = 13,
    SourceV4 = 18,
    DestinationV4 = 19,
    SourceV6 = 20,
    DestinationV6 = 21,
}
