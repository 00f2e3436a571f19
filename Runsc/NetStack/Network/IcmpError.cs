namespace Runsc.NetStack.Network;

/// <summary>An error about a packet that this host sent.</summary>
internal struct IcmpError
{
    public IcmpErrorKind Kind;

    /// <summary>Type and code as they were in the message, for the error queue; 0 for what this host found itself.</summary>
    public byte Type;
    public byte Code;

    /// <summary>The addresses of the packet that failed: the source is this host.</summary>
    public IpAddress Local;
    public IpAddress Remote;

    /// <summary>Who reported it; unspecified if this host did.</summary>
    public IpAddress Offender;

    /// <summary>The protocol of the packet that failed.</summary>
    public byte Protocol;

    /// <summary>With <see cref="IcmpErrorKind.PacketTooBig"/>: the MTU, checked and already kept in the path-MTU cache. With a parameter problem: the pointer.</summary>
    public uint Info;

    /// <summary>The interface the message came in on.</summary>
    public int Interface;

    /// <summary>Of the message's own header.</summary>
    public byte HopLimit;
    public byte TrafficClass;

    /// <summary>What Linux gives to a socket (icmp_err_convert).</summary>
    public NetError Error;

    /// <summary>Linux's "fatal": a connected socket gets the error without having asked by IP_RECVERR. TCP in a synchronised state keeps it as soft (RFC 1122, 4.2.3.9).</summary>
    public bool IsFatal;

    /// <summary>About a call that failed, which told the error itself: none is pending with it.</summary>
    public bool IsOwn;

    /// <summary>Found by this host (SO_EE_ORIGIN_LOCAL) and not by an ICMP message.</summary>
    public readonly bool IsLocal => Offender.IsUnspecified;
}
