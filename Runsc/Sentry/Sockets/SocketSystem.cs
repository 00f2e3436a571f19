using System;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack.Buffers;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Sockets.Netlink;
using Runsc.Sentry.Sockets.Packet;
using Runsc.Sentry.Sockets.Unix;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets;

/// <summary>Makes a socket of a family: socket(2).</summary>
internal delegate Errno SocketMaker(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket);

/// <summary>What the sockets of all network namespaces share: families, descriptors in flight, memory.</summary>
internal sealed class SocketSystem
{
    // Numbers as Linux gives them to the namespace of the system.
    private const long FirstNamespace = 4026531840;

    private readonly SocketMaker?[] _families = new SocketMaker?[Socket.AF_MAX];
    private readonly long _memoryLimit;
    private long _memory;
    private long _nextCookie;
    private long _nextNamespace = FirstNamespace - 1;

    public SocketSystem(SentryKernel kernel)
    {
        Kernel = kernel;

        // Queued bytes live in the Sentry's own memory: a share of what the container has, so that no program can exhaust it.
        _memoryLimit = (long)Math.Clamp(kernel.TotalMemory / 8, 16UL << 20, 1UL << 30);
        Buffers = new BufferPool(_memoryLimit);
        _families[Socket.AF_UNIX] = UnixSocket.Create;
        _families[Socket.AF_INET] = InetFamily.CreateV4;
        _families[Socket.AF_INET6] = InetFamily.CreateV6;
        _families[Socket.AF_NETLINK] = NetlinkSocket.Create;
        _families[Socket.AF_PACKET] = PacketSocket.Create;
    }

    public SentryKernel Kernel { get; }

    /// <summary>Packets of all stacks.</summary>
    public BufferPool Buffers { get; }

    /// <summary>Held while links are made, moved and removed: what such a change does in two stacks is done in one after the other. Taken before a stack's lock.</summary>
    public Lock LinkLock { get; } = new();

    /// <summary>A network namespace with nothing in it; the first one, the container's, has its loopback interface up.</summary>
    public NetNamespace CreateNamespace(UserNamespace owner)
    {
        long number = Interlocked.Increment(ref _nextNamespace);
        return new NetNamespace(this, owner, (ulong)number, isRoot: number == FirstNamespace);
    }

    /// <summary>Descriptors that were sent and not received.</summary>
    public InFlight InFlight { get; } = new();

    /// <summary>Gives a family its sockets. At start only.</summary>
    public void Register(int family, SocketMaker maker) => _families[family] = maker;

    /// <summary>EAFNOSUPPORT, or what the family says.</summary>
    public Errno Create(NetNamespace network, ICaller caller, int family, int type, int protocol, int flags, out SocketDescription? socket)
    {
        socket = null;
        if (family < 0 || family >= _families.Length)
        {
            return Errno.EAFNOSUPPORT;
        }

        if (type is < 0 or >= Socket.SOCK_MAX)
        {
            return Errno.EINVAL;
        }

        return _families[family] is SocketMaker maker ? maker(network, caller, type, protocol, flags, out socket) : Errno.EAFNOSUPPORT;
    }

    /// <summary>A number that no other socket has (SO_COOKIE).</summary>
    public ulong NewCookie() => (ulong)Interlocked.Increment(ref _nextCookie);

    /// <summary>Accounts for queued bytes; false when all sockets together hold too many.</summary>
    public bool TryCharge(int bytes)
    {
        if (Interlocked.Add(ref _memory, bytes) <= _memoryLimit)
        {
            return true;
        }

        Interlocked.Add(ref _memory, -bytes);
        return false;
    }

    public void Uncharge(int bytes) => Interlocked.Add(ref _memory, -bytes);

    /// <summary>Bytes in queues.</summary>
    public long Memory => Interlocked.Read(ref _memory);
}
