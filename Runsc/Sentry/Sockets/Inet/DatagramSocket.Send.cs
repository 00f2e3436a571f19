using System;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Transport;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>Sending, and packets that are put together by several calls (MSG_MORE, UDP_CORK).</summary>
internal sealed partial class DatagramSocket
{
    // The length fields of IPv4 and IPv6, and what of it the IPv4 and UDP headers take.
    private const int MaximumPacket = 65535;
    private const int HeaderV4 = 20;
    private const int HeaderUdp = 8;

    private readonly Lock _corkMu = new();

    // The packet that is being put together, and its address and options, which are those of the first piece. Guarded by _corkMu.
    private byte[]? _corked;
    private int _corkedLength;
    private DatagramSend _corkedSend;

    // UDP_CORK.
    private volatile bool _isCorking;

    public override long Send(ICaller caller, ref IoBuffer data, ref SendRequest request)
    {
        DatagramSend send = new() { TrafficClass = -1, OnLinkOnly = (request.Flags & Socket.MSG_DONTROUTE) != 0, GsoSize = _gsoSize };
        bool isCorked;
        lock (_corkMu)
        {
            isCorked = _corked is not null;
        }

        if (!isCorked)
        {
            Errno error = ReadDestination(request, ref send);
            error = error == Errno.None ? InetControl.Parse(IsV6, request.Control, ref send) : error;
            if (error != Errno.None)
            {
                return -(long)error;
            }
        }

        bool more = _isCorking || (request.Flags & Socket.MSG_MORE) != 0;
        return isCorked || (more && _endpoint is UdpEndpoint) ? SendPiece(ref data, send, more) : SendPacket(ref data, send);
    }

    private Errno ReadDestination(in SendRequest request, ref DatagramSend send)
    {
        bool urgent = (request.Flags & Socket.MSG_OOB) != 0;
        if (!IsV6 && urgent)
        {
            return Errno.EOPNOTSUPP;
        }

        if (request.Address.IsEmpty)
        {
            return !_endpoint.IsConnected ? Errno.EDESTADDRREQ : urgent && _endpoint.Remote.Address.IsV4 ? Errno.EOPNOTSUPP : Errno.None;
        }

        Errno error = InetAddress.TryParse(Family, request.Address, mixed: true, out IpEndpoint destination);
        if (error != Errno.None)
        {
            return error;
        }

        send.Destination = destination;
        send.HasDestination = true;
        return destination.Port == 0 && _endpoint is UdpEndpoint ? Errno.EINVAL
            : urgent && destination.Address.IsV4 ? Errno.EOPNOTSUPP : Errno.None;
    }

    // The most that a packet to this address may carry.
    private int Limit(in DatagramSend send)
    {
        bool v4 = (send.HasDestination ? send.Destination : _endpoint.Remote).Address.IsV4;
        return MaximumPacket - (v4 && Type != Socket.SOCK_RAW ? HeaderV4 : 0) - (Type != Socket.SOCK_RAW ? HeaderUdp : 0);
    }

    private long SendPacket(ref IoBuffer data, in DatagramSend send)
    {
        if (data.Remaining > Limit(send))
        {
            return -(long)NetErrors.ToErrno(_endpoint.RefuseTooLong(send, data.Remaining));
        }

        int length = (int)data.Remaining;
        PacketBuffer? packet = Stack.Pool.TryAllocate(PacketBuffer.Headroom, Math.Max(length, 1));
        if (packet is null)
        {
            return -(long)Errno.ENOBUFS;
        }

        IoBuffer before = data;
        if (length > 0 && data.CopyIn(packet.Append(length)) < length)
        {
            packet.Release();
            data = before;
            return -(long)Errno.EFAULT;
        }

        NetError error = _endpoint.Send(packet, send);
        if (error != NetError.None)
        {
            data = before;
            return -(long)NetErrors.ToErrno(error);
        }

        return length;
    }

    // Adds to the packet in the making; without more to come it leaves.
    private long SendPiece(ref IoBuffer data, in DatagramSend send, bool more)
    {
        if (data.Remaining > MaximumPacket)
        {
            DropCorked();
            return -(long)Errno.EMSGSIZE;
        }

        byte[] piece = new byte[data.Remaining];
        IoBuffer before = data;
        if (data.CopyIn(piece) < piece.Length)
        {
            data = before;
            DropCorked();
            return -(long)Errno.EFAULT;
        }

        lock (_corkMu)
        {
            if (_corked is null)
            {
                _corkedSend = send;
                _corkedLength = 0;
            }

            int length = _corkedLength + piece.Length;
            if (length > Limit(_corkedSend))
            {
                _corked = null;
                return -(long)Errno.EMSGSIZE;
            }

            byte[] whole = _corked ?? new byte[Math.Max(length, 2048)];
            if (whole.Length < length)
            {
                Array.Resize(ref whole, Math.Min(length * 2, MaximumPacket));
            }

            piece.CopyTo(whole, _corkedLength);
            _corked = whole;
            _corkedLength = length;
        }

        Errno error = more ? Errno.None : FlushCorked();
        return error != Errno.None ? -(long)error : piece.Length;
    }

    private void DropCorked()
    {
        lock (_corkMu)
        {
            _corked = null;
        }
    }

    // Sends the packet in the making, if there is one.
    private Errno FlushCorked()
    {
        byte[] whole;
        int length;
        DatagramSend send;
        lock (_corkMu)
        {
            if (_corked is null)
            {
                return Errno.None;
            }

            (whole, length, send) = (_corked, _corkedLength, _corkedSend);
            _corked = null;
        }

        PacketBuffer? packet = Stack.Pool.TryAllocate(PacketBuffer.Headroom, Math.Max(length, 1));
        if (packet is null)
        {
            return Errno.ENOBUFS;
        }

        if (length > 0)
        {
            whole.AsSpan(0, length).CopyTo(packet.Append(length));
        }

        return NetErrors.ToErrno(_endpoint.Send(packet, send));
    }

    private long SetCork(bool on)
    {
        _isCorking = on;
        return on ? 0 : -(long)FlushCorked();
    }
}
