using System;
using System.Text;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Oci;

namespace Runsc.Container.Console;

/// <summary>A pseudo-terminal of the host for a container's process: the replica is its standard input, output and error.</summary>
internal sealed class ConsolePair : IDisposable
{
    /// <exception cref="RunscException">No pair can be made.</exception>
    public ConsolePair(ConsoleSize? size)
    {
        int result = HostTerminal.OpenPair(out int master, out int replica);
        if (result < 0)
        {
            throw new RunscException($"cannot make a terminal: errno {-result}");
        }

        Master = master;
        Replica = replica;
        if (size is { Width: > 0, Height: > 0 })
        {
            _ = HostTerminal.SetSize(master, new WindowSize { Rows = (ushort)Math.Min(size.Height, ushort.MaxValue), Columns = (ushort)Math.Min(size.Width, ushort.MaxValue) });
        }
    }

    public int Master { get; private set; }

    public int Replica { get; private set; }

    /// <summary>Sends the master to the caller of the runtime, as --console-socket promises: one message with the terminal's name and the descriptor.</summary>
    /// <exception cref="RunscException">Nobody listens there.</exception>
    public void SendTo(string path)
    {
        int socket = HostPacketSocket.ConnectStream(path);
        if (socket < 0)
        {
            throw new RunscException($"--console-socket {path}: cannot connect: {(socket == -(int)Errno.ENOENT ? "no such file or directory" : $"errno {-socket}")}");
        }

        byte[] name = Encoding.UTF8.GetBytes($"/dev/pts/{HostTerminal.GetNumber(Master)}");
        long sent = HostPacketSocket.Send(socket, name, [Master]);
        _ = HostFile.Close(socket);
        if (sent < 0)
        {
            throw new RunscException($"--console-socket {path}: cannot send the terminal: errno {-sent}");
        }
    }

    /// <summary>The container's processes have it now; an end of file at the master tells of their end only without this copy.</summary>
    public void CloseReplica()
    {
        if (Replica >= 0)
        {
            _ = HostFile.Close(Replica);
            Replica = -1;
        }
    }

    public void Dispose()
    {
        CloseReplica();
        if (Master >= 0)
        {
            _ = HostFile.Close(Master);
            Master = -1;
        }
    }
}
