using System;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Writes a register into a header of the packet and mends the checksums that cover it.</summary>
/// <param name="to">The header.</param>
/// <param name="offset">Where in it, even if a checksum covers it.</param>
/// <param name="length">How many bytes.</param>
/// <param name="register">From where.</param>
/// <param name="checksum">Offset of the checksum in that header, or −1.</param>
/// <param name="isPseudo">The bytes are in the pseudo header of the transport's checksum.</param>
internal sealed class PayloadWriteExpression(PayloadBase to, int offset, int length, int register, int checksum, bool isPseudo) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        PacketBuffer packet = context.Packet;
        int header = to == PayloadBase.Network ? 0 : context.Transport;
        int transport = PacketRewriter.ChecksumOffset(context.Protocol);
        bool mendsTransport = isPseudo && context.FragmentOffset == 0 && transport >= 0;
        int needed = Math.Max(header + Math.Max(offset + length, checksum + 2), mendsTransport ? context.Transport + transport + 2 : 0);
        if (to == PayloadBase.Link || (to == PayloadBase.Transport && context.FragmentOffset != 0) || !packet.EnsureLinear(needed))
        {
            context.Verdict = Verdict.Break;
            return;
        }

        // A whole word at each end, so that checksums see even bytes.
        Span<byte> bytes = packet.Linear;
        int start = (header + offset) & ~1;
        int end = Math.Min((header + offset + length + 1) & ~1, bytes.Length);
        Span<byte> before = stackalloc byte[FilterContext.RegisterBytes + 2];
        before = before[..(end - start)];
        bytes[start..end].CopyTo(before);
        context.Register(register, length).CopyTo(bytes[(header + offset)..]);
        bool isPartial = packet.Checksum == ChecksumState.Partial;
        if (checksum >= 0 && (to == PayloadBase.Network || !isPartial) && ((bytes[header + checksum] | bytes[header + checksum + 1]) != 0 || to == PayloadBase.Network))
        {
            PacketRewriter.Replace(bytes.Slice(header + checksum, 2), before, bytes[start..end], isPartial: false);
        }

        if (mendsTransport)
        {
            PacketRewriter.Replace(bytes.Slice(context.Transport + transport, 2), before, bytes[start..end], isPartial);
        }
    }
}
