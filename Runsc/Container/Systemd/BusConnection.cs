using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Common;
using Runsc.Host.Processes;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Container.Systemd;

/// <summary>A connection to systemd by D-Bus (D-Bus specification, "Message Protocol" and "Authentication Protocol"): calls, and signals that come meanwhile.</summary>
internal sealed class BusConnection : IDisposable
{
    private const byte AnswerSeconds = 60;

    private readonly int _socket;
    private readonly Queue<BusMessage> _signals = [];
    private uint _serial;

    private BusConnection(int socket) => _socket = socket;

    /// <summary>Connects and says who this is.</summary>
    /// <param name="path">A Unix socket.</param>
    /// <param name="isBus">Of a bus, with many services; else of the service itself.</param>
    /// <exception cref="RunscException">Nobody is there, or they refuse.</exception>
    public static BusConnection Open(string path, bool isBus)
    {
        int socket = HostPacketSocket.ConnectStream(path);
        if (socket < 0)
        {
            throw new RunscException($"cannot connect to systemd at {path}: errno {-socket}");
        }

        // struct timeval: a service that does not answer keeps nobody waiting for ever.
        _ = HostInetSocket.SetOption(socket, Socket.SOL_SOCKET, Socket.SO_RCVTIMEO_OLD, [AnswerSeconds, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        BusConnection connection = new(socket);
        try
        {
            string user = Convert.ToHexString(Encoding.ASCII.GetBytes(HostProcess.EffectiveUser.ToString(System.Globalization.CultureInfo.InvariantCulture))).ToLowerInvariant();
            connection.Send(Encoding.ASCII.GetBytes($"\0AUTH EXTERNAL {user}\r\n"));
            string answer = connection.ReadLine();
            if (!answer.StartsWith("OK ", StringComparison.Ordinal))
            {
                throw new RunscException($"systemd refuses the connection: {answer}");
            }

            connection.Send("BEGIN\r\n"u8.ToArray());
            if (isBus)
            {
                _ = connection.Call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", "", new BusWriter());
            }

            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    /// <summary>A call and its answer.</summary>
    /// <exception cref="RunscException">The service says no: its message.</exception>
    public BusMessage Call(string destination, string path, string type, string member, string signature, BusWriter body)
    {
        List<(byte, string)> fields = [(BusMessage.Path, path), (BusMessage.Interface, type), (BusMessage.Member, member), (BusMessage.Destination, destination)];
        if (signature.Length > 0)
        {
            fields.Add((BusMessage.SignatureField, signature));
        }

        uint serial = ++_serial;
        Send(BusMessage.Write(BusMessage.MethodCall, serial, fields, 0, body));
        while (true)
        {
            BusMessage message = Receive();
            if (message.Type == BusMessage.Signal)
            {
                _signals.Enqueue(message);
            }
            else if (message.Answers == serial)
            {
                int at = 0;
                return message.Type == BusMessage.MethodReturn ? message
                    : throw new RunscException($"systemd: {member}: {(message.Body.Length > 4 ? BusMessage.ReadText(message.Body, ref at) : message.Fields.GetValueOrDefault(BusMessage.ErrorName))}");
            }
        }
    }

    /// <summary>The next signal, waiting for it.</summary>
    public BusMessage NextSignal()
    {
        while (_signals.Count == 0)
        {
            BusMessage message = Receive();
            if (message.Type == BusMessage.Signal)
            {
                return message;
            }
        }

        return _signals.Dequeue();
    }

    public void Dispose() => _ = HostFile.Close(_socket);

    private void Send(ReadOnlySpan<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            long n = HostSocket.Send(_socket, bytes);
            if (n < 0)
            {
                throw new RunscException($"cannot send to systemd: errno {-n}");
            }

            bytes = bytes[(int)n..];
        }
    }

    private string ReadLine()
    {
        StringBuilder line = new();
        byte[] one = new byte[1];
        while (line.Length < 1024)
        {
            Fill(one);
            if (one[0] == '\n')
            {
                break;
            }

            line.Append((char)one[0]);
        }

        return line.ToString().TrimEnd('\r');
    }

    private BusMessage Receive()
    {
        byte[] start = new byte[BusMessage.FixedSize];
        Fill(start);
        byte[] whole = new byte[BusMessage.SizeOf(start)];
        start.CopyTo(whole, 0);
        Fill(whole.AsSpan(start.Length));
        return BusMessage.Read(whole);
    }

    private void Fill(Span<byte> bytes)
    {
        while (bytes.Length > 0)
        {
            long n = HostFile.Read(_socket, bytes);
            if (n <= 0 && n != -(long)Errno.EINTR)
            {
                throw new RunscException($"systemd has closed the connection{(n < 0 ? $": errno {-n}" : "")}");
            }

            bytes = bytes[(int)Math.Max(n, 0)..];
        }
    }
}
