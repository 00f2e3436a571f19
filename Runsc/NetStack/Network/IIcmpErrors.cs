using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Network;

/// <summary>Sends ICMP errors about packets that came in. Needs the stack's lock.</summary>
internal interface IIcmpErrors
{
    /// <summary>
    /// Reports <paramref name="packet"/>, which is rewound to its IP header; the packet stays the caller's. Not sent beyond the rate
    /// limit, nor about an ICMP error, a fragment, a broadcast, a group or a source that is no single host (RFC 1122, 3.2.2).
    /// </summary>
    void Send(PacketBuffer packet, in IpPacketInfo info, IcmpErrorKind kind, uint extra = 0);
}
