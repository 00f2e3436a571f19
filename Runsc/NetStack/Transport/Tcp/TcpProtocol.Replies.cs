using System;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Segments that belong to no endpoint.</summary>
internal sealed partial class TcpProtocol
{
    /// <summary>Refuses a segment (RFC 9293, 3.10.7.1): never answers a reset, and no more than so many in a second.</summary>
    internal void ReplyReset(in TcpSegment segment)
    {
        NewSecond();
        if (segment.IsRst || segment.Ip.Source.IsUnspecified || segment.Ip.Source.IsMulticast || _replies <= 0)
        {
            return;
        }

        _replies--;
        TcpReply reply = ReplyTo(segment);
        if (segment.IsAck)
        {
            reply.Seq = segment.Ack;
            reply.Flags = TcpFlags.Rst;
        }
        else
        {
            reply.Ack = segment.End;
            reply.Flags = TcpFlags.Rst | TcpFlags.Ack;
        }

        Statistics.OutRsts++;
        Reply(reply, default);
    }

    /// <summary>Tells a peer in mid-handshake where we are.</summary>
    internal void ReplyAck(SynRequest request, in TcpSegment segment)
    {
        TcpReply reply = ReplyTo(segment);
        reply.Seq = request.Iss + 1;
        reply.Ack = request.Irs + 1;
        reply.Flags = TcpFlags.Ack;
        reply.Window = (ushort)Math.Min(request.Window >> request.ReceiveScale, 65535);
        TcpOptions options = default;
        if (request.TimestampsOk)
        {
            options.HasTimestamps = true;
            options.TimestampValue = unchecked((uint)(Stack.Now / TcpEndpoint.Millisecond) + request.TimestampOffset);
            options.TimestampEcho = request.TsRecent;
        }

        Reply(reply, options);
    }

    /// <summary>Sends a segment without data.</summary>
    internal void Reply(in TcpReply reply, in TcpOptions options)
    {
        RouteQuery query = new()
        {
            Destination = reply.Remote,
            Source = reply.Local,
            Interface = reply.Interface,
            Mark = reply.Mark,
            TrafficClass = reply.TrafficClass,
        };
        if (Stack.Ip.FindRoute(query, _replyRoute) != NetError.None)
        {
            return;
        }

        Span<byte> optionBytes = stackalloc byte[TcpHeader.MaxOptions];
        int optionLength = options.Write(optionBytes);
        TcpHeader header = new()
        {
            Source = reply.LocalPort,
            Destination = reply.RemotePort,
            Sequence = reply.Seq.Value,
            Acknowledgment = (reply.Flags & TcpFlags.Ack) != 0 ? reply.Ack.Value : 0,
            Length = TcpHeader.Size + optionLength,
            Flags = reply.Flags,
            Window = reply.Window,
        };
        header.Checksum = Checksum.Fold(Checksum.PseudoHeader(reply.Local, reply.Remote, TcpHeader.Protocol, header.Length));
        PacketBuffer packet = Stack.Pool.Allocate(PacketBuffer.Headroom + TcpHeader.MaxSize, 0);
        Span<byte> bytes = packet.Prepend(header.Length);
        header.Write(bytes);
        optionBytes[..optionLength].CopyTo(bytes[TcpHeader.Size..]);
        packet.Checksum = ChecksumState.Partial;
        packet.ChecksumStart = packet.Position;
        packet.ChecksumOffset = TcpHeader.ChecksumField;
        packet.TransportStart = packet.Position;
        packet.Mark = reply.Mark;
        Statistics.OutSegs++;
        IpSendOptions send = new()
        {
            Protocol = TcpHeader.Protocol,
            TrafficClass = (byte)(reply.TrafficClass & ~3),
            PathMtu = PathMtuMode.Want,
        };
        Stack.Ip.Send(_replyRoute, packet, send);
    }

    private static TcpReply ReplyTo(in TcpSegment segment) => new()
    {
        Local = segment.Ip.Destination,
        LocalPort = segment.DestinationPort,
        Remote = segment.Ip.Source,
        RemotePort = segment.SourcePort,
        Interface = segment.Ip.Source.NeedsScope ? segment.Ip.Interface : 0,
        Mark = segment.Packet.Mark,
    };
}
