using System;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Shim.Rpc;

/// <summary>Calls, one after the other, over a connection that is made when it is needed and again after a failure. For one thread.</summary>
internal sealed class TtrpcClient(string path) : IDisposable
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(5);

    private int _socket = -1;
    private uint _stream = 1;

    /// <summary>The answer.</summary>
    /// <exception cref="RpcException">The callee says no.</exception>
    /// <exception cref="System.IO.IOException">Nobody is there, or has not answered in time; the call may or may not have been made.</exception>
    public byte[] Call(string service, string method, byte[] payload)
    {
        if (_socket < 0)
        {
            _socket = HostPacketSocket.ConnectStream(path);
            if (_socket < 0)
            {
                throw new System.IO.IOException($"cannot connect to {path}: errno {-_socket}");
            }
        }

        uint stream = _stream;
        _stream = unchecked(_stream + 2);
        TtrpcFrame request = new(stream, TtrpcFrame.Request, new TtrpcRequest(service, method, payload).Write(s_timeout));
        if (request.Send(_socket) == 0)
        {
            while (HostEvents.Poll(_socket, Poll.POLLIN, (int)s_timeout.TotalMilliseconds) > 0 && TtrpcFrame.TryReceive(_socket, out TtrpcFrame frame))
            {
                if (frame.Stream == stream && frame.Type == TtrpcFrame.Response)
                {
                    TtrpcResponse response = TtrpcResponse.Read(frame.Data);
                    return response.Code == RpcCode.Ok ? response.Payload : throw new RpcException(response.Code, response.Message);
                }
            }
        }

        Dispose();
        throw new System.IO.IOException($"no answer from {path}");
    }

    public void Dispose()
    {
        if (_socket >= 0)
        {
            _ = HostFile.Close(_socket);
            _socket = -1;
        }
    }
}
