using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>The header of UDP (RFC 768) and UDP-Lite (RFC 3828).</summary>
internal struct UdpHeader
{
    public const int Size = 8;

    /// <summary>Offset of the checksum field.</summary>
    public const int ChecksumField = 6;

    public ushort Source;
    public ushort Destination;

    /// <summary>Header and payload. Of UDP-Lite, how much of them the checksum covers; 0 is all.</summary>
    public int Length;

    public ushort Checksum;

    public static bool TryParse(ReadOnlySpan<byte> bytes, out UdpHeader header)
    {
        header = default;
        if (bytes.Length < Size)
        {
            return false;
        }

        header.Source = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        header.Destination = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        header.Length = BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);
        header.Checksum = BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]);
        return true;
    }

    public readonly void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt16BigEndian(bytes, Source);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Destination);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], (ushort)Length);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[6..], Checksum);
    }
}
