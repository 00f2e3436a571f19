using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport;

/// <summary>Where and how one datagram goes: msg_name and the control messages of sendmsg(2).</summary>
internal struct DatagramSend
{
    /// <summary>The destination, if <see cref="HasDestination"/>; else the peer.</summary>
    public IpEndpoint Destination;
    public bool HasDestination;

    /// <summary>IP_PKTINFO: source address (or unspecified) and interface (or 0).</summary>
    public IpAddress Source;
    public int Interface;

    /// <summary>IP_TTL, IPV6_HOPLIMIT: 0 is not given.</summary>
    public byte HopLimit;

    /// <summary>IP_TOS, IPV6_TCLASS: negative is not given.</summary>
    public int TrafficClass;

    /// <summary>MSG_DONTROUTE.</summary>
    public bool OnLinkOnly;

    /// <summary>UDP_SEGMENT: payload of each datagram, or 0.</summary>
    public int GsoSize;

    /// <summary>IP_RETOPTS, padded, or null.</summary>
    public byte[]? Options;

    /// <summary>IPV6_DONTFRAG: null is not given.</summary>
    public PathMtuMode? PathMtu;

    public uint Mark;
    public bool HasMark;
}
