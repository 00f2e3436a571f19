using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Sockets.Unix;

internal sealed partial class UnixEndpoint
{
    /// <summary>What one message of a stream holds at most.</summary>
    private const int StreamPiece = 32768;

    /// <summary>Sends what has room. ENOTCONN, EPIPE, EAGAIN, EFAULT, …</summary>
    public long SendStream(ICaller caller, ref IoBuffer data, ref SendRequest request)
    {
        if (!request.Address.IsEmpty)
        {
            return _state == UnixState.Connected ? -(long)Errno.EISCONN : -(long)Errno.EOPNOTSUPP;
        }

        if (_peer is not { } peer)
        {
            return -(long)Errno.ENOTCONN;
        }

        bool urgent = (request.Flags & Linux.Socket.MSG_OOB) != 0;
        if (urgent && data.Remaining == 0)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        long sent = 0;
        while (data.Remaining > 0)
        {
            long n = SendPiece(caller, peer, ref data, ref request, urgent);
            if (n < 0)
            {
                return sent > 0 ? sent : n;
            }

            sent += n;
        }

        return sent;
    }

    private long SendPiece(ICaller caller, UnixEndpoint peer, ref IoBuffer data, ref SendRequest request, bool urgent)
    {
        if ((_shutdown & WriteShut) != 0)
        {
            return -(long)Errno.EPIPE;
        }

        if (_error != Errno.None && TakeError() is var error && error != Errno.None)
        {
            return -(long)error;
        }

        int limit = SendLimit;
        if (Volatile.Read(ref _sent) >= limit)
        {
            return -(long)Errno.EAGAIN;
        }

        int length = (int)Math.Min(data.Remaining, Math.Min(StreamPiece, Math.Max((limit / 2) - 64, 1)));
        bool isUrgent = urgent && length == data.Remaining;
        if (isUrgent && length > 1)
        {
            // The urgent byte is a message of its own.
            length--;
            isUrgent = false;
        }

        UnixMessage? message = NewMessage(peer, length);
        if (message is null)
        {
            return -(long)Errno.ENOBUFS;
        }

        long n = data.CopyIn(message.Data.AsSpan(0, length));
        if (n < length)
        {
            Recycle(message);
            return -(long)Errno.EFAULT;
        }

        message.IsUrgent = isUrgent;
        Sign(message, peer, caller, request);
        Errno failure = Push(peer, message, ref request);
        if (failure != Errno.None)
        {
            Recycle(message);
            return -(long)failure;
        }

        peer.Events.Notify(isUrgent ? EventMask.Readable | EventMask.Pri : EventMask.Readable);
        return n;
    }

    /// <summary>Puts a message of a connection into the peer's queue. EPIPE when it takes no more.</summary>
    private Errno Push(UnixEndpoint peer, UnixMessage message, ref SendRequest request)
    {
        if (request.Rights is not null)
        {
            Errno error = Network.System.InFlight.Add(request.Rights, peer, request.Limits, out message.Rights);
            if (error != Errno.None)
            {
                return error;
            }
        }

        bool taken;
        lock (peer._mu)
        {
            taken = !peer._dead && (peer._shutdown & ReadShut) == 0;
            if (taken)
            {
                peer.AppendLocked(message);
                if (message.IsUrgent)
                {
                    peer._urgent = message;
                }
            }
        }

        if (taken)
        {
            request.Rights = null;
        }
        else if (message.Rights is RightsBundle rights)
        {
            // The references stay the caller's.
            Network.System.InFlight.Take(rights);
        }

        return taken ? Errno.None : Errno.EPIPE;
    }

    /// <summary>Takes, or looks at, bytes of the stream. 0 at its end; EAGAIN, EINVAL when not connected, ECONNRESET.</summary>
    public long ReceiveStream(ref IoBuffer data, ref ReceiveRequest request)
    {
        if (_state != UnixState.Connected)
        {
            return -(long)Errno.EINVAL;
        }

        lock (_readMu)
        {
            return (request.Flags & Linux.Socket.MSG_OOB) != 0 ? ReceiveUrgent(ref data, ref request)
                : (request.Flags & Linux.Socket.MSG_PEEK) != 0 ? PeekStream(ref data, ref request)
                : TakeStream(ref data, ref request);
        }
    }

    private long TakeStream(ref IoBuffer data, ref ReceiveRequest request)
    {
        long copied = 0;
        while (true)
        {
            UnixMessage? message;
            lock (_mu)
            {
                message = NextLocked(copied > 0 || request.HasData, ref request);
                if (message is null)
                {
                    return copied > 0 ? copied : request.IsComplete ? 0 : EndOf(EmptyLocked(), ref request);
                }
            }

            if (!Joins(message, ref request))
            {
                request.IsComplete = true;
                return copied;
            }

            int chunk = (int)Math.Min(data.Remaining, message.Length);
            long n = chunk == 0 ? 0 : data.CopyOut(message.Bytes[..chunk]);
            if (n < 0)
            {
                return copied > 0 ? copied : n;
            }

            copied += n;
            request.HasData = true;
            if (message.Rights is RightsBundle rights)
            {
                message.Rights = null;
                request.Rights = Network.System.InFlight.Take(rights);
                request.IsComplete = true;
            }

            bool finished = n == message.Length;
            lock (_mu)
            {
                if (finished)
                {
                    RemoveHeadLocked();
                }
                else
                {
                    message.Start += (int)n;
                    _bytes -= n;
                }
            }

            if (PeekOffset > 0)
            {
                PeekOffset = (int)Math.Max(0, PeekOffset - n);
            }

            if (finished)
            {
                Recycle(message);
            }

            if (!finished || request.IsComplete || data.Remaining == 0)
            {
                return copied;
            }
        }
    }

