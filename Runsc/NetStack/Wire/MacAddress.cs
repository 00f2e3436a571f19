using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>An Ethernet address, its first byte on top of 48 bits.</summary>
internal readonly struct MacAddress(ulong value) : IEquatable<MacAddress>
{
    public const int Size = 6;

    public readonly ulong Value = value & 0xffff_ffff_ffff;

    public static MacAddress Broadcast => new(0xffff_ffff_ffff);

    public bool IsMulticast => (Value >> 40 & 1) != 0;

    public bool IsBroadcast => Value == 0xffff_ffff_ffff;

    /// <summary>An address that one station may have.</summary>
    public bool IsUnicast => Value != 0 && !IsMulticast;

    public static bool operator ==(MacAddress left, MacAddress right) => left.Value == right.Value;

    public static bool operator !=(MacAddress left, MacAddress right) => left.Value != right.Value;

    public static MacAddress Read(ReadOnlySpan<byte> bytes) =>
        new(((ulong)BinaryPrimitives.ReadUInt32BigEndian(bytes) << 16) | BinaryPrimitives.ReadUInt16BigEndian(bytes[4..]));

    /// <summary>The group address of an IP group (RFC 1112, 6.4; RFC 2464, 7).</summary>
    public static MacAddress OfGroup(in IpAddress group) =>
        group.IsV4 ? new(0x0100_5e00_0000ul | (ulong)(group.V4 & 0x7f_ffff)) : new(0x3333_0000_0000ul | (group.Low & 0xffff_ffff));

    public void Write(Span<byte> bytes)
    {
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)(Value >> 16));
        BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], (ushort)(Value & 0xffff));
    }

    /// <summary>The lower half of an IPv6 address made from it: the modified EUI-64 (RFC 4291, appendix A).</summary>
    public ulong ToEui64() => ((Value >> 24) << 40 | 0xff_fe00_0000 | (Value & 0xff_ffff)) ^ (1ul << 57);

    public bool Equals(MacAddress other) => Value == other.Value;

    public override bool Equals(object? obj) => obj is MacAddress other && Equals(other);

    public override int GetHashCode() => Value.GetHashCode();

    public override string ToString() =>
        $"{Value >> 40:x2}:{(Value >> 32) & 0xff:x2}:{(Value >> 24) & 0xff:x2}:{(Value >> 16) & 0xff:x2}:{(Value >> 8) & 0xff:x2}:{Value & 0xff:x2}";
}
