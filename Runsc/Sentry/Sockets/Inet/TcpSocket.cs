using System;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Transport.Tcp;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>A TCP socket (tcp(7)).</summary>
internal sealed partial class TcpSocket : InetSocket
{
    /// <summary>What one step of a write moves: user memory is copied into a slab of this size before the stack sees it.</summary>
    private const int WriteStep = 65536;

    /// <summary>Writes up to this size are copied over the stack.</summary>
    private const int SmallWrite = 1024;

    private readonly TcpEndpoint _endpoint;

    // A connect is under way whose end was not told yet.
    private volatile bool _isConnecting;

    private TcpSocket(NetNamespace network, ICaller creator, int family, int flags, TcpEndpoint endpoint)
        : base(network, creator, family, Socket.SOCK_STREAM, Socket.IPPROTO_TCP, flags)
    {
        _endpoint = endpoint;
        IpOptions.User = User;
        endpoint.Settings.Owner = Owner;
        endpoint.Notifier.Listener = this;
    }

    public TcpEndpoint Endpoint => _endpoint;

    protected override EndpointOptions IpOptions { get; } = new();

    protected override NetEvents EndpointReadiness => _endpoint.Readiness;

    protected override bool IsListening => _endpoint.State == TcpState.Listen;

    protected override bool IsBound => _endpoint.Local.Port != 0;

    protected override int PathMtu => _endpoint.IsConnected ? Math.Max(_endpoint.PathMtu, 68) : 0;

    public static TcpSocket Create(NetNamespace network, ICaller caller, int family, int flags) =>
        new(network, caller, family, flags, network.Inet.Tcp.CreateEndpoint(family == Socket.AF_INET6));

    public override Errno Bind(ICaller caller, ReadOnlySpan<byte> address)
    {
        Errno error = ParseLocal(caller, address, out IpEndpoint local);
        return error != Errno.None ? error : NetErrors.ToErrno(_endpoint.Bind(local));
    }

    public override Errno Listen(ICaller caller, int backlog) => NetErrors.ToErrno(_endpoint.Listen(backlog));

    public override Errno Connect(ICaller caller, ReadOnlySpan<byte> address)
    {
        if (InetAddress.FamilyOf(address) == Socket.AF_UNSPEC)
        {
            _endpoint.Disconnect();
            _isConnecting = false;
            return Errno.None;
        }

        Errno error = InetAddress.TryParse(Family, address, mixed: false, out IpEndpoint remote);
        if (error != Errno.None)
        {
            return error;
        }

        if (_isConnecting)
        {
            error = ConnectResult();
            return error == Errno.EINPROGRESS ? Errno.EALREADY : error;
        }

        error = NetErrors.ToErrno(_endpoint.Connect(remote));
        _isConnecting = error == Errno.EINPROGRESS;
        return error;
    }

    public override Errno ConnectResult()
    {
        Errno error = NetErrors.ToErrno(_endpoint.ConnectResult());
        _isConnecting = error == Errno.EINPROGRESS;
        if (error is not (Errno.None or Errno.EINPROGRESS))
        {
            // The socket is as new, and may try again.
            _endpoint.Disconnect();
        }

        return error;
    }

    public override Errno Accept(ICaller caller, int flags, out SocketDescription? accepted)
    {
        accepted = null;
        NetError error = _endpoint.Accept(out TcpEndpoint? connection);
        if (error == NetError.None)
        {
            TcpSocket socket = new(Network, caller, Family, flags, connection!);
            socket.InheritOptions(this);
            socket.InheritIpOptions(this);
            accepted = socket;
        }

        return NetErrors.ToErrno(error);
    }

    public override int GetName(Span<byte> address) => InetAddress.Write(Family, _endpoint.Local, address);

    public override int GetPeerName(Span<byte> address) =>
        _endpoint.IsConnected ? InetAddress.Write(Family, _endpoint.Remote, address) : -(int)Errno.ENOTCONN;

