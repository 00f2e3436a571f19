using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>The fragment header of IPv6 (RFC 8200, 4.5).</summary>
internal struct Ipv6FragmentHeader
{
    public const int Size = 8;

    public byte NextHeader;

    /// <summary>In bytes.</summary>
    public int Offset;
    public bool More;
    public uint Id;

    public static bool TryParse(ReadOnlySpan<byte> bytes, out Ipv6FragmentHeader header)
    {
        header = default;
        if (bytes.Length < Size)
        {
            return false;
        }

        ushort word = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        header.NextHeader = bytes[0];
        header.Offset = word & 0xfff8;
        header.More = (word & 1) != 0;
        header.Id = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        return true;
    }

    public readonly void Write(Span<byte> bytes)
    {
        bytes[0] = NextHeader;
        bytes[1] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], (ushort)(Offset | (More ? 1 : 0)));
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], Id);
    }
}
