using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Drops the packet and tells its sender: by an ICMP error with a code of "destination unreachable", or by a TCP reset.</summary>
internal sealed class RejectExpression(byte codeV4, byte codeV6, bool resets) : Expression
{
    private readonly Route _route = new();

    public override void Evaluate(ref FilterContext context)
    {
        context.Verdict = Verdict.Drop;
        if (resets)
        {
            Reset(ref context);
            return;
        }

        IpPacketInfo info = new()
        {
            Source = context.Source,
            Destination = context.Destination,
            Protocol = context.Protocol,
            Interface = context.Packet.Interface,
            IsMulticast = context.Destination.IsMulticast,
        };
        if (context.FragmentOffset != 0 || !IcmpErrorSender.MayAnswer(context.Stack, context.Packet, info) || !context.Stack.ErrorSender.TryTakeToken(context.IsV4))
        {
            return;
        }

        if (context.IsV4)
        {
            context.Stack.Icmpv4.SendError(context.Packet, info, IcmpType.DestinationUnreachable, codeV4, 0);
        }
        else
        {
            context.Stack.Icmpv6.SendError(context.Packet, info, Icmpv6Type.DestinationUnreachable, codeV6, 0);
        }
    }

    private void Reset(ref FilterContext context)
    {
        Span<byte> bytes = stackalloc byte[TcpHeader.Size];
        if (context.Protocol != IpProtocol.Tcp || context.Packet.Type != PacketType.Host || !context.TryReadTransport(0, bytes)
            || ((TcpFlags)bytes[13] & TcpFlags.Rst) != 0)
        {
            return;
        }

        // In the name of whom it was sent to, whoever that is.
        RouteQuery query = new() { Destination = context.Source, Source = context.Destination, AnySource = true, Mark = context.Packet.Mark };
        if (context.Source.IsMulticast || context.Source.IsUnspecified || RouteFinder.Find(context.Stack, query, _route) != NetError.None)
        {
            return;
        }

        TcpFlags flags = (TcpFlags)bytes[13];
        bool hasAck = (flags & TcpFlags.Ack) != 0;
        int length = context.Packet.Length - context.Transport - ((bytes[12] >> 4) * 4);
        length += (flags & TcpFlags.Syn) != 0 ? 1 : 0;
        length += (flags & TcpFlags.Fin) != 0 ? 1 : 0;
        TcpHeader reset = new()
        {
            Source = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]),
            Destination = BinaryPrimitives.ReadUInt16BigEndian(bytes),
            Sequence = hasAck ? BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]) : 0,
            Acknowledgment = hasAck ? 0 : unchecked(BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]) + (uint)Math.Max(length, 0)),
            Length = TcpHeader.Size,
            Flags = hasAck ? TcpFlags.Rst : TcpFlags.Rst | TcpFlags.Ack,
        };
        reset.Checksum = Checksum.Fold(Checksum.PseudoHeader(context.Destination, context.Source, IpProtocol.Tcp, TcpHeader.Size));
        PacketBuffer packet = context.Stack.Pool.Allocate(PacketBuffer.Headroom + TcpHeader.Size, 0);
        reset.Write(packet.Prepend(TcpHeader.Size));
        packet.Checksum = ChecksumState.Partial;
        packet.ChecksumStart = packet.Position;
        packet.ChecksumOffset = TcpHeader.ChecksumField;
        packet.TransportStart = packet.Position;
        packet.Tracking = context.Flow is { Connection: { } connection } flow ? connection.Side(!flow.IsReply) : null;
        _route.Source = context.Destination;
        context.Stack.Output.Send(_route, packet, new IpSendOptions { Protocol = IpProtocol.Tcp, PathMtu = PathMtuMode.Do });
    }
}
