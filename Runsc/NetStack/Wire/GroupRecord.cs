using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>Reports of IGMPv3 and MLDv2 with one record without sources (RFC 3376, 4.2; RFC 3810, 5.2).</summary>
internal static class GroupRecord
{
    public const byte IsInclude = 1;
    public const byte IsExclude = 2;
    public const byte ToInclude = 3;
    public const byte ToExclude = 4;

    /// <summary>Bytes of a report about one group.</summary>
    public static int Length(in IpAddress group) => 8 + 4 + group.Size;

    /// <summary>Writes a report; that of IGMP has its checksum, that of MLD needs the pseudo header.</summary>
    public static void Write(Span<byte> bytes, byte record, in IpAddress group)
    {
        bytes.Clear();
        bytes[0] = group.IsV4 ? IgmpMessage.ReportV3 : Icmpv6Type.MldReportV2;
        bytes[7] = 1;
        bytes[8] = record;
        group.Write(bytes[12..]);
        if (group.IsV4)
        {
            BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Checksum.Of(bytes));
        }
    }
}
