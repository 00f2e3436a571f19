using System.Buffers.Binary;
using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Link;

/// <summary>Finishes a checksum that a transport has left to the device.</summary>
internal static class PartialChecksum
{
    /// <summary>Computes the checksum; the state is then <see cref="ChecksumState.None"/>, which on the way out says that the field is right.</summary>
    public static void Complete(PacketBuffer packet)
    {
        packet.Checksum = ChecksumState.None;
        int start = packet.ChecksumStart - packet.Position;
        int field = start + packet.ChecksumOffset;
        if (start < 0 || !packet.EnsureLinear(field + 2))
        {
            return;
        }

        ushort sum = Wire.Checksum.Finish(packet.Sum(start, packet.Length - start, 0));

        // A UDP checksum of zero means none (RFC 768), so it is sent as its other zero, which is right for TCP too.
        BinaryPrimitives.WriteUInt16BigEndian(packet.Linear[field..], sum == 0 ? (ushort)0xffff : sum);
    }

    /// <summary>True if start and field, as a driver was told them, are within the packet.</summary>
    public static bool IsInside(PacketBuffer packet) =>
        packet.ChecksumStart >= packet.Position && packet.ChecksumStart - packet.Position + packet.ChecksumOffset + 2 <= packet.Length;
}
