namespace Runsc.NetStack.Wire;

/// <summary>Types and codes of ICMP (RFC 792, RFC 1122, RFC 1812).</summary>
internal static class IcmpType
{
    public const int HeaderSize = 8;

    public const byte EchoReply = 0;
    public const byte DestinationUnreachable = 3;
    public const byte SourceQuench = 4;
    public const byte Redirect = 5;
    public const byte EchoRequest = 8;
    public const byte RouterAdvertisement = 9;
    public const byte RouterSolicitation = 10;
    public const byte TimeExceeded = 11;
    public const byte ParameterProblem = 12;
    public const byte TimestampRequest = 13;
    public const byte TimestampReply = 14;
    public const byte AddressMaskRequest = 17;
    public const byte AddressMaskReply = 18;

    public const byte NetworkUnreachable = 0;
    public const byte HostUnreachable = 1;
    public const byte ProtocolUnreachable = 2;
    public const byte PortUnreachable = 3;
    public const byte FragmentationNeeded = 4;
    public const byte SourceRouteFailed = 5;
    public const byte AdministrativelyProhibited = 13;

    /// <summary>The message is about a packet and quotes it.</summary>
    public static bool IsError(byte type) => type is DestinationUnreachable or SourceQuench or Redirect or TimeExceeded or ParameterProblem;
}
