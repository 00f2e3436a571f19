using Runsc.Linux;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>socket(2) of AF_INET and AF_INET6.</summary>
internal static class InetFamily
{
    public static Errno CreateV4(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket) =>
        Create(network, caller, Socket.AF_INET, type, protocol, flags, out socket);

    public static Errno CreateV6(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket) =>
        Create(network, caller, Socket.AF_INET6, type, protocol, flags, out socket);

    private static Errno Create(NetNamespace network, ICaller caller, int family, int type, int protocol, int flags, out SocketDescription? socket)
    {
        socket = null;
        if (protocol is < 0 or >= Socket.IPPROTO_MAX)
        {
            return Errno.EINVAL;
        }

        int echo = family == Socket.AF_INET ? Socket.IPPROTO_ICMP : Socket.IPPROTO_ICMPV6;
        switch (type)
        {
            case Socket.SOCK_STREAM:
                if (protocol is not (0 or Socket.IPPROTO_TCP))
                {
                    return Errno.EPROTONOSUPPORT;
                }

                socket = TcpSocket.Create(network, caller, family, flags);
                return Errno.None;
            case Socket.SOCK_DGRAM when protocol == echo:
                if (!network.MayPing(caller))
                {
                    return Errno.EACCES;
                }

                socket = DatagramSocket.CreatePing(network, caller, family, protocol, flags);
                return Errno.None;
            case Socket.SOCK_DGRAM:
                if (protocol is not (0 or Socket.IPPROTO_UDP or Socket.IPPROTO_UDPLITE))
                {
                    return Errno.EPROTONOSUPPORT;
                }

                socket = DatagramSocket.CreateUdp(network, caller, family, protocol == 0 ? Socket.IPPROTO_UDP : protocol, flags);
                return Errno.None;
            case Socket.SOCK_RAW:
                if (protocol == 0)
                {
                    return Errno.EPROTONOSUPPORT;
                }

                if (!caller.Credentials.HasCapability(Capability.CAP_NET_RAW, network.Owner))
                {
                    return Errno.EPERM;
                }

                socket = DatagramSocket.CreateRaw(network, caller, family, protocol, flags);
                return Errno.None;
            default:
                return Errno.ESOCKTNOSUPPORT;
        }
    }
}
