using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Link;

/// <summary>The lower half of an interface: a way for frames to go out. What comes in is given to <see cref="NetworkInterface.Receive"/> under the stack's lock.</summary>
/// <remarks>
/// A driver reads a batch without the lock, then enters the stack once and receives all of it. Frames to send are queued by
/// <see cref="Transmit"/> under the lock and written by a <see cref="DeferredWork"/> after it.
/// </remarks>
internal abstract class LinkDevice
{
    /// <summary>The interface it serves; set before the first frame, and anew when it moves to another stack.</summary>
    public NetworkInterface? Interface { get; internal set; }

    public abstract LinkKind Kind { get; }

    /// <summary>The kind that rtnetlink shows (IFLA_INFO_KIND), or null.</summary>
    public virtual string? Driver => null;

    public virtual MacAddress Address => default;

    public virtual int DefaultMtu => 1500;

    public virtual int MaxMtu => 65535;

    /// <summary>The device finishes partial checksums.</summary>
    public virtual bool HasChecksumOffload => false;

    /// <summary>The largest IP packet that the device itself cuts into segments, or 0. It then has checksum offload too.</summary>
    public virtual int MaxGsoPacket => 0;

    /// <summary>Whether the other end is there (IFF_RUNNING, operstate).</summary>
    public virtual bool HasCarrier => true;

    /// <summary>The interface at the other end of a pair, possibly of another stack.</summary>
    public virtual NetworkInterface? PeerInterface => null;

    /// <summary>May be given to another stack.</summary>
    public virtual bool CanMove => false;

    /// <summary>Was made by a request, so that one may end it.</summary>
    public virtual bool CanBeRemoved => false;

    /// <summary>Its operational state is known (RFC 2863).</summary>
    public virtual bool TellsState => Kind == LinkKind.Ethernet;

    /// <summary>Flags of the interface at the start.</summary>
    public virtual InterfaceFlags InitialFlags => Kind switch
    {
        LinkKind.Loopback => InterfaceFlags.Loopback,
        LinkKind.Ethernet => InterfaceFlags.Broadcast | InterfaceFlags.Multicast,
        _ => InterfaceFlags.PointToPoint | InterfaceFlags.NoArp | InterfaceFlags.Multicast,
    };

    /// <summary>Frames carry an Ethernet header (zeros over loopback).</summary>
    public bool HasHeader => Kind != LinkKind.None;

    /// <summary>Takes a frame with its link header. False if it was dropped because the queue is full. Precondition: the stack's lock is held.</summary>
    public abstract bool Transmit(PacketBuffer frame);

    /// <summary>The interface went up or down. Precondition: the stack's lock is held.</summary>
    public virtual void OnSetUp()
    {
    }

    /// <summary>The interface goes away; nothing is transmitted any more. Precondition: the stack's lock is held.</summary>
    public virtual void Close()
    {
    }
}
