namespace Runsc.NetStack.Transport;

/// <summary>A local address and port that an endpoint holds: part of the endpoint. Guarded by the stack's lock.</summary>
internal sealed class PortReservation(byte protocol)
{
    /// <summary>6, 17 or 136: each protocol has its own space.</summary>
    public byte Protocol { get; } = protocol;

    /// <summary>The bound address; :: of a socket that is not <see cref="V6Only"/> covers IPv4 too.</summary>
    public IpAddress Address { get; set; }

    /// <summary>0 while nothing is held.</summary>
    public ushort Port { get; internal set; }

    /// <summary>SO_BINDTODEVICE, or 0.</summary>
    public int Interface { get; set; }

    public bool V6Only { get; set; }

    public bool ReuseAddress { get; set; }

    public bool ReusePort { get; set; }

    /// <summary>The effective user of the socket: SO_REUSEPORT shares among one user's sockets only.</summary>
    public uint User { get; set; }

    /// <summary>TCP: a listener does not share its port by SO_REUSEADDR.</summary>
    public bool IsListening { get; set; }

    /// <summary>The port was given by <see cref="PortManager.Connect"/>, and may serve other connections to other peers.</summary>
    public bool IsAutomatic { get; internal set; }

    internal PortReservation? NextOfPort { get; set; }

    internal PortReservation? PreviousOfPort { get; set; }

    internal PortTable.Bucket? Bucket { get; set; }
}
