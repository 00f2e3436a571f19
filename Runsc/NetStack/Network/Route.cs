using Runsc.NetStack.Core;

namespace Runsc.NetStack.Network;

/// <summary>The result of a look-up, kept by an endpoint and filled again when <see cref="IsValid"/> turns false. Guarded by the stack's lock.</summary>
internal sealed class Route
{
    private NetworkStack? _stack;
    private uint _generation;

    public RouteKind Kind { get; internal set; }

    /// <summary>The address packets get as their source.</summary>
    public IpAddress Source { get; internal set; }

    public IpAddress Destination { get; internal set; }

    /// <summary>The gateway, or the destination when it is on the link.</summary>
    public IpAddress NextHop { get; internal set; }

    /// <summary>The interface packets leave by; the loopback one for an address of this host.</summary>
    public NetworkInterface? Interface { get; internal set; }

    /// <summary>The largest IP packet for this destination now: of the interface, the route and the path-MTU cache.</summary>
    public int Mtu { get; internal set; }

    /// <summary>The metric RTAX_ADVMSS, or 0.</summary>
    public int AdvertisedMss { get; internal set; }

    /// <summary>Initial windows of the route (RTAX_INITCWND, RTAX_INITRWND), or 0.</summary>
    public int InitialCongestionWindow { get; internal set; }

    public int InitialReceiveWindow { get; internal set; }

    /// <summary>The largest IP packet that may be sent with <see cref="Buffers.PacketBuffer.Gso"/> set: never below <see cref="Mtu"/>. The stack cuts it if the device cannot.</summary>
    public int MaxGsoPacket { get; internal set; }

    /// <summary>To this host, or over an interface that is the loopback one: checksums are not computed.</summary>
    public bool IsLoopback { get; internal set; }

    /// <summary>The route's generation, path-MTU changes included, is still the stack's; ask for a new look-up if not.</summary>
    public bool IsValid => _stack is not null && _generation == _stack.RouteGeneration;

    internal Neighbor? Neighbor { get; set; }

    /// <summary>Packets reach the next hop: new data were acknowledged. Keeps the neighbour's entry fresh without asking.</summary>
    public void Confirm() => Neighbor?.Confirm();

    public void Invalidate() => _stack = null;

    internal void Validate(NetworkStack stack)
    {
        _stack = stack;
        _generation = stack.RouteGeneration;
    }
}
