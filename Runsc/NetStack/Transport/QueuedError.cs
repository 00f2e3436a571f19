using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport;

/// <summary>An entry of the error queue (MSG_ERRQUEUE). Whoever takes it owns the packet.</summary>
internal struct QueuedError
{
    public IcmpError Error;

    /// <summary>What was sent to whom.</summary>
    public IpEndpoint Destination;

    /// <summary>The payload of the packet that failed, as far as it was quoted; may be null.</summary>
    public PacketBuffer? Payload;

    public long Timestamp;
}
