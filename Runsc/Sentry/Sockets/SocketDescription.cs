using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets.Inet;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets;

/// <summary>An open socket (socket(7)) of any family: the contract of the socket calls, and the options of SOL_SOCKET.</summary>
/// <remarks>
/// As with other files no operation waits: what would block says EAGAIN (connect also EINPROGRESS), whatever O_NONBLOCK, MSG_DONTWAIT
/// and the timeouts say; the caller registers at <see cref="Events"/>, tries again, and sleeps.
/// </remarks>
internal abstract partial class SocketDescription : FileDescription
{
    private readonly bool _usesNetwork;

    protected SocketDescription(NetNamespace network, ICaller creator, int family, int type, int protocol, int flags)
        : base(
            network.System.Kernel.AnonymousFiles.NewPath("socket:", (uint)Stat.S_IFSOCK | 0x1ff, creator.Credentials),
            Fcntl.O_RDWR | (flags & Fcntl.O_NONBLOCK))
    {
        Network = network;
        _usesNetwork = network.TryIncUsers();
        Family = family;
        Type = type;
        Protocol = protocol;
    }

    public NetNamespace Network { get; }

    /// <summary>AF_*; IPV6_ADDRFORM may change it.</summary>
    public int Family { get; protected set; }

    public int Type { get; }

    public int Protocol { get; }

    /// <summary>Bytes without borders: reads join what writes sent.</summary>
    public bool IsStream => Type == Socket.SOCK_STREAM;

    /// <summary>Who waits for this socket.</summary>
    public abstract WaitQueue Events { get; }

    public override bool SupportsPoll => true;

    /// <summary>bind(2). EINVAL when bound already, EADDRINUSE, EACCES, …</summary>
    public abstract Errno Bind(ICaller caller, ReadOnlySpan<byte> address);

    /// <summary>listen(2). The backlog is as given, negative ones meaning the most.</summary>
    public virtual Errno Listen(ICaller caller, int backlog) => Errno.EOPNOTSUPP;

    /// <summary>
    /// connect(2). EAGAIN: no room at the listener, try again; EINPROGRESS: under way, <see cref="ConnectResult"/> tells the end when the
    /// socket becomes writable.
    /// </summary>
    public abstract Errno Connect(ICaller caller, ReadOnlySpan<byte> address);

    /// <summary>How a connect that was under way ended; EINPROGRESS while it did not.</summary>
    public virtual Errno ConnectResult() => Errno.None;

    /// <summary>accept4(2): a new socket, EAGAIN, EINVAL when not listening. <paramref name="flags"/>: SOCK_NONBLOCK.</summary>
    public virtual Errno Accept(ICaller caller, int flags, out SocketDescription? accepted)
    {
        accepted = null;
        return Errno.EOPNOTSUPP;
    }

    /// <summary>getsockname(2): the length of the sockaddr put into <paramref name="address"/> (of SockaddrStorageSize), or −errno.</summary>
    public abstract int GetName(Span<byte> address);

    /// <summary>getpeername(2). ENOTCONN.</summary>
    public abstract int GetPeerName(Span<byte> address);

    /// <summary>sendmsg(2). A stream takes what has room; other types all or nothing. Bytes, −EAGAIN with the buffer untouched, or −errno.</summary>
    public abstract long Send(ICaller caller, ref IoBuffer data, ref SendRequest request);

    /// <summary>MSG_FASTOPEN: connects to the address of the request. EINPROGRESS, or the bytes that left with the SYN of a connection that is under way; errors of connect(2).</summary>
    /// <remarks>Sockets without connections of this kind send, as Linux's do.</remarks>
    public virtual long SendFirst(ICaller caller, ref IoBuffer data, ref SendRequest request) => Send(caller, ref data, ref request);

    /// <summary>recvmsg(2). Bytes, 0 at the end of a stream, −EAGAIN, or −errno.</summary>
    public abstract long Receive(ICaller caller, ref IoBuffer data, ref ReceiveRequest request);

    /// <summary>shutdown(2); <paramref name="how"/> was checked.</summary>
    public virtual Errno Shutdown(int how) => Errno.EOPNOTSUPP;

    /// <summary>close(2) with SO_LINGER begins: false when there is nothing to wait for.</summary>
    public virtual bool BeginClose() => false;

    /// <summary>What was written has not arrived yet.</summary>
    public virtual bool IsClosing => false;

    /// <summary>False for families that know no shutdown at all.</summary>
    public virtual bool CanShutDown => true;

    /// <summary>Number in /proc/net and fstat.</summary>
    public ulong InodeNumber => Inode.GetAttributes(out FileAttributes attributes) == Errno.None ? attributes.Inode : 0;

    /// <summary>True when a write to a closed stream sends SIGPIPE.</summary>
    public virtual bool RaisesPipeSignal => IsStream;

    /// <summary>True when SCM_RIGHTS may be sent.</summary>
    public virtual bool PassesDescriptors => false;

    /// <summary>True when SCM_CREDENTIALS may be sent.</summary>
    public virtual bool PassesCredentials => false;

    public override void Register(Waiter waiter) => Events.Register(waiter);

    public override void Unregister(Waiter waiter) => Events.Unregister(waiter);

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        if (destination.Remaining == 0)
        {
            return 0;
        }

        ReceiveRequest request = new() { IsPlainRead = true };
        return Receive(caller, ref destination, ref request);
    }

    public override long Write(ICaller caller, ref IoBuffer source)
    {
        SendRequest request = default;
        long n = Send(caller, ref source, ref request);
        if (n == -(long)Errno.EPIPE)
        {
            BrokenPipe(caller);
        }

        return n;
    }

    /// <summary>SIGPIPE for a caller that wrote to a closed stream.</summary>
    public void BrokenPipe(ICaller caller)
    {
        if (RaisesPipeSignal && caller is Task task)
        {
            _ = task.SendSignal(new SignalInfo { Signal = Signal.SIGPIPE, Code = SignalInfo.SI_USER, ProcessId = task.ProcessId, Uid = task.Credentials.RealUid });
        }
    }

    /// <summary>ioctls about interfaces are those of every socket; addresses are asked of AF_INET only (netdevice(7)).</summary>
    public override long Ioctl(ICaller caller, uint command, ulong argument) => command is Socket.SIOCGSTAMP or Socket.SIOCGSTAMPNS ? -(long)Errno.ENOENT
        : InterfaceCalls.Handles(command) ? InterfaceCalls.Run(caller, Network, Family, command, argument)
        : base.Ioctl(caller, command, argument);

    protected sealed override void OnRelease()
    {
        OnSocketRelease();
        if (_usesNetwork)
        {
            Network.DecUsers();
        }
    }

    /// <summary>As <see cref="FileDescription.OnRelease"/>.</summary>
    protected abstract void OnSocketRelease();

    /// <summary>Copies the result of an ioctl out. 0 or −EFAULT.</summary>
    protected static long CopyOutInt(ICaller caller, ulong address, int value)
    {
        Span<byte> bytes = stackalloc byte[4];
        BitConverter.TryWriteBytes(bytes, value);
        return caller.UserMemory.CopyOut(address, bytes) == 4 ? 0 : -(long)Errno.EFAULT;
    }
}
