using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>Waiting for sockets: MSG_DONTWAIT, MSG_WAITALL, SO_RCVLOWAT and the timeouts, which the sockets themselves know nothing of.</summary>
internal static class SocketIo
{
    /// <summary>Receives as the flags, the description and the options say.</summary>
    public static long Receive(Task task, SocketDescription socket, ref IoBuffer buffer, ref ReceiveRequest request)
    {
        const int immediate = Socket.MSG_DONTWAIT | Socket.MSG_ERRQUEUE;
        bool dontWait = (request.Flags & immediate) != 0 || socket.IsNonBlocking;
        long wanted = WantedBytes(socket, buffer.Remaining, request.Flags);
        long total = socket.Receive(task, ref buffer, ref request);
        if (dontWait || IsEnough(total, wanted, request))
        {
            return total;
        }

        Deadline deadline = Deadline.After(socket.ReceiveTimeout);
        TaskWaiter waiter = task.BeginWait(EventMask.Readable | EventMask.ReadHup | EventMask.Pri);
        socket.Register(waiter);
        total = Math.Max(total, 0);
        while (true)
        {
            long n = socket.Receive(task, ref buffer, ref request);
            if (n >= 0)
            {
                total += n;
                if (n == 0 || IsEnough(total, wanted, request))
                {
                    break;
                }

                continue;
            }

            if (n != -(long)Errno.EAGAIN)
            {
                total = total > 0 ? total : n;
                break;
            }

            if (request.IsShut)
            {
                break;
            }

            Errno error = task.Block(deadline);
            if (error != Errno.None)
            {
                total = total > 0 ? total : -(long)AfterWait(error, deadline);
                break;
            }
        }

        socket.Unregister(waiter);
        task.EndWait(waiter);
        return total;
    }

    /// <summary>Sends all of the buffer, unless the flags or the description say not to wait; SIGPIPE when a stream is closed.</summary>
    public static long Send(Task task, SocketDescription socket, ref IoBuffer buffer, ref SendRequest request)
    {
        bool dontWait = (request.Flags & Socket.MSG_DONTWAIT) != 0 || socket.IsNonBlocking;
        long n = (request.Flags & Socket.MSG_FASTOPEN) != 0 ? SendFirst(task, socket, ref buffer, ref request, dontWait) : socket.Send(task, ref buffer, ref request);
        socket.WasFull |= n == -(long)Errno.EAGAIN;
        if (!dontWait && (n == -(long)Errno.EAGAIN || (n >= 0 && socket.IsStream && buffer.Remaining > 0)))
        {
            n = SendRest(task, socket, ref buffer, ref request, Math.Max(n, 0));
        }

        if (n == -(long)Errno.EPIPE && (request.Flags & Socket.MSG_NOSIGNAL) == 0)
        {
            socket.BrokenPipe(task);
        }

        return n;
    }

    // MSG_FASTOPEN: connects, then sends what did not leave with the SYN. A connection's flag counts once.
    private static long SendFirst(Task task, SocketDescription socket, ref IoBuffer buffer, ref SendRequest request, bool dontWait)
    {
        long n = socket.SendFirst(task, ref buffer, ref request);
        request.Flags &= ~Socket.MSG_FASTOPEN;
        if (dontWait || socket.Family == Socket.AF_UNIX || !socket.IsStream || (n < 0 && n != -(long)Errno.EINPROGRESS))
        {
            return n;
        }

        Errno error = AwaitConnection(task, socket, request.Address, isUnderWay: true);
        return error != Errno.None ? -(long)error : Math.Max(n, 0);
    }

    private static long SendRest(Task task, SocketDescription socket, ref IoBuffer buffer, ref SendRequest request, long done)
    {
        Deadline deadline = Deadline.After(socket.SendTimeout);
        TaskWaiter waiter = task.BeginWait(EventMask.Writable);
        socket.Register(waiter);
        while (true)
        {
            long n = socket.Send(task, ref buffer, ref request);
            if (n >= 0)
            {
                done += n;
                if (!socket.IsStream || buffer.Remaining == 0)
                {
                    break;
                }

                continue;
            }

            if (n != -(long)Errno.EAGAIN)
            {
                done = done > 0 ? done : n;
                break;
            }

            Errno error = task.Block(deadline);
            if (error != Errno.None)
            {
                done = done > 0 ? done : -(long)AfterWait(error, deadline);
                break;
            }
        }

        socket.Unregister(waiter);
        task.EndWait(waiter);
        return done;
    }

