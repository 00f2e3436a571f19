using System;
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using Runsc.NetStack;
using Runsc.NetStack.Wire;

namespace Runsc.Boot.Wiring;

/// <summary>A line about a frame of Ethernet, for --log-packets.</summary>
internal static class PacketText
{
    /// <summary>Bytes of a frame's front that are looked at.</summary>
    public const int Needed = 128;

    /// <param name="frame">The frame's front.</param>
    /// <param name="length">The frame's length.</param>
    public static string Describe(ReadOnlySpan<byte> frame, int length)
    {
        if (!EthernetHeader.TryParse(frame, out EthernetHeader link))
        {
            return "malformed, " + Bytes(length);
        }

        ReadOnlySpan<byte> body = frame[EthernetHeader.Size..];
        switch (link.Type)
        {
            // Checked parsing wants the whole packet, and this may be the front of one.
            case EtherType.Ipv4 when body.Length >= Ipv4Header.MinSize && (body[0] & 0xf) * 4 is >= Ipv4Header.MinSize and var size && size <= body.Length:
                Ipv4Header v4 = Ipv4Header.OfChecked(body);
                return v4.FragmentOffset > 0
                    ? v4.Source.ToString() + " > " + v4.Destination.ToString() + " fragment of protocol " + Text(v4.Protocol) + " at " + Text((uint)v4.FragmentOffset) + ", " + Bytes(length)
                    : Describe(v4.Source, v4.Destination, v4.Protocol, body[size..], length);
            case EtherType.Ipv6 when body.Length >= Ipv6Header.Size:
                Ipv6Header v6 = Ipv6Header.OfChecked(body);
                return Describe(v6.Source, v6.Destination, v6.NextHeader, body[Ipv6Header.Size..], length);
            case EtherType.Arp when ArpMessage.TryParse(body, out ArpMessage arp):
                return arp.Operation == ArpMessage.Request ? "arp who has " + arp.Target.ToString() + " tell " + arp.Sender.ToString() : "arp " + arp.Sender.ToString() + " is at " + arp.SenderMac.ToString();
            default:
                return link.Source.ToString() + " > " + link.Destination.ToString() + " type " + Text(link.Type) + ", " + Bytes(length);
        }
    }

    private static string Describe(IpAddress source, IpAddress destination, byte protocol, ReadOnlySpan<byte> body, int length)
    {
        const byte icmp = 1, tcp = 6, udp = 17, icmpv6 = 58;
        switch (protocol)
        {
            case tcp when body.Length >= TcpHeader.Size:
                return Place(source, body) + " > " + Place(destination, body[2..]) + " tcp " + Flags(body[13]) + " seq " + Text(BinaryPrimitives.ReadUInt32BigEndian(body[4..]))
                    + " ack " + Text(BinaryPrimitives.ReadUInt32BigEndian(body[8..])) + " window " + Text(BinaryPrimitives.ReadUInt16BigEndian(body[14..])) + ", " + Bytes(length);
            case udp when body.Length >= UdpHeader.Size:
                return Place(source, body) + " > " + Place(destination, body[2..]) + " udp, " + Bytes(length);
            case icmp or icmpv6 when body.Length >= 2:
                return source.ToString() + " > " + destination.ToString() + (protocol == icmp ? " icmp type " : " icmpv6 type ") + Text(body[0]) + " code " + Text(body[1]) + ", " + Bytes(length);
            default:
                return source.ToString() + " > " + destination.ToString() + " protocol " + Text(protocol) + ", " + Bytes(length);
        }
    }

    private static string Bytes(int length) => Text((uint)length) + " bytes";

    private static string Text(uint number) => number.ToString(CultureInfo.InvariantCulture);

    private static string Place(IpAddress address, ReadOnlySpan<byte> port) => new IpEndpoint(address, BinaryPrimitives.ReadUInt16BigEndian(port)).ToString();

    private static string Flags(byte flags)
    {
        const string letters = "FSRPAUEC";
        StringBuilder text = new();
        for (int i = 0; i < letters.Length; i++)
        {
            if ((flags & (1 << i)) != 0)
            {
                text.Append(letters[i]);
            }
        }

        return text.ToString();
    }
}
