namespace Runsc.NetStack.Core;

/// <summary>An address of an interface. Guarded by the stack's lock.</summary>
internal sealed class InterfaceAddress(NetworkInterface owner, IpAddress address, int prefixLength)
{
    public NetworkInterface Interface { get; } = owner;

    public IpAddress Address { get; } = address;

    public int PrefixLength { get; } = prefixLength;

    /// <summary>The other end of a point-to-point link (IFA_ADDRESS where it differs from IFA_LOCAL), or the address itself.</summary>
    public IpAddress Peer { get; init; } = address;

    /// <summary>The broadcast address of an IPv4 network, or an unspecified address.</summary>
    public IpAddress Broadcast { get; init; }

    /// <summary>RT_SCOPE_*: 0 universe, 253 link, 254 host.</summary>
    public byte Scope { get; init; }

    public string? Label { get; init; }

    /// <summary>IPv6: duplicate detection is under way (RFC 4862, 5.4), so the address is not used yet.</summary>
    public bool IsTentative { get; set; }

    /// <summary>Duplicate detection found another holder.</summary>
    public bool IsDuplicate { get; set; }

    /// <summary>Its preferred lifetime is over: chosen as a source only if there is no other.</summary>
    public bool IsDeprecated { get; set; }

    /// <summary>A second IPv4 address of a network the interface is in already (IFA_F_SECONDARY).</summary>
    public bool IsSecondary { get; set; }

    /// <summary>No route for the prefix (IFA_F_NOPREFIXROUTE).</summary>
    public bool HasNoPrefixRoute { get; init; }

    /// <summary>Made from a router advertisement: when it ends, in monotonic nanoseconds, or <see cref="NetTimer.Never"/>.</summary>
    public long ValidUntil { get; set; } = NetTimer.Never;

    public long PreferredUntil { get; set; } = NetTimer.Never;

    public bool IsPermanent => ValidUntil == NetTimer.Never;

    public bool IsUsable => !IsTentative && !IsDuplicate;

    public bool Contains(in IpAddress other) => Prefix.Matches(Address, other, PrefixLength) || Peer == other;
}