    /// <summary>connect(2), waiting for its end unless the description is non-blocking.</summary>
    public static Errno Connect(Task task, SocketDescription socket, ReadOnlySpan<byte> address)
    {
        Errno error = socket.Connect(task, address);
        socket.WasFull |= error == Errno.EINPROGRESS;
        if (error is not (Errno.EAGAIN or Errno.EINPROGRESS) || socket.IsNonBlocking)
        {
            return error;
        }

        return AwaitConnection(task, socket, address, isUnderWay: error == Errno.EINPROGRESS);
    }

    private static Errno AwaitConnection(Task task, SocketDescription socket, ReadOnlySpan<byte> address, bool isUnderWay)
    {
        Errno error;
        Deadline deadline = Deadline.After(socket.SendTimeout);
        TaskWaiter waiter = task.BeginWait(EventMask.Writable);
        socket.Register(waiter);
        while (true)
        {
            error = isUnderWay ? socket.ConnectResult() : socket.Connect(task, address);
            isUnderWay |= error == Errno.EINPROGRESS;
            if (error is not (Errno.EAGAIN or Errno.EINPROGRESS))
            {
                break;
            }

            Errno waited = task.Block(deadline);
            if (waited != Errno.None)
            {
                // A connection that is under way goes on.
                error = waited == Errno.ETIMEDOUT ? (isUnderWay ? Errno.EINPROGRESS : Errno.EAGAIN) : AfterWait(waited, deadline);
                break;
            }
        }

        socket.Unregister(waiter);
        task.EndWait(waiter);
        return error;
    }

    /// <summary>accept(2), waiting for a connection unless the description is non-blocking.</summary>
    public static Errno Accept(Task task, SocketDescription socket, int flags, out SocketDescription? accepted)
    {
        Errno error = socket.Accept(task, flags, out accepted);
        if (error != Errno.EAGAIN || socket.IsNonBlocking)
        {
            return error;
        }

        Deadline deadline = Deadline.After(socket.ReceiveTimeout);
        TaskWaiter waiter = task.BeginWait(EventMask.Readable | EventMask.ReadHup);
        socket.Register(waiter);
        while ((error = socket.Accept(task, flags, out accepted)) == Errno.EAGAIN)
        {
            Errno waited = task.Block(deadline);
            if (waited != Errno.None)
            {
                error = AfterWait(waited, deadline);
                break;
            }
        }

        socket.Unregister(waiter);
        task.EndWait(waiter);
        return error;
    }

    /// <summary>The socket behind a descriptor that is about to be closed, with a reference, if close(2) has to wait for it (SO_LINGER, socket(7)).</summary>
    public static SocketDescription? BeginLinger(Task task, int fd)
    {
        FileDescription? file = task.Files.Get(fd);
        if (file is SocketDescription { Linger: > 0, References: 2 } socket)
        {
            return socket;
        }

        file?.DecRef();
        return null;
    }

    /// <summary>Closes the connection, and waits as long as SO_LINGER says for what was written to arrive; then gives the reference back.</summary>
    public static void Linger(Task task, SocketDescription socket)
    {
        if (socket.References == 1 && socket.BeginClose())
        {
            Deadline deadline = Deadline.After(socket.Linger * 1_000_000_000L);
            TaskWaiter waiter = task.BeginWait(EventMask.Readable | EventMask.Writable);
            socket.Register(waiter);
            while (socket.IsClosing && task.Block(deadline) == Errno.None)
            {
            }

            socket.Unregister(waiter);
            task.EndWait(waiter);
        }

        socket.DecRef();
    }

    // A call that has a timeout is not begun anew after a signal, since the timeout would begin anew too (signal(7)).
    private static Errno AfterWait(Errno error, in Deadline deadline) =>
        error == Errno.ETIMEDOUT ? Errno.EAGAIN : deadline.IsInfinite ? error : Errno.EINTR;

    private static long WantedBytes(SocketDescription socket, long length, int flags)
    {
        if (!socket.IsStream || (flags & (Socket.MSG_PEEK | Socket.MSG_OOB)) != 0)
        {
            return 1;
        }

        long wanted = (flags & Socket.MSG_WAITALL) != 0 ? length : Math.Min(length, socket.ReceiveLowWater);
        return Math.Max(wanted, 1);
    }

    private static bool IsEnough(long n, long wanted, in ReceiveRequest request) =>
        (n < 0 && (n != -(long)Errno.EAGAIN)) || (n >= 0 && (n == 0 || n >= wanted || request.IsComplete));
}
