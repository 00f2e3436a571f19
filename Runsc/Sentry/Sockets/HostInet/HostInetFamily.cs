using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.HostInet;

/// <summary>socket(2) of AF_INET and AF_INET6 with --network=host: TCP, UDP and echo sockets of the host. Namespaces that are made inside have a stack of their own as always.</summary>
internal sealed class HostInetFamily(NetNamespace root)
{
    public HostWatcher Watcher { get; } = new();

    /// <summary>Takes both families over. At start only.</summary>
    public static void Register(NetNamespace root)
    {
        HostInetFamily family = new(root);
        root.System.Register(Socket.AF_INET, family.CreateV4);
        root.System.Register(Socket.AF_INET6, family.CreateV6);
    }

    private Errno CreateV4(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket) =>
        network == root ? Create(network, caller, Socket.AF_INET, type, protocol, flags, out socket) : InetFamily.CreateV4(network, caller, type, protocol, flags, out socket);

    private Errno CreateV6(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket) =>
        network == root ? Create(network, caller, Socket.AF_INET6, type, protocol, flags, out socket) : InetFamily.CreateV6(network, caller, type, protocol, flags, out socket);

    private Errno Create(NetNamespace network, ICaller caller, int family, int type, int protocol, int flags, out SocketDescription? socket)
    {
        socket = null;
        int echo = family == Socket.AF_INET ? Socket.IPPROTO_ICMP : Socket.IPPROTO_ICMPV6;
        int own = type == Socket.SOCK_STREAM ? Socket.IPPROTO_TCP : Socket.IPPROTO_UDP;
        switch (type)
        {
            case Socket.SOCK_STREAM when protocol is 0 or Socket.IPPROTO_TCP:
            case Socket.SOCK_DGRAM when protocol is 0 or Socket.IPPROTO_UDP:
                break;
            case Socket.SOCK_DGRAM when protocol == echo:
                own = echo;
                break;
            case Socket.SOCK_STREAM or Socket.SOCK_DGRAM:
                return Errno.EPROTONOSUPPORT;
            case Socket.SOCK_RAW:
                // The sandbox has no right to raw sockets of the host.
                return Errno.EPERM;
            default:
                return Errno.ESOCKTNOSUPPORT;
        }

        int fd = HostInetSocket.Create(family, type, own);
        if (fd < 0)
        {
            return (Errno)(-fd);
        }

        socket = new HostInetSocketDescription(this, network, caller, family, type, own, flags, fd);
        return Errno.None;
    }
}