    public override Errno Shutdown(int how) => NetErrors.ToErrno(_endpoint.Shutdown(how != Socket.SHUT_WR, how != Socket.SHUT_RD));

    public override byte ShutdownMask => _endpoint.ShutdownMask;

    /// <summary>TCP_INFO: the bytes written.</summary>
    public int WriteInfo(Span<byte> room) => TcpInfoBytes.Write(_endpoint, room);

    public int WriteCongestion(Span<byte> room) => TcpInfoBytes.WriteCongestion(_endpoint, room);

    public string CongestionName => _endpoint.CongestionName;

    protected override Errno TakeError() => NetErrors.ToErrno(_endpoint.TakeError());

    public override bool IsClosing => _endpoint.IsLingering;

    public override bool BeginClose()
    {
        _endpoint.Close();
        return _endpoint.IsLingering;
    }

    protected override void CloseEndpoint() => _endpoint.Close();

    public override long Send(ICaller caller, ref IoBuffer data, ref SendRequest request)
    {
        TcpSendFlags flags = (request.Flags & Socket.MSG_MORE) != 0 ? TcpSendFlags.More : TcpSendFlags.None;
        flags |= (request.Flags & Socket.MSG_OOB) != 0 ? TcpSendFlags.Urgent : TcpSendFlags.None;
        long total = 0;
        do
        {
            long n = SendStep(ref data, flags);
            if (n < 0)
            {
                return total > 0 ? total : n;
            }

            total += n;
        }
        while (data.Remaining > 0);
        return total;
    }

    public override long SendFirst(ICaller caller, ref IoBuffer data, ref SendRequest request)
    {
        if (InetAddress.FamilyOf(request.Address) == Socket.AF_UNSPEC && !request.Address.IsEmpty)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        Errno error = InetAddress.TryParse(Family, request.Address, mixed: false, out IpEndpoint remote);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        Span<byte> first = stackalloc byte[TcpEndpoint.MaximumSynData];
        first = first[..(int)Math.Min(first.Length, data.Remaining)];
        IoBuffer before = data;
        bool isRead = data.CopyIn(first) == first.Length;
        data = before;
        if (!isRead)
        {
            return -(long)Errno.EFAULT;
        }

        error = NetErrors.ToErrno(_endpoint.ConnectWithData(remote, first, out int sent));
        data.Advance(sent);
        _isConnecting |= error == Errno.EINPROGRESS;
        return error == Errno.EINPROGRESS && sent > 0 ? sent : -(long)error;
    }

    // Bytes taken, at least one unless the buffer is empty.
    private long SendStep(ref IoBuffer data, TcpSendFlags flags)
    {
        NetError error = _endpoint.CheckSend(out int room);
        if (error != NetError.None || data.Remaining == 0)
        {
            return -(long)NetErrors.ToErrno(error);
        }

        int length = (int)Math.Min(Math.Min(data.Remaining, room), WriteStep);
        if (length < data.Remaining)
        {
            // The rest follows at once: the last byte of this piece is no end, and not the urgent one.
            flags = (flags & ~TcpSendFlags.Urgent) | (length == room ? 0 : TcpSendFlags.More);
        }

        IoBuffer before = data;
        int sent;
        if (length <= SmallWrite)
        {
            Span<byte> bytes = stackalloc byte[SmallWrite];
            bytes = bytes[..length];
            if (data.CopyIn(bytes) < length)
            {
                data = before;
                return -(long)Errno.EFAULT;
            }

            error = _endpoint.Send(bytes, flags, out sent);
        }
        else
        {
            Slab? slab = Stack.Pool.TryRent(length);
            if (slab is null)
            {
                return -(long)Errno.ENOBUFS;
            }

            if (data.CopyIn(slab.Array.AsSpan(0, length)) < length)
            {
                slab.Release();
                data = before;
                return -(long)Errno.EFAULT;
            }

            error = _endpoint.Send(slab, 0, length, flags, out sent);
            slab.Release();
        }

        if (sent < length)
        {
            data = before;
            data.Advance(sent);
        }

        return error != NetError.None ? -(long)NetErrors.ToErrno(error) : sent;
    }

