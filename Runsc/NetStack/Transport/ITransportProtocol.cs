using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport;

/// <summary>A protocol above IP. All members are called under the stack's lock.</summary>
internal interface ITransportProtocol
{
    /// <summary>The protocol number of the IP header (6 TCP, 17 UDP).</summary>
    byte Number { get; }

    /// <summary>A packet for this host, whole (reassembled), its front at the transport header; takes the packet.</summary>
    /// <remarks>
    /// The checksum is not verified yet. Nothing of the transport header is linear for sure: see <see cref="PacketBuffer.EnsureLinear"/>.
    /// Raw sockets have had their copies. The protocol itself answers what nobody wants (TCP by a reset, UDP by <see cref="IIcmpErrors"/>).
    /// </remarks>
    void Deliver(PacketBuffer packet, in IpPacketInfo info);

    /// <summary>An ICMP error, or a failure of our own to deliver, about a packet that this host sent. The packet stays the caller's.</summary>
    /// <param name="error">What was said; ports are in the first bytes of <paramref name="quoted"/>.</param>
    /// <param name="quoted">Its front is at the quoted transport header; at least 8 bytes are linear, and all of it comes from a stranger.</param>
    void DeliverError(in IcmpError error, PacketBuffer quoted);
}
