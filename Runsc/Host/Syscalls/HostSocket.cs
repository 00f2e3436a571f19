using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>Sockets by descriptor, and descriptors through sockets (unix(7), SCM_RIGHTS).</summary>
internal static unsafe partial class HostSocket
{
    /// <summary>Descriptors that one message may carry.</summary>
    public const int MaxDescriptors = 4;

    private const int HeaderSize = 16;
    private const int ControlSize = HeaderSize + (MaxDescriptors * sizeof(int));

    /// <summary>socketpair(2) of Unix sockets; both are close-on-exec.</summary>
    public static int Pair(int type, out int first, out int second)
    {
        int* fds = stackalloc int[2];
        int result = HostResult.Of(SocketPairNative(Socket.AF_UNIX, type | Socket.SOCK_CLOEXEC, 0, fds));
        first = fds[0];
        second = fds[1];
        return result;
    }

    /// <summary>sendmsg(2) of one message with at most one descriptor (negative: none). No SIGPIPE; EINTR is tried again.</summary>
    public static long Send(int socket, ReadOnlySpan<byte> message, int descriptor = -1)
    {
        byte* control = stackalloc byte[ControlSize];
        fixed (byte* p = message)
        {
            IoVector vector = new() { Base = p, Length = (nuint)message.Length };
            MessageHeader header = new() { Vectors = &vector, VectorCount = 1 };
            if (descriptor >= 0)
            {
                *(ulong*)control = HeaderSize + sizeof(int);
                *(int*)(control + 8) = Socket.SOL_SOCKET;
                *(int*)(control + 12) = Socket.SCM_RIGHTS;
                *(int*)(control + HeaderSize) = descriptor;
                header.Control = control;
                header.ControlLength = HeaderSize + 8;
            }

            long sent;
            do
            {
                sent = HostResult.Of(SendMessageNative(socket, &header, Socket.MSG_NOSIGNAL));
            }
            while (sent == -(long)Errno.EINTR);
            return sent;
        }
    }

    /// <summary>
    /// recvmsg(2) with the descriptors that came along, close-on-exec; those for which <paramref name="descriptors"/> has no room are closed.
    /// 0 when the peer is gone. EMSGSIZE when a packet did not fit. EINTR is tried again.
    /// </summary>
    public static long Receive(int socket, Span<byte> buffer, Span<int> descriptors, out int descriptorCount)
    {
        descriptorCount = 0;
        byte* control = stackalloc byte[ControlSize];
        fixed (byte* p = buffer)
        {
            IoVector vector = new() { Base = p, Length = (nuint)buffer.Length };
            MessageHeader header = new() { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = ControlSize };
            long received;
            do
            {
                received = HostResult.Of(ReceiveMessageNative(socket, &header, Socket.MSG_CMSG_CLOEXEC));
            }
            while (received == -(long)Errno.EINTR);
            if (received < 0)
            {
                return received;
            }

            // The kernel wrote at most ControlSize bytes of well-formed control messages.
            ulong at = 0;
            while (at + HeaderSize <= header.ControlLength)
            {
                ulong length = *(ulong*)(control + at);
                if (length < HeaderSize)
                {
                    break;
                }

                if (*(int*)(control + at + 8) == Socket.SOL_SOCKET && *(int*)(control + at + 12) == Socket.SCM_RIGHTS)
                {
                    for (ulong i = at + HeaderSize; i + sizeof(int) <= at + length; i += sizeof(int))
                    {
                        int fd = *(int*)(control + i);
                        if (descriptorCount < descriptors.Length)
                        {
                            descriptors[descriptorCount++] = fd;
                        }
                        else
                        {
                            _ = HostFile.Close(fd);
                        }
                    }
                }

                at += (length + 7) & ~7ul;
            }

            if ((header.Flags & Socket.MSG_TRUNC) != 0)
            {
                for (int i = 0; i < descriptorCount; i++)
                {
                    _ = HostFile.Close(descriptors[i]);
                }

                descriptorCount = 0;
                return -(long)Errno.EMSGSIZE;
            }

            return received;
        }
    }

    /// <summary>A UDP socket of the calling thread's network namespace, connected to an address (in network order) and port; or −errno.</summary>
    public static int ConnectDatagram(uint address, ushort port)
    {
        int fd = HostResult.Of(SocketNative(Socket.AF_INET, Socket.SOCK_DGRAM | Socket.SOCK_CLOEXEC, 0));
        if (fd < 0)
        {
            return fd;
        }

        InternetAddress name = new() { Family = Socket.AF_INET, Port = System.Buffers.Binary.BinaryPrimitives.ReverseEndianness(port), Address = address };
        int result = HostResult.Of(ConnectNative(fd, &name, (uint)sizeof(InternetAddress)));
        if (result < 0)
        {
            _ = HostFile.Close(fd);
            return result;
        }

        return fd;
    }

    /// <summary>shutdown(2) of both directions: wakes whoever waits on either end.</summary>
    public static int Shutdown(int socket) => HostResult.Of(ShutdownNative(socket, Socket.SHUT_RDWR));

    /// <summary>struct sockaddr_in.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct InternetAddress
    {
        public ushort Family;
        public ushort Port;
        public uint Address;
        public ulong Zero;
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int SocketNative(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static partial int ConnectNative(int socket, InternetAddress* address, uint length);

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public byte* Base;
        public nuint Length;
    }

    /// <summary>struct msghdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public uint Padding0;
        public IoVector* Vectors;
        public nuint VectorCount;
        public byte* Control;
        public nuint ControlLength;
        public int Flags;
        public uint Padding1;
    }

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static partial int SocketPairNative(int domain, int type, int protocol, int* fds);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessageNative(int socket, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint ReceiveMessageNative(int socket, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    private static partial int ShutdownNative(int socket, int how);
}
