namespace Runsc.NetStack.Wire;

/// <summary>Types and codes of ICMPv6 (RFC 4443, RFC 4861, RFC 2710, RFC 3810).</summary>
internal static class Icmpv6Type
{
    public const int HeaderSize = 8;

    public const byte DestinationUnreachable = 1;
    public const byte PacketTooBig = 2;
    public const byte TimeExceeded = 3;
    public const byte ParameterProblem = 4;
    public const byte EchoRequest = 128;
    public const byte EchoReply = 129;
    public const byte MldQuery = 130;
    public const byte MldReport = 131;
    public const byte MldDone = 132;
    public const byte RouterSolicitation = 133;
    public const byte RouterAdvertisement = 134;
    public const byte NeighborSolicitation = 135;
    public const byte NeighborAdvertisement = 136;
    public const byte Redirect = 137;
    public const byte MldReportV2 = 143;

    public const byte NoRoute = 0;
    public const byte Prohibited = 1;
    public const byte AddressUnreachable = 3;
    public const byte PortUnreachable = 4;

    /// <summary>Types below 128 are errors and quote a packet.</summary>
    public static bool IsError(byte type) => type < 128;
}
