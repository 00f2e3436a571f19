using System;

namespace Runsc.NetStack.Wire;

/// <summary>A neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4), without the ICMPv6 checksum.</summary>
internal struct NdpNeighborMessage
{
    public const int Size = 24;

    private const byte RouterBit = 0x80;
    private const byte SolicitedBit = 0x40;
    private const byte OverrideBit = 0x20;

    public byte Type;
    public bool IsRouter;
    public bool IsSolicited;
    public bool IsOverride;
    public IpAddress Target;

    /// <summary>From the source option of a solicitation or the target option of an advertisement.</summary>
    public MacAddress? LinkAddress;

    public static bool TryParse(ReadOnlySpan<byte> bytes, out NdpNeighborMessage message)
    {
        message = default;
        if (bytes.Length < Size || bytes[1] != 0)
        {
            return false;
        }

        message.Type = bytes[0];
        message.IsRouter = (bytes[4] & RouterBit) != 0;
        message.IsSolicited = (bytes[4] & SolicitedBit) != 0;
        message.IsOverride = (bytes[4] & OverrideBit) != 0;
        message.Target = IpAddress.ReadV6(bytes[8..]);
        byte option = message.Type == Icmpv6Type.NeighborSolicitation ? NdpOptions.SourceLinkAddress : NdpOptions.TargetLinkAddress;
        return message.Target.IsV6 && !message.Target.IsMulticast && NdpOptions.TryFindLinkAddress(bytes[Size..], option, out message.LinkAddress);
    }

    /// <summary>Bytes that <see cref="Write"/> fills.</summary>
    public readonly int Length => Size + (LinkAddress is null ? 0 : 8);

    public readonly void Write(Span<byte> bytes)
    {
        bytes.Clear();
        bytes[0] = Type;
        bytes[4] = (byte)((IsRouter ? RouterBit : 0) | (IsSolicited ? SolicitedBit : 0) | (IsOverride ? OverrideBit : 0));
        Target.WriteV6(bytes[8..]);
        if (LinkAddress is { } address)
        {
            bytes[24] = Type == Icmpv6Type.NeighborSolicitation ? NdpOptions.SourceLinkAddress : NdpOptions.TargetLinkAddress;
            bytes[25] = 1;
            address.Write(bytes[26..]);
        }
    }
}
