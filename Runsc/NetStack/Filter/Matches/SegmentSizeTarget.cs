using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter.Tracking;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>Lowers the maximum segment size that a SYN names (xt_TCPMSS); raises none, unless it is told one.</summary>
/// <param name="size">The size, or −1: what the ways in both directions have room for.</param>
internal sealed class SegmentSizeTarget(int size) : Expression
{
    private const int TcpAndV4 = 40, TcpAndV6 = 60;

    public override void Evaluate(ref FilterContext context)
    {
        Span<byte> bytes = stackalloc byte[TcpHeader.MaxSize];
        int at = FieldMatch.SegmentSizeAt(ref context, bytes, out int length);
        if (length == 0)
        {
            context.Verdict = Verdict.Drop;
            return;
        }

        // A SYN that names none is taken for one of the default size; it gets no option.
        int wanted = size;
        if (size < 0)
        {
            RouteQuery back = new() { Destination = context.Source };
            NetworkInterface? way = (context.IsV4 ? context.Stack.Routes4.Find(back) : context.Stack.Routes6.Find(back))?.Interface;
            int room = Math.Min(context.Output?.Mtu ?? int.MaxValue, way?.Mtu ?? int.MaxValue);
            wanted = room == int.MaxValue ? int.MaxValue : room - (context.IsV4 ? TcpAndV4 : TcpAndV6);
        }

        PacketBuffer packet = context.Packet;
        if (at < 0 || wanted < 1 || wanted >= ((bytes[at] << 8) | bytes[at + 1]) || !packet.EnsureLinear(context.Transport + length))
        {
            return;
        }

        // The option may be at an odd place: whole words are what the checksum is of.
        Span<byte> segment = packet.Linear[context.Transport..];
        Span<byte> words = segment.Slice(at & ~1, 4), before = stackalloc byte[4];
        words.CopyTo(before);
        BinaryPrimitives.WriteUInt16BigEndian(segment[at..], (ushort)wanted);
        if (packet.Checksum != ChecksumState.Partial)
        {
            PacketRewriter.Replace(segment.Slice(TcpHeader.ChecksumField, 2), before, words, isPartial: false);
        }
    }
}
