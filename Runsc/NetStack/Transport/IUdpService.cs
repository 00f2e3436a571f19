using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>A service at a local address that no socket of an application holds: what Linux would redirect there. Called under the stack's lock.</summary>
internal interface IUdpService
{
    /// <summary>Takes a datagram whose front is its payload.</summary>
    void Receive(PacketBuffer packet, in IpPacketInfo info, in UdpHeader header);
}
