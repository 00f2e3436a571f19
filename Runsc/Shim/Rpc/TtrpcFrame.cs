using System;
using System.Buffers.Binary;
using Runsc.Host.Syscalls;
using Runsc.Linux;

namespace Runsc.Shim.Rpc;

/// <summary>
/// A frame of ttRPC: length of the data (32 bits, big-endian), stream number (the same; odd, chosen by the client), type, flags, data.
/// A unary call is a request and a response with the same stream number.
/// </summary>
internal readonly record struct TtrpcFrame(uint Stream, byte Type, byte[] Data)
{
    public const byte Request = 1, Response = 2;

    public const int HeaderSize = 10;

    /// <summary>Longest data, by the protocol.</summary>
    public const int MaxData = 4 << 20;

    /// <summary>Takes the next frame; false when the peer is gone or sends what is no frame.</summary>
    public static bool TryReceive(int socket, out TtrpcFrame frame)
    {
        frame = default;
        Span<byte> header = stackalloc byte[HeaderSize];
        if (!ReadWhole(socket, header))
        {
            return false;
        }

        uint length = BinaryPrimitives.ReadUInt32BigEndian(header);
        if (length > MaxData)
        {
            return false;
        }

        byte[] data = new byte[length];
        frame = new TtrpcFrame(BinaryPrimitives.ReadUInt32BigEndian(header[4..]), header[8], data);
        return ReadWhole(socket, data);
    }

    /// <summary>Sends the frame; 0 or −errno. Callers that share a socket take turns.</summary>
    public int Send(int socket)
    {
        byte[] bytes = new byte[HeaderSize + Data.Length];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, (uint)Data.Length);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(4), Stream);
        bytes[8] = Type;
        Data.CopyTo(bytes, HeaderSize);
        ReadOnlySpan<byte> rest = bytes;
        while (!rest.IsEmpty)
        {
            long n = HostFile.Write(socket, rest);
            if (n < 0 && n != -(long)Errno.EINTR)
            {
                return (int)n;
            }

            rest = rest[(int)Math.Max(n, 0)..];
        }

        return 0;
    }

    private static bool ReadWhole(int socket, Span<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            long n = HostFile.Read(socket, buffer);
            if (n == 0 || (n < 0 && n != -(long)Errno.EINTR))
            {
                return false;
            }

            buffer = buffer[(int)Math.Max(n, 0)..];
        }

        return true;
    }
}
