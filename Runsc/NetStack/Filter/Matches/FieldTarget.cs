using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>Writes the hop limit or the traffic class of a packet (ipt_TTL, ip6t_HL, xt_DSCP): what is kept of the old value, with other bits inverted, and then so many more or less.</summary>
internal sealed class FieldTarget(PacketField field, int keep, int invert, int add) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        int value = Math.Clamp(((FieldMatch.ValueOf(ref context, field) & keep) ^ invert) + add, 0, byte.MaxValue);
        Span<byte> header = context.Packet.Linear;
        if (field == PacketField.HopLimit)
        {
            header[context.IsV4 ? 8 : 7] = (byte)value;
        }
        else if (context.IsV4)
        {
            header[1] = (byte)value;
        }
        else
        {
            header[0] = (byte)((header[0] & 0xf0) | (value >> 4));
            header[1] = (byte)((header[1] & 0xf) | ((value & 0xf) << 4));
        }

        if (context.IsV4)
        {
            Ipv4Header.UpdateChecksum(header[..Math.Min((header[0] & 0xf) * 4, header.Length)]);
        }
    }
}
