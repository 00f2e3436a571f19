using System;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Boot;

/// <summary>
/// Joins a stream of the host (a connected socket) to a TCP port on the loopback addresses inside: what comes from one goes to the other, each direction
/// until its end. Both ends are only read and written here, whatever the application and the host's peer do.
/// </summary>
internal sealed class PortForwarder
{
    private const int ChunkSize = 64 << 10;
    private const int ConnectMilliseconds = 10_000;

    private readonly BuilderCaller _caller;
    private readonly SocketDescription _inside;
    private readonly int _outside;

    // Directions that go on.
    private int _open = 2;

    private PortForwarder(BuilderCaller caller, SocketDescription inside, int outside)
    {
        _caller = caller;
        _inside = inside;
        _outside = outside;
    }

    /// <summary>Connects and returns; the stream is taken over.</summary>
    /// <param name="kernel">The kernel.</param>
    /// <param name="mounts">Of the container.</param>
    /// <param name="port">Inside.</param>
    /// <param name="stream">The host's side, blocking.</param>
    /// <returns>The message for the user; null for success.</returns>
    public static string? Join(SentryKernel kernel, MountNamespace mounts, ushort port, int stream)
    {
        BuilderCaller caller = new(mounts);
        NetNamespace network = (NetNamespace)kernel.RootNetwork;
        Errno error = Connect(network, caller, port, v6: false, out SocketDescription? inside);
        if (error == Errno.ECONNREFUSED && Connect(network, caller, port, v6: true, out inside) == Errno.None)
        {
            error = Errno.None;
        }

        if (error != Errno.None)
        {
            _ = HostFile.Close(stream);
            return $"cannot connect to port {port} in the container: {ErrorText.Of(error)}";
        }

        PortForwarder forwarder = new(caller, inside!, stream);
        new Thread(forwarder.PumpIn, 256 << 10) { IsBackground = true, Name = "forward in" }.Start();
        new Thread(forwarder.PumpOut, 256 << 10) { IsBackground = true, Name = "forward out" }.Start();
        return null;
    }

    private static Errno Connect(NetNamespace network, BuilderCaller caller, ushort port, bool v6, out SocketDescription? socket)
    {
        // struct sockaddr_in with 127.0.0.1, struct sockaddr_in6 with ::1.
        byte[] address = new byte[v6 ? 28 : 16];
        address[0] = (byte)(v6 ? Socket.AF_INET6 : Socket.AF_INET);
        address[2] = (byte)(port >> 8);
        address[3] = unchecked((byte)port);
        if (v6)
        {
            address[23] = 1;
        }
        else
        {
            (address[4], address[7]) = (127, 1);
        }

        Errno error = network.System.Create(network, caller, address[0], Socket.SOCK_STREAM, 0, Fcntl.O_NONBLOCK, out socket);
        if (error != Errno.None)
        {
            return error;
        }

        using Waiting waiting = new(socket!);
        error = socket!.Connect(caller, address);
        long deadline = Environment.TickCount64 + ConnectMilliseconds;
        while (error is Errno.EINPROGRESS or Errno.EAGAIN)
        {
            error = !waiting.Sleep(EventMask.Writable, (int)Math.Max(deadline - Environment.TickCount64, 0)) ? Errno.ETIMEDOUT : socket.ConnectResult();
        }

        if (error != Errno.None)
        {
            waiting.Dispose();
            socket.DecRef();
            socket = null;
        }

        return error;
    }

    private void PumpIn()
    {
        byte[] chunk = new byte[ChunkSize];
        using (Waiting waiting = new(_inside))
        {
            long n;
            while ((n = HostFile.Read(_outside, chunk)) > 0 || n == -(long)Errno.EINTR)
            {
                if (n > 0 && !TryWriteInside(waiting, chunk.AsSpan(0, (int)n)))
                {
                    // The application reads no more.
                    _ = HostInetSocket.Shutdown(_outside, Socket.SHUT_RD);
                    break;
                }
            }

            _ = _inside.Shutdown(Socket.SHUT_WR);
        }

        Leave();
    }

    private bool TryWriteInside(Waiting waiting, Span<byte> data)
    {
        while (data.Length > 0)
        {
            IoBuffer buffer = new(data);
            long n = _inside.Write(_caller, ref buffer);
            if (n == -(long)Errno.EAGAIN)
            {
                _ = waiting.Sleep(EventMask.Writable, Timeout.Infinite);
            }
            else if (n < 0)
            {
                return false;
            }
            else
            {
                data = data[(int)n..];
            }
        }

        return true;
    }

    private void PumpOut()
    {
        byte[] chunk = new byte[ChunkSize];
        using (Waiting waiting = new(_inside))
        {
            while (true)
            {
                IoBuffer buffer = new(chunk);
                long n = _inside.Read(_caller, ref buffer);
                if (n == -(long)Errno.EAGAIN)
                {
                    _ = waiting.Sleep(EventMask.Readable, Timeout.Infinite);
                }
                else if (n <= 0 || !TryWriteOutside(chunk.AsSpan(0, (int)n)))
                {
                    break;
                }
            }

            _ = HostInetSocket.Shutdown(_outside, Socket.SHUT_WR);
        }

        Leave();
    }

    private bool TryWriteOutside(ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            long n = HostFile.Write(_outside, data);
            if (n < 0 && n != -(long)Errno.EINTR)
            {
                _ = _inside.Shutdown(Socket.SHUT_RD);
                return false;
            }

            data = data[(int)Math.Max(n, 0)..];
        }

        return true;
    }

    /// <summary>The last direction closes both ends.</summary>
    private void Leave()
    {
        if (Interlocked.Decrement(ref _open) == 0)
        {
            _inside.DecRef();
            _ = HostFile.Close(_outside);
        }
    }

    /// <summary>A thread's place in the queue of a socket.</summary>
    private sealed class Waiting : IDisposable
    {
        private readonly SocketDescription _socket;
        private readonly ManualResetEventSlim _event = new();
        private EventWaiter? _waiter;

        public Waiting(SocketDescription socket)
        {
            _socket = socket;
            _waiter = new EventWaiter(_event);
            socket.Register(_waiter);
        }

        /// <summary>Until one of the events may hold. False when the time is over first.</summary>
        public bool Sleep(EventMask events, int milliseconds)
        {
            long deadline = milliseconds < 0 ? long.MaxValue : Environment.TickCount64 + milliseconds;
            while ((_socket.Readiness(events) & (events | EventMask.Unmaskable)) == 0)
            {
                if (!_event.Wait(milliseconds < 0 ? Timeout.Infinite : (int)Math.Max(deadline - Environment.TickCount64, 0)))
                {
                    return false;
                }

                _event.Reset();
            }

            return true;
        }

        public void Dispose()
        {
            if (_waiter is not null)
            {
                _socket.Unregister(_waiter);
                _waiter = null;
                _event.Dispose();
            }
        }
    }
}
