using System;
using System.Buffers;
using System.Runtime.InteropServices;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.HostInet;

/// <summary>A socket of the host's TCP/IP (--network=host). Data are copied; addresses and options are the host's own, from a list of those that are allowed.</summary>
/// <remarks>The host's socket never blocks. Its events come by an edge each (<see cref="HostWatcher.AddEdges"/>), and what it is ready for is asked of the host.</remarks>
internal sealed class HostInetSocketDescription : SocketDescription
{
    private const int MaxChunk = 64 << 10;
    private const int MaxControl = 512;
    private const int PrivilegedPorts = 1024;
    private const int SendFlags = Socket.MSG_OOB | Socket.MSG_DONTROUTE | Socket.MSG_EOR | Socket.MSG_CONFIRM | Socket.MSG_MORE;
    private const int ReceiveFlags = Socket.MSG_OOB | Socket.MSG_PEEK | Socket.MSG_TRUNC | Socket.MSG_ERRQUEUE;

    private readonly HostInetFamily _family;
    private readonly int _fd;
    private volatile bool _isConnecting;
    private volatile bool _isListening;

    /// <param name="family">Who watches it.</param>
    /// <param name="network">The first namespace.</param>
    /// <param name="creator">The caller of socket or accept.</param>
    /// <param name="domain">AF_INET or AF_INET6.</param>
    /// <param name="type">SOCK_STREAM or SOCK_DGRAM.</param>
    /// <param name="protocol">IPPROTO_*.</param>
    /// <param name="flags">SOCK_NONBLOCK.</param>
    /// <param name="fd">The host's socket; the description owns it.</param>
    public HostInetSocketDescription(HostInetFamily family, NetNamespace network, ICaller creator, int domain, int type, int protocol, int flags, int fd)
        : base(network, creator, domain, type, protocol, flags)
    {
        _family = family;
        _fd = fd;
        _ = family.Watcher.AddEdges(fd, Events);
    }

    public override WaitQueue Events { get; } = new();

    protected override bool IsListening => _isListening;

    public override EventMask Readiness(EventMask mask)
    {
        int events = HostEvents.Poll(_fd, unchecked((short)((uint)mask & 0x7fff)), 0);
        return events > 0 ? (EventMask)events & (mask | EventMask.Unmaskable) : EventMask.None;
    }

    public override Errno Bind(ICaller caller, ReadOnlySpan<byte> address)
    {
        // The sandbox may use these ports, so it has to look who asks.
        if (address.Length >= 4 && System.Buffers.Binary.BinaryPrimitives.ReadUInt16BigEndian(address[2..]) is > 0 and < PrivilegedPorts
            && !caller.Credentials.HasCapability(Capability.CAP_NET_BIND_SERVICE))
        {
            return Errno.EACCES;
        }

        return ToErrno(HostInetSocket.Bind(_fd, address));
    }

    public override Errno Listen(ICaller caller, int backlog)
    {
        Errno error = ToErrno(HostInetSocket.Listen(_fd, backlog));
        _isListening |= error == Errno.None;
        return error;
    }

    public override Errno Connect(ICaller caller, ReadOnlySpan<byte> address)
    {
        if (_isConnecting)
        {
            Errno result = ConnectResult();
            return result == Errno.EINPROGRESS ? Errno.EALREADY : result;
        }

        Errno error = ToErrno(HostInetSocket.Connect(_fd, address));
        _isConnecting = error == Errno.EINPROGRESS;
        return error;
    }

    public override Errno ConnectResult()
    {
        if (_isConnecting && HostEvents.Poll(_fd, Poll.POLLOUT, 0) == 0)
        {
            return Errno.EINPROGRESS;
        }

        _isConnecting = false;
        return TakeError();
    }

    public override Errno Accept(ICaller caller, int flags, out SocketDescription? accepted)
    {
        accepted = null;
        int fd = HostInetSocket.Accept(_fd);
        if (fd < 0)
        {
            return ToErrno(fd);
        }

        HostInetSocketDescription socket = new(_family, Network, caller, Family, Type, Protocol, flags, fd);
        socket.InheritOptions(this);
        accepted = socket;
        return Errno.None;
    }

    public override int GetName(Span<byte> address) => HostInetSocket.GetName(_fd, address, peer: false);

    public override int GetPeerName(Span<byte> address) => HostInetSocket.GetName(_fd, address, peer: true);

    public override Errno Shutdown(int how) => ToErrno(HostInetSocket.Shutdown(_fd, how));

    protected override Errno TakeError()
    {
        Span<byte> value = stackalloc byte[sizeof(int)];
        int n = HostInetSocket.GetOption(_fd, Socket.SOL_SOCKET, Socket.SO_ERROR, value);
        return n < 0 ? ToErrno(n) : (Errno)MemoryMarshal.Read<int>(value);
    }

    public override long SetOption(ICaller caller, int level, int name, ReadOnlySpan<byte> value)
    {
        if (HostInetOptions.MaySet(level, name))
        {
            long result = HostInetSocket.SetOption(_fd, level, name, value);

            // What the base looks at itself it must know, too.
            return result >= 0 && level == Socket.SOL_SOCKET ? base.SetOption(caller, level, name, value) : result;
        }

        return level == Socket.SOL_SOCKET ? base.SetOption(caller, level, name, value) : -(long)Errno.ENOPROTOOPT;
    }

