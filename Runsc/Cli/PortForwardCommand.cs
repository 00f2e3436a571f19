using System;
using System.CommandLine;
using System.Globalization;
using System.Text;
using Runsc.Common;
using Runsc.Container;
using Runsc.Control;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Cli;

/// <summary>port-forward: connections to a port of the host's loopback address go to a port inside a container; or one stream does that exists already.</summary>
internal static class PortForwardCommand
{
    private const int Backlog = 64;

    public static Command Make()
    {
        Argument<string> id = Commands.Id();
        Argument<string> ports = new("[LOCAL:]REMOTE") { Description = "port on this host (default the same; empty before the colon: a free one) and port inside", Arity = ArgumentArity.ExactlyOne };
        Option<string> stream = new("--stream") { Description = "join the Unix socket at this path to the port inside, and return", HelpName = "PATH" };
        Command command = new("port-forward", "forward a TCP port of this host into a container") { id, ports, stream };
        command.SetAction(result =>
        {
            ContainerManager manager = Commands.Manager(result);
            ContainerState state = manager.States.Load(result.GetRequiredValue(id));
            (ushort local, ushort remote) = Parse(result.GetRequiredValue(ports));
            if (state.Status != "running")
            {
                throw new RunscException($"container \"{state.Id}\" is not running: it is {state.Status}");
            }

            if (result.GetValue(stream) is string path)
            {
                int socket = HostPacketSocket.ConnectStream(path);
                if (socket < 0)
                {
                    throw new RunscException($"cannot connect to {path}: errno {-socket}");
                }

                Join(manager, state, remote, socket);
                return 0;
            }

            Serve(manager, state, local, remote);
            return 0;
        });
        return command;
    }

    /// <exception cref="RunscException">The text is not ports.</exception>
    internal static (ushort Local, ushort Remote) Parse(string text)
    {
        int colon = text.IndexOf(':', StringComparison.Ordinal);
        string left = colon < 0 ? text : text[..colon], right = text[(colon + 1)..];
        ushort local = 0;
        bool sound = ushort.TryParse(right, NumberStyles.None, CultureInfo.InvariantCulture, out ushort remote) && remote != 0
            && (left.Length == 0 || ushort.TryParse(left, NumberStyles.None, CultureInfo.InvariantCulture, out local));
        return sound ? (local, remote) : throw new RunscException($"port-forward: \"{text}\" is not [LOCAL:]REMOTE");
    }

    /// <summary>Until the sandbox has gone.</summary>
    private static void Serve(ContainerManager manager, ContainerState state, ushort local, ushort remote)
    {
        int listener = Listen(ref local);
        Console.Out.WriteLine($"127.0.0.1:{local} is forwarded to port {remote} of {state.Id}");
        while (true)
        {
            int connection = HostPacketSocket.Accept(listener);
            if (connection < 0 && connection is not (-(int)Errno.EINTR or -(int)Errno.ECONNABORTED))
            {
                throw new RunscException($"cannot accept a connection: errno {-connection}");
            }

            if (connection < 0)
            {
                continue;
            }

            try
            {
                Join(manager, state, remote, connection);
            }
            catch (RunscException error) when (error is not SandboxGoneException)
            {
                // Nobody listens inside: this connection is closed, and the next may fare better.
                using System.IO.Stream output = Console.OpenStandardError();
                output.Write(Encoding.UTF8.GetBytes(error.Message + "\n"));
            }
        }
    }

    private static int Listen(ref ushort port)
    {
        byte[] address = [Socket.AF_INET, 0, (byte)(port >> 8), unchecked((byte)port), 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        int socket = HostInetSocket.Create(Socket.AF_INET, Socket.SOCK_STREAM, 0);
        int result = socket < 0 ? socket : HostInetSocket.SetOption(socket, Socket.SOL_SOCKET, Socket.SO_REUSEADDR, BitConverter.GetBytes(1));
        result = result < 0 ? result : HostInetSocket.Bind(socket, address);
        result = result < 0 ? result : HostInetSocket.Listen(socket, Backlog);
        result = result < 0 ? result : HostInetSocket.GetName(socket, address, peer: false);
        result = result < 0 ? result : HostFile.SetBlocking(socket);
        if (result < 0)
        {
            throw new RunscException($"cannot listen at 127.0.0.1:{port}: errno {-result}");
        }

        port = (ushort)((address[2] << 8) | address[3]);
        return socket;
    }

    /// <summary>The sandbox takes over from here.</summary>
    private static void Join(ContainerManager manager, ContainerState state, ushort port, int stream)
    {
        try
        {
            manager.Call(state, new ControlRequest { Command = "forward", Size = port }, [stream]);
        }
        finally
        {
            _ = HostFile.Close(stream);
        }
    }
}
