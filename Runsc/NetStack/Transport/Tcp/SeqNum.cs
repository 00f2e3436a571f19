using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>A sequence number: 32 bits that wrap (RFC 9293, 3.4). Comparisons hold for numbers less than 2^31 apart.</summary>
internal readonly struct SeqNum(uint value) : IEquatable<SeqNum>
{
    public readonly uint Value = value;

    public static SeqNum operator +(SeqNum left, int count) => unchecked(new(left.Value + (uint)count));

    public static SeqNum operator +(SeqNum left, uint count) => unchecked(new(left.Value + count));

    public static SeqNum operator -(SeqNum left, int count) => unchecked(new(left.Value - (uint)count));

    public static SeqNum operator -(SeqNum left, uint count) => unchecked(new(left.Value - count));

    /// <summary>The distance from right to left, negative if left comes first.</summary>
    public static int operator -(SeqNum left, SeqNum right) => unchecked((int)(left.Value - right.Value));

    public static bool operator <(SeqNum left, SeqNum right) => left - right < 0;

    public static bool operator >(SeqNum left, SeqNum right) => right - left < 0;

    public static bool operator <=(SeqNum left, SeqNum right) => !(left > right);

    public static bool operator >=(SeqNum left, SeqNum right) => !(left < right);

    public static bool operator ==(SeqNum left, SeqNum right) => left.Value == right.Value;

    public static bool operator !=(SeqNum left, SeqNum right) => left.Value != right.Value;

    public static SeqNum Max(SeqNum a, SeqNum b) => a < b ? b : a;

    public static SeqNum Min(SeqNum a, SeqNum b) => a < b ? a : b;

    /// <summary>True if this is in the range from <paramref name="start"/> to before <paramref name="end"/>.</summary>
    public bool IsIn(SeqNum start, SeqNum end) => unchecked(Value - start.Value < end.Value - start.Value);

    public bool Equals(SeqNum other) => Value == other.Value;

    public override bool Equals(object? obj) => obj is SeqNum other && Equals(other);

    public override int GetHashCode() => unchecked((int)Value);

    public override string ToString() => Value.ToString();
}
