using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>An IPv4 header whose lengths were checked (RFC 791).</summary>
internal readonly ref struct Ipv4Header
{
    public const int MinSize = 20;
    public const int MaxSize = 60;
    public const int MaxPacket = 65535;

    private const ushort DontFragmentBit = 0x4000;
    private const ushort MoreFragmentsBit = 0x2000;

    private readonly ReadOnlySpan<byte> _bytes;

    private Ipv4Header(ReadOnlySpan<byte> bytes)
    {
        _bytes = bytes;
    }

    public int HeaderLength => (_bytes[0] & 0xf) * 4;

    public byte TrafficClass => _bytes[1];

    public int TotalLength => BinaryPrimitives.ReadUInt16BigEndian(_bytes[2..]);

    public ushort Id => BinaryPrimitives.ReadUInt16BigEndian(_bytes[4..]);

    public bool DontFragment => (FragmentWord & DontFragmentBit) != 0;

    public bool MoreFragments => (FragmentWord & MoreFragmentsBit) != 0;

    /// <summary>In bytes.</summary>
    public int FragmentOffset => (FragmentWord & 0x1fff) * 8;

    public bool IsFragment => (FragmentWord & (MoreFragmentsBit | 0x1fff)) != 0;

    public byte Ttl => _bytes[8];

    public byte Protocol => _bytes[9];

    public ushort HeaderChecksum => BinaryPrimitives.ReadUInt16BigEndian(_bytes[10..]);

    public IpAddress Source => IpAddress.ReadV4(_bytes[12..]);

    public IpAddress Destination => IpAddress.ReadV4(_bytes[16..]);

    public ReadOnlySpan<byte> Options => _bytes[MinSize..HeaderLength];

    private ushort FragmentWord => BinaryPrimitives.ReadUInt16BigEndian(_bytes[6..]);

    /// <summary>Parses a header at the front of <paramref name="bytes"/>, all of it there; the payload need not be. The checksum is not looked at.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out Ipv4Header header)
    {
        header = default;
        if (bytes.Length < MinSize || bytes[0] >> 4 != 4)
        {
            return false;
        }

        int length = (bytes[0] & 0xf) * 4;
        if (length < MinSize || bytes.Length < length || BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]) < length)
        {
            return false;
        }

        header = new Ipv4Header(bytes[..length]);
        return true;
    }

    /// <summary>The header at the front of a packet that <see cref="TryParse"/> has accepted before.</summary>
    public static Ipv4Header OfChecked(ReadOnlySpan<byte> bytes) => new(bytes[..((bytes[0] & 0xf) * 4)]);

    public bool IsChecksumValid() => Checksum.IsValid(Checksum.Add(0, _bytes));

    /// <summary>Writes a header with its checksum; the options are there already behind the first 20 bytes.</summary>
    public static void Write(Span<byte> bytes, in Fields fields)
    {
        bytes[0] = (byte)(0x40 | (bytes.Length / 4));
        bytes[1] = fields.TrafficClass;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], (ushort)fields.TotalLength);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], fields.Id);
        int word = (fields.FragmentOffset / 8) | (fields.DontFragment ? DontFragmentBit : 0) | (fields.MoreFragments ? MoreFragmentsBit : 0);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[6..], (ushort)word);
        bytes[8] = fields.Ttl;
        bytes[9] = fields.Protocol;
        bytes[10] = bytes[11] = 0;
        fields.Source.Write(bytes[12..]);
        fields.Destination.Write(bytes[16..]);
        UpdateChecksum(bytes);
    }

    /// <summary>Computes the checksum of a whole header anew.</summary>
    public static void UpdateChecksum(Span<byte> bytes)
    {
        bytes[10] = bytes[11] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[10..], Checksum.Of(bytes));
    }

    /// <summary>What <see cref="Write"/> puts in.</summary>
    internal struct Fields
    {
        public byte TrafficClass;
        public int TotalLength;
        public ushort Id;
        public int FragmentOffset;
        public bool DontFragment;
        public bool MoreFragments;
        public byte Ttl;
        public byte Protocol;
        public IpAddress Source;
        public IpAddress Destination;
    }
}
