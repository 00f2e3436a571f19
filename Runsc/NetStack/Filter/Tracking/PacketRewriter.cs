using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>Puts other addresses and ports into packets and mends their checksums (RFC 1624, RFC 3022).</summary>
internal static class PacketRewriter
{
    // Bytes of a transport header that hold what may be rewritten beside the checksum.
    private const int PortsAndIdentifier = 8;

    /// <summary>Gives the packet the source, or the destination, of the tuple. False if it is too short to be what it says.</summary>
    public static bool Rewrite(ref FilterContext context, in FlowTuple tuple, bool isSource, bool withPorts)
    {
        PacketBuffer packet = context.Packet;
        int transport = context.Transport;
        bool hasTransport = context.FragmentOffset == 0;
        int checksum = ChecksumOffset(context.Protocol);
        int needed = transport + (hasTransport && checksum >= 0 ? Math.Max(checksum + 2, PortsAndIdentifier) : 0);
        if (!packet.EnsureLinear(needed))
        {
            return false;
        }

        Span<byte> bytes = packet.Linear;
        Span<byte> address = AddressOf(bytes, context.IsV4, isSource);
        Span<byte> before = stackalloc byte[16];
        before = before[..address.Length];
        address.CopyTo(before);
        (isSource ? tuple.Source : tuple.Destination).Write(address);
        if (context.IsV4)
        {
            Ipv4Header.UpdateChecksum(bytes[..((bytes[0] & 0xf) * 4)]);
        }

        if (!hasTransport || checksum < 0)
        {
            return true;
        }

        // A partial checksum covers the addresses only, and not complemented; one of zero in UDP over IPv4 says that there is none.
        bool isPartial = packet.Checksum == ChecksumState.Partial;
        Span<byte> segment = bytes[transport..];
        Span<byte> field = segment.Slice(checksum, 2);
        bool hasChecksum = context.Protocol != IpProtocol.Udp || isPartial || field[0] != 0 || field[1] != 0;
        if (hasChecksum && context.Protocol != IpProtocol.Icmp)
        {
            Replace(field, before, address, isPartial);
        }

        if (withPorts)
        {
            int at = tuple.IsIcmp ? 4 : isSource ? 0 : 2;
            Span<byte> old = stackalloc byte[2];
            Span<byte> port = segment.Slice(at, 2);
            port.CopyTo(old);
            BinaryPrimitives.WriteUInt16BigEndian(port, tuple.IsIcmp || isSource ? tuple.SourcePort : tuple.DestinationPort);
            if (hasChecksum && !isPartial)
            {
                Replace(field, old, port, isPartial: false);
            }
        }

        if (context.Protocol == IpProtocol.Udp && hasChecksum && !isPartial && field[0] == 0 && field[1] == 0)
        {
            field.Fill(0xff);
        }

        return true;
    }

    /// <summary>Gives the packet that an ICMP error quotes the source, or the destination, of the tuple, and computes the error's checksum anew.</summary>
    public static bool RewriteQuoted(ref FilterContext context, in FlowTuple tuple, bool isSource)
    {
        PacketBuffer packet = context.Packet;
        int at = context.Transport + IcmpType.HeaderSize;
        int fixedPart = context.IsV4 ? Ipv4Header.MinSize : Ipv6Header.Size;
        if (!packet.EnsureLinear(at + fixedPart))
        {
            return false;
        }

        int headers = context.IsV4 ? (packet.Linear[at] & 0xf) * 4 : Ipv6Header.Size;
        if (headers < fixedPart || !packet.EnsureLinear(at + headers + 8))
        {
            return false;
        }

        Span<byte> quoted = packet.Linear[at..];
        (isSource ? tuple.Source : tuple.Destination).Write(AddressOf(quoted, context.IsV4, isSource));
        if (context.IsV4)
        {
            Ipv4Header.UpdateChecksum(quoted[..headers]);
        }

        if (tuple.HasPorts || tuple.IsIcmp)
        {
            int port = headers + (tuple.IsIcmp ? 4 : isSource ? 0 : 2);
            BinaryPrimitives.WriteUInt16BigEndian(quoted[port..], tuple.IsIcmp || isSource ? tuple.SourcePort : tuple.DestinationPort);
        }

        if (packet.Checksum != ChecksumState.Partial)
        {
            int length = packet.Length - context.Transport;
            Span<byte> field = packet.Linear[(context.Transport + 2)..];
            field[0] = field[1] = 0;
            ulong sum = context.IsV4 ? 0 : Checksum.PseudoHeader(context.Source, context.Destination, IpProtocol.Icmpv6, length);
            BinaryPrimitives.WriteUInt16BigEndian(field, Checksum.Finish(packet.Sum(context.Transport, length, sum)));
        }

        return true;
    }

    private static Span<byte> AddressOf(Span<byte> header, bool v4, bool isSource) =>
        v4 ? header.Slice(isSource ? 12 : 16, 4) : header.Slice(isSource ? 8 : 24, 16);

    /// <summary>Where the checksum is in the transport header, or −1.</summary>
    internal static int ChecksumOffset(byte protocol) => protocol switch
    {
        IpProtocol.Tcp => 16,
        IpProtocol.Udp or IpProtocol.UdpLite => 6,
        IpProtocol.Icmp or IpProtocol.Icmpv6 => 2,
        _ => -1,
    };

    /// <summary>Mends a checksum after bytes under it, at an even offset, have changed.</summary>
    internal static void Replace(Span<byte> field, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after, bool isPartial)
    {
        ushort checksum = BinaryPrimitives.ReadUInt16BigEndian(field);
        checksum = isPartial ? unchecked((ushort)~checksum) : checksum;
        for (int i = 0; i + 1 < before.Length; i += 2)
        {
            checksum = Checksum.Update(checksum, BinaryPrimitives.ReadUInt16BigEndian(before[i..]), BinaryPrimitives.ReadUInt16BigEndian(after[i..]));
        }

        BinaryPrimitives.WriteUInt16BigEndian(field, isPartial ? unchecked((ushort)~checksum) : checksum);
    }
}
