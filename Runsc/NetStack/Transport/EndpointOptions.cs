using Runsc.NetStack.Network;

namespace Runsc.NetStack.Transport;

/// <summary>The options that sockets of all transports share: socket(7), ip(7), ipv6(7). Single words, written by the socket, read under the stack's lock.</summary>
internal sealed class EndpointOptions
{
    /// <summary>SO_BINDTODEVICE, or 0.</summary>
    public int BoundInterface { get; set; }

    public uint Mark { get; set; }

    public uint Priority { get; set; }

    public bool ReuseAddress { get; set; }

    public bool ReusePort { get; set; }

    /// <summary>The effective user, for SO_REUSEPORT.</summary>
    public uint User { get; set; }

    public SocketOwner? Owner { get; set; }

    public bool Broadcast { get; set; }

    /// <summary>SO_DONTROUTE.</summary>
    public bool DontRoute { get; set; }

    /// <summary>IP_TTL, or 0 for the default.</summary>
    public byte Ttl { get; set; }

    /// <summary>IPV6_UNICAST_HOPS, or 0 for the default.</summary>
    public byte UnicastHops { get; set; }

    /// <summary>IP_TOS.</summary>
    public byte Tos { get; set; }

    /// <summary>IPV6_TCLASS.</summary>
    public byte TrafficClass { get; set; }

    public uint FlowLabel { get; set; }

    public byte MulticastTtl { get; set; } = 1;

    public byte MulticastHops { get; set; } = 1;

    public bool MulticastLoop { get; set; } = true;

    public bool MulticastLoopV6 { get; set; } = true;

    /// <summary>IP_MULTICAST_IF: interface and address, or 0.</summary>
    public int MulticastInterface { get; set; }

    public IpAddress MulticastSource { get; set; } = IpAddress.AnyV4;

    public int MulticastInterfaceV6 { get; set; }

    /// <summary>IP_MULTICAST_ALL: groups that other sockets joined are received too.</summary>
    public bool MulticastAll { get; set; } = true;

    public bool MulticastAllV6 { get; set; } = true;

    public PathMtuMode PathMtu { get; set; } = PathMtuMode.Want;

    public PathMtuMode PathMtuV6 { get; set; } = PathMtuMode.Want;

    /// <summary>IPV6_DONTFRAG.</summary>
    public bool DontFragmentV6 { get; set; }

    /// <summary>IP_RECVERR: errors go to the error queue, and all of them are told.</summary>
    public bool ReceiveErrors { get; set; }

    public bool ReceiveErrorsV6 { get; set; }

    public bool V6Only { get; set; }

    /// <summary>IP_FREEBIND, IP_TRANSPARENT.</summary>
    public bool FreeBind { get; set; }

    /// <summary>IP_OPTIONS, padded, or null.</summary>
    public byte[]? Ipv4Options { get; set; }

    /// <summary>IP_MINTTL, IPV6_MINHOPCOUNT.</summary>
    public byte MinTtl { get; set; }

    /// <summary>SO_RCVBUF and SO_SNDBUF, in bytes of memory.</summary>
    public int ReceiveBuffer { get; set; }

    public int SendBuffer { get; set; }

    /// <summary>SO_NO_CHECK: UDP over IPv4 without a checksum.</summary>
    public bool NoChecksum { get; set; }
}
