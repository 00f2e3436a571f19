using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Network;

/// <summary>IP as transports see it, both versions. All members need the stack's lock.</summary>
internal interface IIpOutput
{
    /// <summary>Fills <paramref name="route"/> for the query: interface, source address, next hop, MTU.</summary>
    NetError FindRoute(in RouteQuery query, Route route);

    /// <summary>Sends a packet whose front is the transport header; takes it, whatever the result.</summary>
    /// <remarks>
    /// The transport has set its checksum, or left it as <see cref="ChecksumState.Partial"/>, which is cheapest: where it must be
    /// computed, the stack does. A packet beyond the MTU needs <see cref="PacketBuffer.Gso"/> or is fragmented as the mode says.
    /// Errors are those that sendto(2) reports; a drop later on is silent.
    /// </remarks>
    NetError Send(Route route, PacketBuffer packet, in IpSendOptions options);
}
