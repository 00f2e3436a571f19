using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>Questions to the host's rtnetlink(7) in the network namespace of the calling thread.</summary>
internal static unsafe partial class HostNetlink
{
    private const int HeaderSize = 16;

    /// <summary>A route socket, or −errno.</summary>
    public static int Open() => HostResult.Of(SocketNative(Socket.AF_NETLINK, Socket.SOCK_RAW | Socket.SOCK_CLOEXEC, Rtnetlink.NETLINK_ROUTE));

    /// <summary>A dump: the bodies of all messages that answer. −errno, or 0.</summary>
    /// <param name="socket">The route socket.</param>
    /// <param name="type">RTM_GET*.</param>
    /// <param name="body">The body of the request.</param>
    /// <param name="answers">Bodies, each with its fixed header and attributes.</param>
    public static int Dump(int socket, ushort type, ReadOnlySpan<byte> body, List<byte[]> answers)
    {
        int result = Send(socket, type, Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_DUMP, body);
        byte[] buffer = new byte[64 << 10];
        while (result >= 0)
        {
            result = Receive(socket, buffer);
            for (int at = 0; at + HeaderSize <= result;)
            {
                int length = BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(at));
                ushort kind = BinaryPrimitives.ReadUInt16LittleEndian(buffer.AsSpan(at + 4));
                if (length < HeaderSize || at + length > result)
                {
                    return -(int)Errno.EPROTO;
                }

                if (kind == Rtnetlink.NLMSG_DONE)
                {
                    return 0;
                }

                if (kind == Rtnetlink.NLMSG_ERROR)
                {
                    return BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(at + HeaderSize));
                }

                answers.Add(buffer[(at + HeaderSize)..(at + length)]);
                at += (length + 3) & ~3;
            }
        }

        return result;
    }

    /// <summary>A change: 0, or −errno.</summary>
    /// <param name="socket">The route socket.</param>
    /// <param name="type">RTM_NEW*, RTM_DEL*.</param>
    /// <param name="body">The body of the request.</param>
    /// <param name="flags">NLM_F_* beside those of every request.</param>
    public static int Change(int socket, ushort type, ReadOnlySpan<byte> body, int flags = 0)
    {
        int result = Send(socket, type, Rtnetlink.NLM_F_REQUEST | Rtnetlink.NLM_F_ACK | flags, body);
        byte[] buffer = new byte[4096];
        result = result < 0 ? result : Receive(socket, buffer);
        return result < 0 ? result : result < HeaderSize + 4 ? -(int)Errno.EPROTO : BinaryPrimitives.ReadInt32LittleEndian(buffer.AsSpan(HeaderSize));
    }

    private static int Send(int socket, ushort type, int flags, ReadOnlySpan<byte> body)
    {
        byte[] message = new byte[HeaderSize + body.Length];
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(4), type);
        BinaryPrimitives.WriteUInt16LittleEndian(message.AsSpan(6), (ushort)flags);
        body.CopyTo(message.AsSpan(HeaderSize));
        fixed (byte* p = message)
        {
            return HostResult.Of((int)SendNative(socket, p, (nuint)message.Length, 0));
        }
    }

    private static int Receive(int socket, byte[] buffer)
    {
        fixed (byte* p = buffer)
        {
            return HostResult.Of((int)ReceiveNative(socket, p, (nuint)buffer.Length, 0));
        }
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int SocketNative(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "send", SetLastError = true)]
    private static partial nint SendNative(int socket, byte* data, nuint length, int flags);

    [LibraryImport("libc", EntryPoint = "recv", SetLastError = true)]
    private static partial nint ReceiveNative(int socket, byte* data, nuint length, int flags);
}
