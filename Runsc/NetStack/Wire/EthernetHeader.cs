using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>The header of an Ethernet II frame.</summary>
internal readonly ref struct EthernetHeader
{
    public const int Size = 14;

    private readonly ReadOnlySpan<byte> _bytes;

    private EthernetHeader(ReadOnlySpan<byte> bytes)
    {
        _bytes = bytes;
    }

    public MacAddress Destination => MacAddress.Read(_bytes);

    public MacAddress Source => MacAddress.Read(_bytes[6..]);

    public ushort Type => BinaryPrimitives.ReadUInt16BigEndian(_bytes[12..]);

    public static bool TryParse(ReadOnlySpan<byte> bytes, out EthernetHeader header)
    {
        header = bytes.Length >= Size ? new EthernetHeader(bytes) : default;
        return bytes.Length >= Size;
    }

    public static void Write(Span<byte> bytes, MacAddress destination, MacAddress source, ushort type)
    {
        destination.Write(bytes);
        source.Write(bytes[6..]);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[12..], type);
    }
}
