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
    /// <summary>The interface it serves; set once, before the first frame.</summary>
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

    /// <summary>Frames carry an Ethernet header (zeros over loopback).</summary>
    public bool HasHeader => Kind != LinkKind.None;

    /// <summary>Takes a frame with its link header. False if it was dropped because the queue is full. Precondition: the stack's lock is held.</summary>
    public abstract bool Transmit(PacketBuffer frame);

    /// <summary>The interface goes away; nothing is transmitted any more. Precondition: the stack's lock is held.</summary>
    public virtual void Close()
    {
    }
}
