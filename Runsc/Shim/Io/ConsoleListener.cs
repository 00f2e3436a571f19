using System;
using System.IO;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Shim.Io;

/// <summary>A socket to which the runtime sends the master of a terminal.</summary>
internal sealed class ConsoleListener : IDisposable
{
    private const int ReceiveMilliseconds = 10_000;

    private readonly string _directory;
    private int _socket;

    public ConsoleListener()
    {
        // The temporary directory rather than the bundle: addresses of sockets are short.
        _directory = Directory.CreateTempSubdirectory("runsc-shim-").FullName;
        Path = System.IO.Path.Combine(_directory, "console");
        _socket = HostPacketSocket.ListenStream(Path);
        if (_socket < 0)
        {
            int error = -_socket;
            Directory.Delete(_directory, recursive: true);
            throw new RunscException($"cannot listen on {Path}: errno {error}");
        }
    }

    public string Path { get; }

    /// <summary>The master.</summary>
    public int Receive()
    {
        if (HostEvents.Poll(_socket, Poll.POLLIN, ReceiveMilliseconds) <= 0)
        {
            throw new RunscException("the runtime has sent no terminal");
        }

        int connection = HostPacketSocket.Accept(_socket);
        if (connection < 0)
        {
            throw new RunscException($"accept: errno {-connection}");
        }

        Span<byte> name = stackalloc byte[4096];
        Span<int> descriptors = stackalloc int[1];
        long n = HostPacketSocket.Receive(connection, name, descriptors, out int count);
        _ = HostFile.Close(connection);
        return n > 0 && count == 1 ? descriptors[0] : throw new RunscException("the runtime has sent no terminal");
    }

    public void Dispose()
    {
        if (_socket >= 0)
        {
            _ = HostFile.Close(_socket);
            _socket = -1;
            Directory.Delete(_directory, recursive: true);
        }
    }
}
