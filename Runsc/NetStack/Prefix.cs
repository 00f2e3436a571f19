namespace Runsc.NetStack;

/// <summary>Arithmetic of address prefixes. Lengths are in bits of the family: 0 to 32, or 0 to 128.</summary>
internal static class Prefix
{
    /// <summary>The address with all bits behind the prefix zero.</summary>
    public static IpAddress Mask(in IpAddress address, int length)
    {
        if (address.IsV4)
        {
            return IpAddress.FromV4(length == 0 ? 0 : address.V4 & (uint.MaxValue << (32 - length)));
        }

        ulong high = length >= 64 ? address.High : length == 0 ? 0 : address.High & (ulong.MaxValue << (64 - length));
        ulong low = length >= 128 ? address.Low : length <= 64 ? 0 : address.Low & (ulong.MaxValue << (128 - length));
        return new IpAddress(high, low);
    }

    public static bool Matches(in IpAddress prefix, in IpAddress address, int length) =>
        prefix.IsV4 == address.IsV4 && Mask(prefix, length) == Mask(address, length);

    /// <summary>The last address of an IPv4 network.</summary>
    public static IpAddress BroadcastOf(in IpAddress address, int length) =>
        IpAddress.FromV4(length == 0 ? uint.MaxValue : length >= 32 ? address.V4 : address.V4 | (uint.MaxValue >> length));

    /// <summary>Leading bits that two addresses of one family share.</summary>
    public static int CommonLength(in IpAddress a, in IpAddress b)
    {
        if (a.IsV4 || b.IsV4)
        {
            return a.IsV4 && b.IsV4 ? System.Numerics.BitOperations.LeadingZeroCount(a.V4 ^ b.V4) : 0;
        }

        ulong high = a.High ^ b.High;
        return high != 0
            ? System.Numerics.BitOperations.LeadingZeroCount(high)
            : 64 + System.Numerics.BitOperations.LeadingZeroCount(a.Low ^ b.Low);
    }
}
