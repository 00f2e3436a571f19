using System;
using System.Buffers.Binary;

namespace Runsc.NetStack;

/// <summary>An IPv4 or IPv6 address. An IPv4 address is kept in its IPv4-mapped form (RFC 4291, 2.5.5.2), so a dual-stack socket needs no conversion.</summary>
/// <remarks>The default value is ::. On the wire a mapped address is never accepted in an IPv6 header, so the two cannot be confused.</remarks>
internal readonly struct IpAddress : IEquatable<IpAddress>
{
    private const ulong MappedPrefix = 0x0000_ffff_0000_0000;

    /// <summary>The two halves in host byte order: <see cref="High"/> has the first byte on top.</summary>
    public readonly ulong High;

    public readonly ulong Low;

    public IpAddress(ulong high, ulong low)
    {
        High = high;
        Low = low;
    }

    public static IpAddress AnyV4 => FromV4(0);

    public static IpAddress AnyV6 => default;

    public static IpAddress LoopbackV4 => FromV4(0x7f00_0001);

    public static IpAddress LoopbackV6 => new(0, 1);

    public static IpAddress BroadcastV4 => FromV4(uint.MaxValue);

    public bool IsV4 => High == 0 && (Low & 0xffff_ffff_0000_0000) == MappedPrefix;

    public bool IsV6 => !IsV4;

    /// <summary>The IPv4 address in host byte order. Precondition: <see cref="IsV4"/>.</summary>
    public uint V4 => unchecked((uint)Low);

    /// <summary>0.0.0.0 or ::.</summary>
    public bool IsUnspecified => High == 0 && (Low == 0 || Low == MappedPrefix);

    public bool IsLoopback => IsV4 ? V4 >> 24 == 127 : High == 0 && Low == 1;

    public bool IsMulticast => IsV4 ? V4 >> 28 == 0xe : High >> 56 == 0xff;

    /// <summary>255.255.255.255; the broadcast addresses of networks are known to the interfaces only.</summary>
    public bool IsLimitedBroadcast => IsV4 && V4 == uint.MaxValue;

    /// <summary>169.254/16 or fe80::/10.</summary>
    public bool IsLinkLocal => IsV4 ? V4 >> 16 == 0xa9fe : High >> 54 == 0x3fa;

    /// <summary>The scope of an IPv6 multicast address (RFC 4291, 2.7): 1 interface, 2 link, 5 site, 14 global.</summary>
    public int MulticastScope => (int)((High >> 48) & 0xf);

    /// <summary>An address that means something on one link only, so that the interface belongs to it.</summary>
    public bool NeedsScope => IsV6 && (IsLinkLocal || (IsMulticast && MulticastScope is 1 or 2));

    /// <summary>224.0.0/24 or a multicast scope of interface or link: never forwarded.</summary>
    public bool IsLinkLocalMulticast => IsV4 ? V4 >> 8 == 0xe00000 : IsMulticast && MulticastScope <= 2;

    /// <summary>Bits of the address: 32 or 128.</summary>
    public int Bits => IsV4 ? 32 : 128;

    /// <summary>Bytes of the address on the wire: 4 or 16.</summary>
    public int Size => IsV4 ? 4 : 16;

    /// <summary>0.0.0.0 for an IPv4 address, :: for an IPv6 one.</summary>
    public IpAddress AnyOfFamily => IsV4 ? AnyV4 : AnyV6;

    public static bool operator ==(IpAddress left, IpAddress right) => left.High == right.High && left.Low == right.Low;

    public static bool operator !=(IpAddress left, IpAddress right) => !(left == right);

    public static IpAddress FromV4(uint address) => new(0, MappedPrefix | address);

    public static IpAddress FromV4(byte a, byte b, byte c, byte d) => FromV4(((uint)a << 24) | ((uint)b << 16) | ((uint)c << 8) | d);

    /// <summary>Reads 4 bytes of the wire.</summary>
    public static IpAddress ReadV4(ReadOnlySpan<byte> bytes) => FromV4(BinaryPrimitives.ReadUInt32BigEndian(bytes));

    /// <summary>Reads 16 bytes of the wire.</summary>
    public static IpAddress ReadV6(ReadOnlySpan<byte> bytes) =>
        new(BinaryPrimitives.ReadUInt64BigEndian(bytes), BinaryPrimitives.ReadUInt64BigEndian(bytes[8..]));

    /// <summary>Writes 4 or 16 bytes, by the family.</summary>
    public void Write(Span<byte> bytes)
    {
        if (IsV4)
        {
            BinaryPrimitives.WriteUInt32BigEndian(bytes, V4);
        }
        else
        {
            WriteV6(bytes);
        }
    }

    /// <summary>Writes 16 bytes: an IPv4 address in its mapped form.</summary>
    public void WriteV6(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt64BigEndian(bytes, High);
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Low);
    }

    public bool Equals(IpAddress other) => this == other;

    public override bool Equals(object? obj) => obj is IpAddress other && this == other;

    /// <summary>For tables with a secret seed, hash with <see cref="Core.FlowHash"/> instead: this one is predictable.</summary>
    public override int GetHashCode() => HashCode.Combine(High, Low);

    /// <summary>The text of inet_ntop(3), with IPv4 in dotted form.</summary>
    public override string ToString()
    {
        Span<byte> bytes = stackalloc byte[16];
        WriteV6(bytes);
        return IsV4 ? $"{bytes[12]}.{bytes[13]}.{bytes[14]}.{bytes[15]}" : new System.Net.IPAddress(bytes).ToString();
    }
}
