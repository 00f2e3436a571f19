namespace Runsc.NetStack.Wire;

/// <summary>What a frame carries.</summary>
internal static class EtherType
{
    public const ushort Ipv4 = 0x0800;
    public const ushort Arp = 0x0806;
    public const ushort Vlan = 0x8100;
    public const ushort Ipv6 = 0x86dd;

    /// <summary>Values below are lengths (IEEE 802.3).</summary>
    public const ushort First = 0x0600;
}
