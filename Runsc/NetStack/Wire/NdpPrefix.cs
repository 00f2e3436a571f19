using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>The prefix information option (RFC 4861, 4.6.2).</summary>
internal struct NdpPrefix
{
    public const int Size = 32;

    public const uint Infinite = uint.MaxValue;

    public int PrefixLength;
    public bool IsOnLink;
    public bool IsAutonomous;

    /// <summary>Seconds.</summary>
    public uint ValidLifetime;

    /// <summary>Seconds.</summary>
    public uint PreferredLifetime;

    public IpAddress Prefix;

    public static bool TryParse(ReadOnlySpan<byte> option, out NdpPrefix prefix)
    {
        prefix = default;
        if (option.Length != Size)
        {
            return false;
        }

        prefix.PrefixLength = option[2];
        prefix.IsOnLink = (option[3] & 0x80) != 0;
        prefix.IsAutonomous = (option[3] & 0x40) != 0;
        prefix.ValidLifetime = BinaryPrimitives.ReadUInt32BigEndian(option[4..]);
        prefix.PreferredLifetime = BinaryPrimitives.ReadUInt32BigEndian(option[8..]);
        prefix.Prefix = IpAddress.ReadV6(option[16..]);
        return prefix.PrefixLength <= 128 && prefix.PreferredLifetime <= prefix.ValidLifetime && prefix.Prefix is { IsV6: true, IsLinkLocal: false, IsMulticast: false };
    }
}
