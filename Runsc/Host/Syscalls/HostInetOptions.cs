using System;
using System.Collections.Generic;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>The options of the host's internet sockets that a sandbox may set and read: one list for those who ask and for the filter.</summary>
internal static class HostInetOptions
{
    /// <summary>By level: what setsockopt(2) and getsockopt(2) may name.</summary>
    public static readonly IReadOnlyDictionary<int, int[]> Settable = new Dictionary<int, int[]>
    {
        [Socket.SOL_SOCKET] =
        [
            Socket.SO_REUSEADDR, Socket.SO_REUSEPORT, Socket.SO_KEEPALIVE, Socket.SO_BROADCAST, Socket.SO_LINGER, Socket.SO_SNDBUF, Socket.SO_RCVBUF,
            Socket.SO_OOBINLINE, Socket.SO_NO_CHECK, Socket.SO_DONTROUTE, Socket.SO_RCVLOWAT,
        ],
        [Socket.IPPROTO_TCP] =
        [
            Socket.TCP_NODELAY, Socket.TCP_CORK, Socket.TCP_MAXSEG, Socket.TCP_KEEPIDLE, Socket.TCP_KEEPINTVL, Socket.TCP_KEEPCNT, Socket.TCP_SYNCNT,
            Socket.TCP_LINGER2, Socket.TCP_DEFER_ACCEPT, Socket.TCP_WINDOW_CLAMP, Socket.TCP_QUICKACK, Socket.TCP_CONGESTION, Socket.TCP_USER_TIMEOUT,
            Socket.TCP_NOTSENT_LOWAT, Socket.TCP_FASTOPEN, Socket.TCP_INQ,
        ],
        [Socket.IPPROTO_UDP] = [Socket.UDP_CORK, Socket.UDP_SEGMENT, Socket.UDP_GRO],
        [Socket.IPPROTO_IP] =
        [
            Socket.IP_TOS, Socket.IP_TTL, Socket.IP_PKTINFO, Socket.IP_RECVERR, Socket.IP_RECVTTL, Socket.IP_RECVTOS, Socket.IP_MTU_DISCOVER,
            Socket.IP_BIND_ADDRESS_NO_PORT, Socket.IP_FREEBIND, Socket.IP_RECVORIGDSTADDR, Socket.IP_MULTICAST_IF, Socket.IP_MULTICAST_TTL,
            Socket.IP_MULTICAST_LOOP, Socket.IP_MULTICAST_ALL, Socket.IP_ADD_MEMBERSHIP, Socket.IP_DROP_MEMBERSHIP,
        ],
        [Socket.IPPROTO_IPV6] =
        [
            Socket.IPV6_V6ONLY, Socket.IPV6_UNICAST_HOPS, Socket.IPV6_MULTICAST_IF, Socket.IPV6_MULTICAST_HOPS, Socket.IPV6_MULTICAST_LOOP,
            Socket.IPV6_ADD_MEMBERSHIP, Socket.IPV6_DROP_MEMBERSHIP, Socket.IPV6_MTU_DISCOVER, Socket.IPV6_RECVERR, Socket.IPV6_RECVPKTINFO,
            Socket.IPV6_RECVHOPLIMIT, Socket.IPV6_TCLASS, Socket.IPV6_RECVTCLASS, Socket.IPV6_RECVORIGDSTADDR, Socket.IPV6_DONTFRAG,
        ],
    };

    /// <summary>What getsockopt(2) may name beside those.</summary>
    public static readonly IReadOnlyDictionary<int, int[]> OnlyReadable = new Dictionary<int, int[]>
    {
        [Socket.SOL_SOCKET] = [Socket.SO_ERROR, Socket.SO_ACCEPTCONN],
        [Socket.IPPROTO_TCP] = [Socket.TCP_INFO],
        [Socket.IPPROTO_IP] = [Socket.IP_MTU],
        [Socket.IPPROTO_IPV6] = [Socket.IPV6_MTU],
    };

    public static bool MaySet(int level, int name) => Settable.TryGetValue(level, out int[]? names) && Array.IndexOf(names, name) >= 0;

    public static bool MayGet(int level, int name) =>
        MaySet(level, name) || (OnlyReadable.TryGetValue(level, out int[]? names) && Array.IndexOf(names, name) >= 0);
}