    private long PeekStream(ref IoBuffer data, ref ReceiveRequest request)
    {
        long copied = 0;
        int skip = Math.Max(PeekOffset, 0);
        UnixMessage? message;
        lock (_mu)
        {
            message = _head;
            while (message is not null && (skip >= message.Length || IsHiddenLocked(message)))
            {
                skip -= IsHiddenLocked(message) ? 0 : message.Length;
                message = message.Next;
            }

            if (message is null)
            {
                return EmptyLocked();
            }
        }

        // What is in the queue stays in it while _readMu is held, and its members are constant; only the tail's Next may be set meanwhile.
        while (message is not null && data.Remaining > 0 && Joins(message, ref request))
        {
            int chunk = (int)Math.Min(data.Remaining, message.Length - skip);
            long n = data.CopyOut(message.Bytes.Slice(skip, chunk));
            if (n < 0)
            {
                copied = copied > 0 ? copied : n;
                break;
            }

            copied += n;
            skip = 0;
            if (message.Rights is RightsBundle rights)
            {
                request.Rights = Network.System.InFlight.Duplicate(rights);
                break;
            }

            lock (_mu)
            {
                message = message.Next;
                if (message is not null && message.IsUrgent && message == _urgent)
                {
                    message = null;
                }
            }
        }

        if (PeekOffset >= 0 && copied > 0)
        {
            PeekOffset += (int)copied;
        }

        request.IsComplete = true;
        return copied;
    }

    // An urgent byte that is not read inline, or the mark where one was.
    private bool IsHiddenLocked(UnixMessage message) =>
        message.IsUrgent && (message.Length == 0 || (message == _urgent && Socket?.Has(SocketFlags.OobInline) != true));

    /// <summary>
    /// The message to read from. A read stops before the urgent byte; one that begins there drops it, unless it is to be read inline.
    /// Linux: manage_oob.
    /// </summary>
    private UnixMessage? NextLocked(bool hasData, ref ReceiveRequest request)
    {
        while (_head is { IsUrgent: true } head)
        {
            if (hasData && (head == _urgent || (head.Length == 0 && _urgent is null)))
            {
                request.IsComplete = true;
                return null;
            }

            bool isCurrent = head == _urgent;
            if (isCurrent)
            {
                _urgent = null;
            }

            if (head.Length > 0 && (!isCurrent || Socket?.Has(SocketFlags.OobInline) == true))
            {
                return head;
            }

            RemoveHeadLocked();
            head.Sender!.ReturnCharge(head);
        }

        return _head;
    }

    // Under _mu: Recycle would notify.
    private void ReturnCharge(UnixMessage message)
    {
        Network.System.Uncharge(message.Charge);
        Interlocked.Add(ref _sent, -message.Charge);
        message.Reset();
    }

    private long ReceiveUrgent(ref IoBuffer data, ref ReceiveRequest request)
    {
        byte value;
        lock (_mu)
        {
            if (_urgent is not { } message || Socket?.Has(SocketFlags.OobInline) == true)
            {
                return -(long)Errno.EINVAL;
            }

            value = message.Bytes[0];
            if ((request.Flags & Linux.Socket.MSG_PEEK) == 0)
            {
                // It stays in the queue as a mark, empty.
                message.Start++;
                _bytes--;
                _urgent = null;
            }
        }

        ReadOnlySpan<byte> one = new(in value);
        request.ResultFlags |= Linux.Socket.MSG_OOB;
        request.IsComplete = true;
        if (data.Remaining == 0)
        {
            request.ResultFlags |= Linux.Socket.MSG_TRUNC;
            return 0;
        }

        return data.CopyOut(one);
    }

    // Who reads the end of a stream and asked for credentials gets some that are nobody's.
    private long EndOf(long result, ref ReceiveRequest request)
    {
        if (result == 0 && !request.HasData && !request.IsPlainRead && Socket?.Has(SocketFlags.PassCredentials) == true)
        {
            request.Control.Add(Linux.Socket.SOL_SOCKET, Linux.Socket.SCM_CREDENTIALS, default(UserCredentials));
        }

        return result;
    }

    // Nothing to read: an error, the end, or later.
    private long EmptyLocked()
    {
        if (_error != Errno.None)
        {
            Errno error = _error;
            _error = Errno.None;
            return -(long)error;
        }

        return (_shutdown & ReadShut) != 0 ? 0 : -(long)Errno.EAGAIN;
    }

    // Bytes of several senders are not joined when the receiver asked who sent them.
    private bool Joins(UnixMessage message, ref ReceiveRequest request)
    {
        if (request.Sender is UserCredentials first)
        {
            return first == message.Credentials;
        }

        if (!request.HasData)
        {
            TellSender(message, ref request);
        }

        if (Socket?.Has(SocketFlags.PassCredentials | SocketFlags.PassPidFd) == true)
        {
            request.Sender = message.Credentials;
        }

        return true;
    }
}
