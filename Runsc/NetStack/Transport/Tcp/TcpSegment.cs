using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>A received segment, parsed and its checksum checked. The packet's front is at the payload.</summary>
internal struct TcpSegment
{
    public PacketBuffer Packet;
    public IpPacketInfo Ip;
    public TcpOptions Options;
    public SeqNum Seq;
    public SeqNum Ack;
    public TcpFlags Flags;

    /// <summary>Not scaled.</summary>
    public ushort Window;

    public ushort Urgent;
    public ushort SourcePort;
    public ushort DestinationPort;

    /// <summary>Bytes of payload.</summary>
    public int Length;

    /// <summary>Segments that the packet was merged from.</summary>
    public readonly int Count => Packet.GsoSize > 0 ? (Length + Packet.GsoSize - 1) / Packet.GsoSize : 1;

    public readonly bool IsSyn => (Flags & TcpFlags.Syn) != 0;

    public readonly bool IsFin => (Flags & TcpFlags.Fin) != 0;

    public readonly bool IsRst => (Flags & TcpFlags.Rst) != 0;

    public readonly bool IsAck => (Flags & TcpFlags.Ack) != 0;

    /// <summary>The router's mark (RFC 3168): congestion experienced.</summary>
    public readonly bool IsCongestionMarked => (Ip.TrafficClass & 3) == 3;

    /// <summary>Behind the last byte; SYN and FIN count.</summary>
    public readonly SeqNum End => Seq + Length + (IsSyn ? 1 : 0) + (IsFin ? 1 : 0);
}