    public override long Receive(ICaller caller, ref IoBuffer data, ref ReceiveRequest request)
    {
        if ((request.Flags & Socket.MSG_ERRQUEUE) != 0)
        {
            return -(long)Errno.EAGAIN;
        }

        bool peek = (request.Flags & Socket.MSG_PEEK) != 0;
        if ((request.Flags & Socket.MSG_OOB) != 0)
        {
            return ReceiveUrgent(ref data, ref request, peek);
        }

        // One view holds all that may be read in one go: it ends before an urgent byte.
        int maximum = (int)Math.Min(data.Remaining, int.MaxValue);
        NetError error = _endpoint.BeginReceive(maximum, peek ? Math.Max(_peekOffset, 0) : 0, peek, out TcpReadView view);
        if (error != NetError.None)
        {
            return -(long)NetErrors.ToErrno(error);
        }

        long n = CopyOut(ref view, ref data, (request.Flags & Socket.MSG_TRUNC) != 0);
        _endpoint.EndReceive(peek || n < 0 ? 0 : (int)n);
        MovePeekOffset(n, peek);
        return n;
    }

    // With MSG_TRUNC the bytes are dropped.
    private static long CopyOut(ref TcpReadView view, ref IoBuffer data, bool discard)
    {
        long copied = 0;
        while (true)
        {
            ReadOnlySpan<byte> piece = view.Next(int.MaxValue);
            if (piece.IsEmpty)
            {
                return copied;
            }

            if (discard)
            {
                data.Advance(piece.Length);
                copied += piece.Length;
                continue;
            }

            long n = data.CopyOut(piece);
            if (n < piece.Length)
            {
                return copied + Math.Max(n, 0) > 0 ? copied + Math.Max(n, 0) : n;
            }

            copied += n;
        }
    }

    private long ReceiveUrgent(ref IoBuffer data, ref ReceiveRequest request, bool peek)
    {
        NetError error = _endpoint.ReceiveUrgent(peek, out byte value, out int count);
        if (error != NetError.None)
        {
            return -(long)NetErrors.ToErrno(error);
        }

        request.IsComplete = true;
        if (count == 0)
        {
            return 0;
        }

        request.ResultFlags |= Socket.MSG_OOB;
        if (data.Remaining == 0)
        {
            request.ResultFlags |= Socket.MSG_TRUNC;
            return 0;
        }

        return data.CopyOut(new ReadOnlySpan<byte>(in value));
    }

    // SO_PEEK_OFF; −1: off.
    private int _peekOffset = -1;

    private void MovePeekOffset(long n, bool peek)
    {
        if (_peekOffset >= 0 && n > 0)
        {
            _peekOffset = peek ? _peekOffset + (int)n : Math.Max(0, _peekOffset - (int)n);
        }
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument)
    {
        switch (command)
        {
            case Ioctls.FIONREAD:
                return IsListening ? -(long)Errno.EINVAL : CopyOutInt(caller, argument, _endpoint.ReadableBytes);
            case Ioctls.TIOCOUTQ:
                return IsListening ? -(long)Errno.EINVAL : CopyOutInt(caller, argument, _endpoint.UnackedBytes);
            case Socket.SIOCOUTQNSD:
                return IsListening ? -(long)Errno.EINVAL : CopyOutInt(caller, argument, _endpoint.UnsentBytes);
            case Socket.SIOCATMARK:
                return CopyOutInt(caller, argument, _endpoint.IsAtMark ? 1 : 0);
            default:
                return base.Ioctl(caller, command, argument);
        }
    }
}
