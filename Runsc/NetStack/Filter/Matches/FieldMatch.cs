using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>A number of the packet in a range (xt_length, ipt_ttl, ip6t_hl, xt_dscp, xt_pkttype, xt_tcpmss). A packet without it does not match, inverted or not.</summary>
internal sealed class FieldMatch(PacketField field, uint mask, uint minimum, uint maximum, bool isInverted) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        int value = ValueOf(ref context, field);
        uint masked = (uint)value & mask;
        if (value < 0 || (masked >= minimum && masked <= maximum) == isInverted)
        {
            context.Verdict = Verdict.Break;
        }
    }

    /// <summary>−1: it has none.</summary>
    public static int ValueOf(ref FilterContext context, PacketField field)
    {
        ReadOnlySpan<byte> header = context.Packet.Linear;
        switch (field)
        {
            case PacketField.Length:
                return context.Packet.Length;
            case PacketField.HopLimit:
                return header[context.IsV4 ? 8 : 7];
            case PacketField.TrafficClass:
                return context.IsV4 ? header[1] : ((header[0] & 0xf) << 4) | (header[1] >> 4);
            case PacketField.Type:
                return (int)context.Packet.Type;
            default:
                Span<byte> bytes = stackalloc byte[TcpHeader.MaxSize];
                int at = SegmentSizeAt(ref context, bytes, out _);
                return at < 0 ? -1 : (bytes[at] << 8) | bytes[at + 1];
        }
    }

    /// <summary>Reads a TCP header and finds the option's value behind its front; −1 if it is not there.</summary>
    /// <param name="context">The packet.</param>
    /// <param name="bytes">Room for any header.</param>
    /// <param name="length">Of the header; 0 if it is broken.</param>
    public static int SegmentSizeAt(ref FilterContext context, scoped Span<byte> bytes, out int length)
    {
        const byte end = 0, nop = 1, segmentSize = 2;
        length = 0;
        if (context.Protocol != IpProtocol.Tcp || !context.TryReadTransport(0, bytes[..TcpHeader.Size]) || !TcpHeader.TryParse(bytes[..TcpHeader.Size], out TcpHeader header)
            || !context.TryReadTransport(0, bytes[..header.Length]))
        {
            return -1;
        }

        length = header.Length;
        for (int i = TcpHeader.Size; i + 3 < length && bytes[i] != end; i += bytes[i] == nop ? 1 : Math.Max((int)bytes[i + 1], 2))
        {
            if (bytes[i] == segmentSize && bytes[i + 1] == 4)
            {
                return i + 2;
            }
        }

        return -1;
    }
}
