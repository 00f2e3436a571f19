using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Loads bytes of the packet into a register; a packet without them does not match.</summary>
internal sealed class PayloadExpression(PayloadBase from, int offset, int length, int register) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        Span<byte> bytes = stackalloc byte[FilterContext.RegisterBytes];
        bytes = bytes[..length];
        bool there = from switch
        {
            PayloadBase.Network => context.TryRead(offset, bytes),
            PayloadBase.Transport => context.TryReadTransport(offset, bytes),
            _ => TryReadLink(ref context, offset, bytes),
        };
        if (there)
        {
            Registers.Store(ref context, register, bytes);
        }
        else
        {
            context.Verdict = Verdict.Break;
        }
    }

    /// <summary>The link header of a received packet is still there, in front of the IP header.</summary>
    public static bool TryReadLink(ref FilterContext context, int offset, scoped Span<byte> bytes)
    {
        Buffers.PacketBuffer packet = context.Packet;
        int front = packet.Position;
        int size = front - packet.LinkStart;
        if (packet.LinkStart < 0 || context.Input is not { Device.HasHeader: true } || size != Wire.EthernetHeader.Size || offset > size - bytes.Length)
        {
            return false;
        }

        packet.Rewind(packet.LinkStart);
        packet.Linear.Slice(offset, bytes.Length).CopyTo(bytes);
        packet.TrimFront(size);
        return true;
    }
}
