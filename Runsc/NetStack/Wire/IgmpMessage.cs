using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>An IGMP message that a host needs: queries of versions 1 to 3 and reports and leaves of others (RFC 1112, 2236, 3376).</summary>
internal struct IgmpMessage
{
    public const int Size = 8;
    public const byte Query = 0x11;
    public const byte ReportV1 = 0x12;
    public const byte ReportV2 = 0x16;
    public const byte Leave = 0x17;
    public const byte ReportV3 = 0x22;

    public byte Type;

    /// <summary>Milliseconds within which a query wants its answer; 0 in a query of version 1.</summary>
    public int MaxResponse;

    /// <summary>Unspecified in a general query.</summary>
    public IpAddress Group;

    /// <summary>The version of a query: 1, 2 or 3.</summary>
    public int Version;

    /// <summary>Parses a whole message and verifies its checksum.</summary>
    public static bool TryParse(ReadOnlySpan<byte> bytes, out IgmpMessage message)
    {
        message = default;
        if (bytes.Length < Size || !Checksum.IsValid(Checksum.Add(0, bytes)))
        {
            return false;
        }

        message.Type = bytes[0];
        int code = bytes[1];
        message.Group = IpAddress.ReadV4(bytes[4..]);
        message.Version = bytes.Length >= 12 ? 3 : code == 0 ? 1 : 2;
        if (message.Version == 3 && code >= 128)
        {
            // RFC 3376, 4.1.1: a floating-point value.
            code = ((code & 0xf) | 0x10) << (((code >> 4) & 7) + 3);
        }

        message.MaxResponse = code * 100;
        return message.Group.IsMulticast || message.Group.IsUnspecified || message.Type == ReportV3;
    }

    /// <summary>Writes a report or leave of version 1 or 2.</summary>
    public static void Write(Span<byte> bytes, byte type, in IpAddress group)
    {
        bytes[..Size].Clear();
        bytes[0] = type;
        group.Write(bytes[4..]);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Checksum.Of(bytes[..Size]));
    }
}
