using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Core;

/// <summary>The packet filter of a stack. Called under the stack's lock.</summary>
internal interface IPacketFilter
{
    /// <summary>Looks at a packet whose front is its IP header (NetworkStart) and may rewrite its addresses and ports.</summary>
    /// <returns>False if the packet is to be dropped; it stays the caller's.</returns>
    bool Accept(FilterHook hook, PacketBuffer packet, NetworkInterface? input, NetworkInterface? output);

    /// <summary>The tracking of an ICMP error about a packet of this host, from that packet's.</summary>
    object? Relate(object? tracking);
}
