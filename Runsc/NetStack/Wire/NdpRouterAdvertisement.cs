using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>A router advertisement (RFC 4861, 4.2), without its options.</summary>
internal struct NdpRouterAdvertisement
{
    public const int Size = 16;

    public byte HopLimit;

    /// <summary>Seconds; 0 says that it is no default router.</summary>
    public ushort Lifetime;

    /// <summary>RFC 4191: 1 high, 0 medium, -1 low.</summary>
    public int Preference;

    /// <summary>Milliseconds, or 0.</summary>
    public uint ReachableTime;

    /// <summary>Milliseconds, or 0.</summary>
    public uint RetransmitTimer;

    public static bool TryParse(ReadOnlySpan<byte> bytes, out NdpRouterAdvertisement message)
    {
        message = default;
        if (bytes.Length < Size || bytes[1] != 0)
        {
            return false;
        }

        message.HopLimit = bytes[4];
        message.Preference = ((bytes[5] >> 3) & 3) switch { 1 => 1, 3 => -1, _ => 0 };
        message.Lifetime = BinaryPrimitives.ReadUInt16BigEndian(bytes[6..]);
        message.ReachableTime = BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]);
        message.RetransmitTimer = BinaryPrimitives.ReadUInt32BigEndian(bytes[12..]);
        NdpOptions options = new(bytes[Size..]);
        while (options.Next())
        {
        }

        return !options.Failed;
    }
}
