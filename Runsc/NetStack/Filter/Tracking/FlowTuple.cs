using System;
using System.Buffers.Binary;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>One direction of a connection. Ports in host order; of ICMP the source port is the identifier and the destination port type and code.</summary>
internal readonly record struct FlowTuple(IpAddress Source, IpAddress Destination, ushort SourcePort, ushort DestinationPort, byte Protocol)
{
    /// <summary>Does the protocol have ports that NAT may change?</summary>
    public bool HasPorts => Protocol is IpProtocol.Tcp or IpProtocol.Udp or IpProtocol.UdpLite or 132 or 33;

    public bool IsIcmp => Protocol is IpProtocol.Icmp or IpProtocol.Icmpv6;

    /// <summary>The tuple of the answers.</summary>
    public FlowTuple Inverse => IsIcmp
        ? new FlowTuple(Destination, Source, SourcePort, (ushort)(AnswerTo(Protocol, (byte)(DestinationPort >> 8)) << 8 | (DestinationPort & 0xff)), Protocol)
        : new FlowTuple(Destination, Source, DestinationPort, SourcePort, Protocol);

    /// <summary>Reads the first 8 bytes of a transport header. False for messages that are of no flow.</summary>
    public static bool TryMake(in IpAddress source, in IpAddress destination, byte protocol, ReadOnlySpan<byte> transport, out FlowTuple tuple)
    {
        tuple = new FlowTuple(source, destination, 0, 0, protocol);
        if (tuple.IsIcmp)
        {
            if (transport.Length < IcmpType.HeaderSize || AnswerTo(protocol, transport[0]) == NoAnswer)
            {
                return false;
            }

            tuple = tuple with { SourcePort = BinaryPrimitives.ReadUInt16BigEndian(transport[4..]), DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(transport) };
        }
        else if (tuple.HasPorts)
        {
            if (transport.Length < 8)
            {
                return false;
            }

            tuple = tuple with { SourcePort = BinaryPrimitives.ReadUInt16BigEndian(transport), DestinationPort = BinaryPrimitives.ReadUInt16BigEndian(transport[2..]) };
        }

        return true;
    }

    /// <summary>Can the ICMP message begin a flow?</summary>
    public bool IsIcmpRequest => (DestinationPort >> 8) is var type && Protocol == IpProtocol.Icmp
        ? type is IcmpType.EchoRequest or IcmpType.TimestampRequest or 15 or IcmpType.AddressMaskRequest
        : type is Icmpv6Type.EchoRequest or NodeQuery;

    private const int NoAnswer = -1;
    private const byte NodeQuery = 139, NodeReply = 140;

    private static int AnswerTo(byte protocol, byte type) => protocol == IpProtocol.Icmp
        ? type switch
        {
            IcmpType.EchoRequest => IcmpType.EchoReply,
            IcmpType.EchoReply => IcmpType.EchoRequest,
            IcmpType.TimestampRequest => IcmpType.TimestampReply,
            IcmpType.TimestampReply => IcmpType.TimestampRequest,
            15 => 16,
            16 => 15,
            IcmpType.AddressMaskRequest => IcmpType.AddressMaskReply,
            IcmpType.AddressMaskReply => IcmpType.AddressMaskRequest,
            _ => NoAnswer,
        }
        : type switch
        {
            Icmpv6Type.EchoRequest => Icmpv6Type.EchoReply,
            Icmpv6Type.EchoReply => Icmpv6Type.EchoRequest,
            NodeQuery => NodeReply,
            NodeReply => NodeQuery,
            _ => NoAnswer,
        };
}
