using System;
using System.Threading;
using System.Threading.Tasks;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Shim.Wire;

namespace Runsc.Shim.Rpc;

/// <summary>Serves unary calls on a listening Unix socket: a thread for each connection reads, calls run side by side on the thread pool.</summary>
/// <param name="listener">The listening socket; stays the caller's.</param>
/// <param name="handler">Answers a call; may fail with <see cref="RpcException"/>.</param>
internal sealed class TtrpcServer(int listener, Func<TtrpcRequest, Task<byte[]>> handler)
{
    private const int StackSize = 256 << 10;

    /// <summary>Accepts until the listener fails.</summary>
    public void Run()
    {
        while (true)
        {
            int socket = HostPacketSocket.Accept(listener);
            if (socket >= 0)
            {
                new Thread(() => Serve(socket), StackSize) { IsBackground = true, Name = "connection" }.Start();
            }
            else if (socket is not (-(int)Errno.EINTR or -(int)Errno.ECONNABORTED or -(int)Errno.EMFILE))
            {
                Log.Error($"accept: errno {-socket}");
                return;
            }
            else if (socket == -(int)Errno.EMFILE)
            {
                Thread.Sleep(100);
            }
        }
    }

    /// <summary>One connection, to its end.</summary>
    public void Serve(int socket)
    {
        Connection connection = new(socket);
        while (TtrpcFrame.TryReceive(socket, out TtrpcFrame frame))
        {
            if (frame.Type != TtrpcFrame.Request || frame.Stream % 2 == 0)
            {
                break;
            }

            connection.Hold();
            TtrpcFrame call = frame;
            _ = Task.Run(() => Answer(connection, call));
        }

        connection.Release();
    }

    private async Task Answer(Connection connection, TtrpcFrame call)
    {
        TtrpcResponse response;
        try
        {
            TtrpcRequest request = TtrpcRequest.Read(call.Data);
            response = new TtrpcResponse(RpcCode.Ok, "", await handler(request).ConfigureAwait(false));
        }
        catch (RpcException error)
        {
            response = new TtrpcResponse(error.Code, error.Message, []);
        }
        catch (WireException error)
        {
            response = new TtrpcResponse(RpcCode.InvalidArgument, error.Message, []);
        }
        catch (RunscException error)
        {
            response = new TtrpcResponse(RpcCode.Unknown, error.Message, []);
        }
        catch (Exception error)
        {
            Log.Error($"internal error: {error}");
            response = new TtrpcResponse(RpcCode.Unknown, $"internal error: {error.Message}", []);
        }

        connection.Send(new TtrpcFrame(call.Stream, TtrpcFrame.Response, response.Write()));
        connection.Release();
    }

    /// <summary>A socket that is closed once nobody reads it and no answer is due: its number may be another's right after.</summary>
    private sealed class Connection(int socket)
    {
        private readonly Lock _mu = new();

        /// <summary>The reader and the calls under way. Guarded by the lock.</summary>
        private int _holders = 1;

        public void Hold()
        {
            lock (_mu)
            {
                _holders++;
            }
        }

        /// <summary>Answers are whole frames: one at a time. A peer that has gone hears nothing.</summary>
        public void Send(TtrpcFrame frame)
        {
            lock (_mu)
            {
                _ = frame.Send(socket);
            }
        }

        public void Release()
        {
            lock (_mu)
            {
                if (--_holders == 0)
                {
                    _ = HostFile.Close(socket);
                }
            }
        }
    }
}
