using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Unix;

/// <summary>An open socket of AF_UNIX (unix(7)).</summary>
internal sealed class UnixSocket : SocketDescription
{
    private UnixSocket(UnixEndpoint endpoint, ICaller creator, int flags)
        : base(endpoint.Network, creator, Socket.AF_UNIX, endpoint.Type, 0, flags)
    {
        Endpoint = endpoint;
        endpoint.Socket = this;
        User = creator.Credentials.EffectiveUid;
    }

    public UnixEndpoint Endpoint { get; }

    public override WaitQueue Events => Endpoint.Events;

    public override bool PassesDescriptors => true;

    public override bool PassesCredentials => true;

    protected override bool IsListening => Endpoint.IsListening;

    /// <summary>Who made it, for sock_diag.</summary>
    public uint User { get; }

    // Messages of datagram sockets are filtered as they are sent.
    protected override Errno OnFilterChanged(SocketFilter? filter) => Errno.None;

    /// <summary>socket(2).</summary>
    public static Errno Create(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? socket)
    {
        socket = null;
        if (protocol != 0 && protocol != Socket.AF_UNIX)
        {
            return Errno.EPROTONOSUPPORT;
        }

        // A raw socket has always been a datagram socket here.
        type = type == Socket.SOCK_RAW ? Socket.SOCK_DGRAM : type;
        if (type is not (Socket.SOCK_STREAM or Socket.SOCK_DGRAM or Socket.SOCK_SEQPACKET))
        {
            return Errno.ESOCKTNOSUPPORT;
        }

        socket = new UnixSocket(new UnixEndpoint(network, type), caller, flags);
        return Errno.None;
    }

    /// <summary>socketpair(2).</summary>
    public static Errno CreatePair(NetNamespace network, ICaller caller, int type, int protocol, int flags, out SocketDescription? first, out SocketDescription? second)
    {
        second = null;
        Errno error = Create(network, caller, type, protocol, flags, out first);
        if (error != Errno.None)
        {
            return error;
        }

        _ = Create(network, caller, type, protocol, flags, out second);
        UnixEndpoint.Join(((UnixSocket)first!).Endpoint, ((UnixSocket)second!).Endpoint, caller);
        return Errno.None;
    }

    public override Errno Bind(ICaller caller, ReadOnlySpan<byte> address)
    {
        _ = Inode.GetAttributes(out Vfs.FileAttributes attributes);
        return Endpoint.Bind(caller, address, attributes.Mode & 0xfff);
    }

    public override Errno Listen(ICaller caller, int backlog) => Endpoint.Listen(caller, backlog);

    public override Errno Connect(ICaller caller, ReadOnlySpan<byte> address) => Endpoint.Connect(caller, address);

    public override Errno Accept(ICaller caller, int flags, out SocketDescription? accepted)
    {
        accepted = null;
        Errno error = Endpoint.Accept(out UnixEndpoint? endpoint);
        if (error == Errno.None)
        {
            UnixSocket socket = new(endpoint!, caller, flags);
            socket.Set(SocketFlags.PassCredentials, Has(SocketFlags.PassCredentials));
            socket.Set(SocketFlags.PassPidFd, Has(SocketFlags.PassPidFd));
            accepted = socket;
        }

        return error;
    }

    public override int GetName(Span<byte> address) => Write(Endpoint.Address, address);

    public override int GetPeerName(Span<byte> address) => Endpoint.Peer is { } peer ? Write(peer.Address, address) : -(int)Errno.ENOTCONN;

    private static int Write(UnixAddress? name, Span<byte> address)
    {
        if (name is null)
        {
            BitConverter.TryWriteBytes(address, (ushort)Socket.AF_UNIX);
            return Socket.UnixPathOffset;
        }

        name.Sockaddr.CopyTo(address);
        return name.Sockaddr.Length;
    }

    public override long Send(ICaller caller, ref IoBuffer data, ref SendRequest request) =>
        IsStream ? Endpoint.SendStream(caller, ref data, ref request) : Endpoint.SendMessage(caller, ref data, ref request);

    public override long Receive(ICaller caller, ref IoBuffer data, ref ReceiveRequest request)
    {
        long n = IsStream ? Endpoint.ReceiveStream(ref data, ref request) : Endpoint.ReceiveMessage(ref data, ref request);
        if (request.IsPlainRead && request.Rights is { } rights)
        {
            // Descriptors that nobody has room for are closed.
            request.Rights = null;
            Network.System.InFlight.Release(rights);
        }

        return n;
    }

    public override Errno Shutdown(int how)
    {
        Endpoint.Shutdown(how);
        return Errno.None;
    }

    public override EventMask Readiness(EventMask mask) => Endpoint.Readiness(mask);

    protected override Errno TakeError() => Endpoint.TakeError();

    protected override void OnSocketRelease() => Endpoint.Close();

    public override long Ioctl(ICaller caller, uint command, ulong argument)
    {
        switch (command)
        {
            case Ioctls.FIONREAD:
                long unread = Endpoint.UnreadBytes;
                return unread < 0 ? unread : CopyOutInt(caller, argument, (int)unread);
            case Ioctls.TIOCOUTQ:
                return CopyOutInt(caller, argument, Endpoint.SentBytes);
            case Socket.SIOCATMARK:
                return CopyOutInt(caller, argument, Endpoint.IsAtMark ? 1 : 0);
            default:
                return base.Ioctl(caller, command, argument);
        }
    }

    public override long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        if (level != Socket.SOL_SOCKET || name != Socket.SO_PEEK_OFF)
        {
            return base.SetOption(caller, level, name, value);
        }

        if (value.Length < sizeof(int))
        {
            return -(long)Errno.EINVAL;
        }

        Endpoint.PeekOffset = Math.Max(MemoryMarshal.Read<int>(value), -1);
        return 0;
    }

    public override long GetOption(ICaller caller, int level, int name, Span<byte> value)
    {
        if (level != Socket.SOL_SOCKET)
        {
            return base.GetOption(caller, level, name, value);
        }

        PeerIdentity? peer = Endpoint.IsListening || Endpoint.IsConnected ? Endpoint.PeerIdentity : null;
        switch (name)
        {
            case Socket.SO_PEEK_OFF:
                return Put(value, Endpoint.PeekOffset);
            case Socket.SO_PEERCRED:
                return Put(value, peer?.Credentials.SeenBy(caller.Credentials.UserNamespace) ?? new UserCredentials(0, uint.MaxValue, uint.MaxValue));
            case Socket.SO_PEERGROUPS:
                if (peer is null)
                {
                    return -(long)Errno.ENODATA;
                }

                UserNamespace users = caller.Credentials.UserNamespace;
                ReadOnlySpan<byte> groups = MemoryMarshal.AsBytes((users == UserNamespace.Initial ? peer.Groups : Array.ConvertAll(peer.Groups, users.Gids.Shown)).AsSpan());
                return value.Length < groups.Length ? groups.Length : Put(value, groups);
            case Socket.SO_PEERPIDFD:
                return PutPidFd(caller, peer?.Process, value);
            default:
                return base.GetOption(caller, level, name, value);
        }
    }

    private long PutPidFd(ICaller caller, ThreadGroup? process, Span<byte> value)
    {
        if (process is null || caller is not Task task)
        {
            return -(long)Errno.ENODATA;
        }

        PidFd file = new(Network.System.Kernel, process, 0);
        int fd = task.Files.Add(file, closeOnExec: true, task.DescriptorLimit);
        if (fd < 0)
        {
            file.DecRef();
            return fd;
        }

        return Put(value, fd);
    }
}
