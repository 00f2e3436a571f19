using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>A query, report or done of MLD (RFC 2710), or a query of MLDv2 (RFC 3810, 5.1). The ICMPv6 checksum is verified elsewhere.</summary>
internal struct MldMessage
{
    public const int Size = 24;

    public byte Type;

    /// <summary>Milliseconds.</summary>
    public int MaxResponse;

    public IpAddress Group;
    public int Version;

    public static bool TryParse(ReadOnlySpan<byte> bytes, out MldMessage message)
    {
        message = default;
        if (bytes.Length < Size)
        {
            return false;
        }

        message.Type = bytes[0];
        int code = BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]);
        message.Group = IpAddress.ReadV6(bytes[8..]);
        message.Version = bytes.Length >= 28 ? 2 : 1;
        if (message.Version == 2 && code >= 32768)
        {
            code = ((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3);
        }

        message.MaxResponse = code;
        return message.Group.IsMulticast || message.Group.IsUnspecified;
    }

    public static void Write(Span<byte> bytes, byte type, in IpAddress group)
    {
        bytes[..Size].Clear();
        bytes[0] = type;
        group.WriteV6(bytes[8..]);
    }
}
