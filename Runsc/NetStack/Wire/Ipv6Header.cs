using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>The fixed header of IPv6 (RFC 8200, 3).</summary>
internal readonly ref struct Ipv6Header
{
    public const int Size = 40;
    public const int MinMtu = 1280;

    private readonly ReadOnlySpan<byte> _bytes;

    private Ipv6Header(ReadOnlySpan<byte> bytes)
    {
        _bytes = bytes;
    }

    public byte TrafficClass => (byte)((First >> 20) & 0xff);

    public uint FlowLabel => First & 0xf_ffff;

    public int PayloadLength => BinaryPrimitives.ReadUInt16BigEndian(_bytes[4..]);

    public byte NextHeader => _bytes[6];

    public byte HopLimit => _bytes[7];

    public IpAddress Source => IpAddress.ReadV6(_bytes[8..]);

    public IpAddress Destination => IpAddress.ReadV6(_bytes[24..]);

    private uint First => BinaryPrimitives.ReadUInt32BigEndian(_bytes);

    public static bool TryParse(ReadOnlySpan<byte> bytes, out Ipv6Header header)
    {
        bool good = bytes.Length >= Size && bytes[0] >> 4 == 6;
        header = good ? new Ipv6Header(bytes[..Size]) : default;
        return good;
    }

    /// <summary>The header at the front of a packet that <see cref="TryParse"/> has accepted before.</summary>
    public static Ipv6Header OfChecked(ReadOnlySpan<byte> bytes) => new(bytes[..Size]);

    public static void Write(Span<byte> bytes, in Fields fields)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, 6u << 28 | (uint)fields.TrafficClass << 20 | (fields.FlowLabel & 0xf_ffff));
        BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], (ushort)fields.PayloadLength);
        bytes[6] = fields.NextHeader;
        bytes[7] = fields.HopLimit;
        fields.Source.WriteV6(bytes[8..]);
        fields.Destination.WriteV6(bytes[24..]);
    }

    /// <summary>What <see cref="Write"/> puts in.</summary>
    internal struct Fields
    {
        public byte TrafficClass;
        public uint FlowLabel;
        public int PayloadLength;
        public byte NextHeader;
        public byte HopLimit;
        public IpAddress Source;
        public IpAddress Destination;
    }
}
