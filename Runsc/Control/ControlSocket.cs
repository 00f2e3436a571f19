using System;
using System.Text;
using System.Text.Json;
using Runsc.Common;
using Runsc.Host.Syscalls;

namespace Runsc.Control;

/// <summary>Messages on the control socket, a Unix socket that keeps packets apart (SOCK_SEQPACKET).</summary>
internal static class ControlSocket
{
    /// <summary>Largest message.</summary>
    public const int MaxSize = 192 << 10;

    /// <summary>Asks and waits for the answer. The caller closes the descriptors that it sends.</summary>
    /// <exception cref="RunscException">The sandbox is gone, or says no.</exception>
    public static ControlAnswer Call(string path, ControlRequest request, ReadOnlySpan<int> descriptors = default)
    {
        int socket = HostPacketSocket.Connect(path);
        if (socket < 0)
        {
            throw new SandboxGoneException($"cannot connect to the sandbox: errno {-socket}", wasAsked: false);
        }

        try
        {
            byte[] message = JsonSerializer.SerializeToUtf8Bytes(request, ControlJson.Default.ControlRequest);
            if (message.Length > MaxSize)
            {
                throw new RunscException($"the request is longer than {MaxSize >> 10} KiB");
            }

            long sent = HostPacketSocket.Send(socket, message, descriptors);
            if (sent < 0)
            {
                throw new SandboxGoneException($"cannot send to the sandbox: errno {-sent}", wasAsked: false);
            }

            byte[] buffer = new byte[MaxSize];
            long n = HostPacketSocket.Receive(socket, buffer, default, out _);
            if (n <= 0)
            {
                throw new SandboxGoneException("the sandbox has ended", wasAsked: true);
            }

            ControlAnswer answer = JsonSerializer.Deserialize(buffer.AsSpan(0, (int)n), ControlJson.Default.ControlAnswer)!;
            return answer.Error is null ? answer : throw new RunscException(answer.Error);
        }
        finally
        {
            HostFile.Close(socket);
        }
    }

    /// <summary>Answers a request.</summary>
    public static void Answer(int socket, ControlAnswer answer)
    {
        byte[] message = JsonSerializer.SerializeToUtf8Bytes(answer, ControlJson.Default.ControlAnswer);
        if (message.Length > MaxSize)
        {
            message = Encoding.UTF8.GetBytes("{\"error\":\"the answer is too long\"}");
        }

        _ = HostPacketSocket.Send(socket, message);
    }

    /// <summary>Takes one request; null when the peer is gone or talks nonsense. Descriptors are the caller's.</summary>
    public static ControlRequest? Take(int socket, byte[] buffer, Span<int> descriptors, out int count)
    {
        long n = HostPacketSocket.Receive(socket, buffer, descriptors, out count);
        if (n <= 0)
        {
            return null;
        }

        try
        {
            return JsonSerializer.Deserialize(buffer.AsSpan(0, (int)n), ControlJson.Default.ControlRequest);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
