using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Unix;

internal sealed partial class UnixEndpoint
{
    /// <summary>Sends one message of a datagram or SOCK_SEQPACKET socket, whole or not at all.</summary>
    public long SendMessage(ICaller caller, ref IoBuffer data, ref SendRequest request)
    {
        if (_error != Errno.None && TakeError() is var pending && pending != Errno.None)
        {
            return -(long)pending;
        }

        bool addressed = !request.Address.IsEmpty && Type == Linux.Socket.SOCK_DGRAM;
        if (Type == Linux.Socket.SOCK_SEQPACKET && _state != UnixState.Connected)
        {
            return -(long)Errno.ENOTCONN;
        }

        if ((request.Flags & Linux.Socket.MSG_OOB) != 0)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        UnixEndpoint? receiver = null;
        Errno error = Errno.None;
        if (addressed)
        {
            error = Find(caller, request.Address, out receiver);
            error = error == Errno.None ? BindWhenKnown() : error;
        }
        else
        {
            receiver = _peer;
            error = receiver is null ? Errno.ENOTCONN : BindWhenKnown();
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (data.Remaining > SendLimit - 32)
        {
            return -(long)Errno.EMSGSIZE;
        }

        if ((_shutdown & WriteShut) != 0)
        {
            return -(long)Errno.EPIPE;
        }

        if (Volatile.Read(ref _sent) >= SendLimit || IsFullFor(receiver!))
        {
            return -(long)Errno.EAGAIN;
        }

        return Deliver(caller, receiver!, ref data, ref request);
    }

    private bool IsFullFor(UnixEndpoint receiver) => receiver != this && receiver._peer != this && receiver.WaitForRoom(this);

    private long Deliver(ICaller caller, UnixEndpoint receiver, ref IoBuffer data, ref SendRequest request)
    {
        int length = (int)data.Remaining;
        UnixMessage? message = NewMessage(receiver, length);
        if (message is null)
        {
            return -(long)Errno.ENOBUFS;
        }

        IoBuffer whole = data;
        if (data.CopyIn(message.Data.AsSpan(0, length)) < length)
        {
            data = whole;
            Recycle(message);
            return -(long)Errno.EFAULT;
        }

        Sign(message, receiver, caller, request);
        if (receiver.Socket?.Has(SocketFlags.Timestamp | SocketFlags.TimestampNanoseconds) == true)
        {
            message.Timestamp = Network.System.Kernel.Clock.Realtime;
        }

        if (receiver.Socket?.Filter is { } filter)
        {
            // What the receiver's filter refuses is dropped, and the sender does not hear of it.
            int kept = Math.Min(filter.Run(message.Data.AsSpan(0, length)), length);
            if (kept == 0)
            {
                Recycle(message);
                return length;
            }

            message.End = message.Start + kept;
        }

        Errno error = PushDatagram(receiver, message, ref request);
        if (error != Errno.None)
        {
            data = whole;
            Recycle(message);
            return -(long)error;
        }

        receiver.Events.Notify(EventMask.Readable);
        return length;
    }

    private Errno PushDatagram(UnixEndpoint receiver, UnixMessage message, ref SendRequest request)
    {
        if (request.Rights is not null)
        {
            Errno error = Network.System.InFlight.Add(request.Rights, receiver, request.Limits, out message.Rights);
            if (error != Errno.None)
            {
                return error;
            }
        }

        Errno failure = Errno.None;
        lock (receiver._mu)
        {
            if (receiver._dead)
            {
                failure = Type == Linux.Socket.SOCK_SEQPACKET ? Errno.EPIPE : Errno.ECONNREFUSED;
            }
            else if (!MaySendTo(receiver))
            {
                failure = Errno.EPERM;
            }
            else if ((receiver._shutdown & ReadShut) != 0)
            {
                failure = Errno.EPIPE;
            }
            else if (receiver != this && receiver._peer != this && receiver._count > receiver._backlog)
            {
                (receiver._waiting ??= []).Add(this);
                failure = Errno.EAGAIN;
            }
            else
            {
                receiver.AppendLocked(message);
            }
        }

        if (failure == Errno.None)
        {
            request.Rights = null;
            return failure;
        }

        if (message.Rights is RightsBundle rights)
        {
            // The references stay the caller's.
            Network.System.InFlight.Take(rights);
        }

        if (failure == Errno.ECONNREFUSED && _peer == receiver)
        {
            // A peer that is gone is forgotten: the next send says ENOTCONN.
            lock (_mu)
            {
                _peer = _peer == receiver ? null : _peer;
                _state = UnixState.Unconnected;
            }
        }

        return failure;
    }

    /// <summary>Takes, or looks at, one message. EAGAIN, ENOTCONN, a pending error; 0 when shut.</summary>
    public long ReceiveMessage(ref IoBuffer data, ref ReceiveRequest request)
    {
        if (Type == Linux.Socket.SOCK_SEQPACKET && _state != UnixState.Connected)
        {
            return -(long)Errno.ENOTCONN;
        }

        if ((request.Flags & Linux.Socket.MSG_OOB) != 0)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        bool peek = (request.Flags & Linux.Socket.MSG_PEEK) != 0;
        long result;
        bool wasFull = false;
        lock (_readMu)
        {
            int skip = peek ? Math.Max(PeekOffset, 0) : 0;
            UnixMessage? message;
            lock (_mu)
            {
                if (_error != Errno.None)
                {
                    Errno error = _error;
                    _error = Errno.None;
                    return -(long)error;
                }

                message = _head;
                while (message is not null && skip > 0 && skip >= message.Length)
                {
                    skip -= message.Length;
                    message = message.Next;
                }

                if (message is null)
                {
                    // The end is told at once where nothing can follow; a reader that waits on a datagram socket learns it too.
                    bool shut = (_shutdown & ReadShut) != 0;
                    request.IsShut = shut;
                    return shut && Type == Linux.Socket.SOCK_SEQPACKET ? 0 : -(long)Errno.EAGAIN;
                }
            }

            result = Hand(message, skip, peek, ref data, ref request);
            if (peek && PeekOffset >= 0 && result >= 0)
            {
                PeekOffset += (int)Math.Min(result, message.Length);
            }

            if (!peek)
            {
                PeekOffset = PeekOffset > 0 ? Math.Max(0, PeekOffset - message.Length) : PeekOffset;
                lock (_mu)
                {
                    wasFull = _count > _backlog || _waiting is not null;
                    RemoveHeadLocked();
                }

                // Linux, too, has lost a message that could not be copied.
                if (message.Rights is RightsBundle left)
                {
                    Network.System.InFlight.Discard(left);
                }

                Recycle(message);
            }
        }

        if (wasFull)
        {
            WakeWaiting();
        }

        request.IsComplete = true;
        return result;
    }

    private long Hand(UnixMessage message, int skip, bool peek, ref IoBuffer data, ref ReceiveRequest request)
    {
        ReadOnlySpan<byte> bytes = message.Bytes[skip..];
        int length = (int)Math.Min(bytes.Length, data.Remaining);
        if (length > 0 && data.CopyOut(bytes[..length]) < length)
        {
            return -(long)Errno.EFAULT;
        }

        if (length < bytes.Length)
        {
            request.ResultFlags |= Linux.Socket.MSG_TRUNC;
        }

        TellSender(message, ref request);
        if (message.Rights is RightsBundle rights)
        {
            if (peek)
            {
                request.Rights = Network.System.InFlight.Duplicate(rights);
            }
            else
            {
                message.Rights = null;
                request.Rights = Network.System.InFlight.Take(rights);
            }
        }

        return (request.Flags & Linux.Socket.MSG_TRUNC) != 0 ? bytes.Length : length;
    }
}