    public override long GetOption(ICaller caller, int level, int name, Span<byte> value)
    {
        if (HostInetOptions.MayGet(level, name))
        {
            return HostInetSocket.GetOption(_fd, level, name, value);
        }

        return level == Socket.SOL_SOCKET ? base.GetOption(caller, level, name, value) : -(long)Errno.ENOPROTOOPT;
    }

    public override long Send(ICaller caller, ref IoBuffer data, ref SendRequest request)
    {
        if (!IsForwarded(request.Control))
        {
            return -(long)Errno.EINVAL;
        }

        int chunk = IsStream ? MaxChunk : ushort.MaxValue;
        if (!IsStream && data.Remaining > chunk)
        {
            return -(long)Errno.EMSGSIZE;
        }

        byte[] buffer = ArrayPool<byte>.Shared.Rent((int)Math.Min(data.Remaining, chunk));
        long total = 0;
        while (true)
        {
            IoBuffer before = data;
            int length = (int)Math.Min(data.Remaining, chunk);
            long n = length == 0 ? 0 : data.CopyIn(buffer.AsSpan(0, length));
            if (n == length)
            {
                int flags = (request.Flags & SendFlags) | (length < before.Remaining ? Socket.MSG_MORE : 0);
                n = HostInetSocket.Send(_fd, buffer.AsSpan(0, length), request.Address, request.Control, flags);
            }
            else
            {
                n = -(long)Errno.EFAULT;
            }

            if (n < length)
            {
                data = before;
                data.Advance((int)Math.Max(n, 0));
            }

            total += Math.Max(n, 0);
            if (n < length || data.Remaining == 0)
            {
                ArrayPool<byte>.Shared.Return(buffer);
                return total > 0 || n >= 0 ? total : n == -(long)Errno.EINTR ? -(long)Errno.EAGAIN : n;
            }
        }
    }

    public override long Receive(ICaller caller, ref IoBuffer data, ref ReceiveRequest request)
    {
        Span<byte> control = stackalloc byte[MaxControl];
        int flags = request.Flags & ReceiveFlags;
        int length = (int)Math.Min(data.Remaining, MaxChunk);

        // Bytes of a stream that are dropped have no place to go; a datagram's true length is asked for by the flag.
        byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(length, 1));
        long n = HostInetSocket.Receive(_fd, buffer.AsSpan(0, length), request.Address, request.IsPlainRead ? default : control, ref flags, out int addressLength, out int controlLength);
        if (n > 0 && !(IsStream && (request.Flags & Socket.MSG_TRUNC) != 0))
        {
            int came = (int)Math.Min(n, length);
            long copied = data.CopyOut(buffer.AsSpan(0, came));
            n = copied < came ? (IsStream && copied > 0 ? copied : -(long)Errno.EFAULT) : n;
        }

        ArrayPool<byte>.Shared.Return(buffer);
        if (n < 0)
        {
            return n == -(long)Errno.EINTR ? -(long)Errno.EAGAIN : n;
        }

        request.AddressLength = addressLength;
        request.ResultFlags |= flags & (Socket.MSG_TRUNC | Socket.MSG_CTRUNC | Socket.MSG_OOB | Socket.MSG_ERRQUEUE | Socket.MSG_EOR);
        AddControl(ref request.Control, control[..controlLength]);
        return n;
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument)
    {
        if (command is not (Ioctls.FIONREAD or Ioctls.TIOCOUTQ))
        {
            return base.Ioctl(caller, command, argument);
        }

        int result = HostFile.IoctlInt(_fd, command, out int value);
        return result < 0 ? result : CopyOutInt(caller, argument, value);
    }

    protected override void OnSocketRelease()
    {
        _family.Watcher.Remove(_fd);
        HostFile.Close(_fd);
    }

    // Only messages of the internet protocols go to the host.
    private static bool IsForwarded(ReadOnlySpan<byte> control)
    {
        while (control.Length >= ControlWriter.HeaderSize)
        {
            long length = MemoryMarshal.Read<long>(control);
            int level = MemoryMarshal.Read<int>(control[8..]);
            if (length < ControlWriter.HeaderSize || length > control.Length || level is not (Socket.IPPROTO_IP or Socket.IPPROTO_IPV6 or Socket.IPPROTO_UDP))
            {
                return false;
            }

            control = control[Math.Min(ControlWriter.Align((int)length), control.Length)..];
        }

        return true;
    }

    private static void AddControl(ref ControlWriter to, scoped ReadOnlySpan<byte> control)
    {
        while (control.Length >= ControlWriter.HeaderSize)
        {
            long length = MemoryMarshal.Read<long>(control);
            int level = MemoryMarshal.Read<int>(control[8..]);
            if (length < ControlWriter.HeaderSize || length > control.Length)
            {
                return;
            }

            if (level is Socket.IPPROTO_IP or Socket.IPPROTO_IPV6 or Socket.IPPROTO_UDP or Socket.IPPROTO_TCP)
            {
                to.Add(level, MemoryMarshal.Read<int>(control[12..]), control[ControlWriter.HeaderSize..(int)length]);
            }

            control = control[Math.Min(ControlWriter.Align((int)length), control.Length)..];
        }
    }

    private static Errno ToErrno(int result) => result >= 0 ? Errno.None : (Errno)(-result);
}
