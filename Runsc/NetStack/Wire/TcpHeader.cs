using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>The header of TCP (RFC 9293, 3.1) without its options.</summary>
internal struct TcpHeader
{
    /// <summary>The protocol number in the IP header.</summary>
    public const byte Protocol = 6;

    public const int Size = 20;

    /// <summary>With all options: the data offset counts words in four bits.</summary>
    public const int MaxSize = 60;

    public const int MaxOptions = MaxSize - Size;

    /// <summary>Offset of the checksum field.</summary>
    public const int ChecksumField = 16;

    public ushort Source;
    public ushort Destination;
    public uint Sequence;
    public uint Acknowledgment;

    /// <summary>Bytes of the header with its options.</summary>
    public int Length;

    public TcpFlags Flags;

    /// <summary>As it is in the header, not scaled.</summary>
    public ushort Window;

    public ushort Checksum;
    public ushort Urgent;

    /// <summary>Bytes of the IP header below, without options.</summary>
    public static int IpHeaderSize(in IpAddress address) => address.IsV4 ? 20 : 40;

    /// <summary>Reads the fixed part; the options are there only if the caller has <see cref="Length"/> bytes.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out TcpHeader header)
    {
        header = default;
        if (bytes.Length < Size)
        {
            return false;
        }

        header.Source = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        header.Destination = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        header.Sequence = BinaryPrimitives.ReadUInt32BigEndian(bytes[4..]);
        header.Acknowledgment = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]);
        header.Length = (bytes[12] >> 4) * 4;
        header.Flags = (TcpFlags)bytes[13];
        header.Window = BinaryPrimitives.ReadUInt16BigEndian(bytes[14..]);
        header.Checksum = BinaryPrimitives.ReadUInt16BigEndian(bytes[16..]);
        header.Urgent = BinaryPrimitives.ReadUInt16BigEndian(bytes[18..]);
        return header.Length >= Size;
    }

    /// <summary>Writes the fixed part.</summary>
    public readonly void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt16BigEndian(bytes, Source);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Destination);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], Sequence);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[8..], Acknowledgment);
        bytes[12] = (byte)(Length / 4 << 4);
        bytes[13] = (byte)Flags;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[14..], Window);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[16..], Checksum);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[18..], Urgent);
    }
}
