namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Where things are in struct ipt_entry and struct ip6t_entry.</summary>
/// <param name="EntrySize">Bytes of the structure.</param>
/// <param name="AddressSize">Bytes of an address; source, destination and their masks are in front.</param>
/// <param name="TargetOffset">Offset of target_offset; next_offset is behind it.</param>
/// <param name="Counters">Offset of the counters.</param>
internal sealed record LegacyLayout(int EntrySize, int AddressSize, int TargetOffset, int Counters)
{
    /// <summary>struct xt_entry_match and xt_entry_target without their data: size, name, revision.</summary>
    public const int ExtensionHeader = 32;

    public const int CountersSize = 16;

    private static readonly LegacyLayout s_v4 = new(112, 4, 88, 96);
    private static readonly LegacyLayout s_v6 = new(168, 16, 140, 152);

    public static LegacyLayout Of(bool v4) => v4 ? s_v4 : s_v6;

    // Behind the addresses: names and masks of interfaces, then protocol, flags (of IPv6 after the traffic class) and what is inverted.
    public int Interfaces => AddressSize * 4;

    public int Protocol => Interfaces + (4 * Linux.Netfilter.IFNAMSIZ);

    public int Flags => Protocol + (AddressSize == 4 ? 2 : 3);

    public int Inverted => Flags + 1;
}
