using Runsc.NetStack.Buffers;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>A frame for a packet socket: what sockaddr_ll and tpacket_auxdata say of it. Whoever takes it owns the packet.</summary>
internal struct ReceivedFrame
{
    public PacketBuffer Packet;
    public int Interface;
    public ushort Protocol;
    public PacketType Type;
    public LinkKind LinkKind;
    public MacAddress Source;

    /// <summary>Before a filter cut it.</summary>
    public int OriginalLength;

    public long Timestamp;
}
