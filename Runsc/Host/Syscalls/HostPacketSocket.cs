using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>Unix sockets that keep packets apart (SOCK_SEQPACKET), whose messages may carry descriptors (unix(7)).</summary>
internal static unsafe partial class HostPacketSocket
{
    private const int SOL_SOCKET = 1, SCM_RIGHTS = 1;
    private const int MSG_CTRUNC = 8, MSG_TRUNC = 0x20, MSG_CMSG_CLOEXEC = 0x40000000, MSG_NOSIGNAL = 0x4000;

    /// <summary>Descriptors that one message can carry: SCM_MAX_FD of Linux.</summary>
    public const int MaxDescriptors = 253;

    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
    {
        public void* Name;
        public uint NameLength;
        public uint Padding;
        public Vector* Vectors;
        public ulong VectorCount;
        public byte* Control;
        public ulong ControlLength;
        public int Flags;
        public int Padding2;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Vector
    {
        public byte* Base;
        public ulong Length;
    }

    /// <summary>socketpair(2) of SOCK_SEQPACKET, close-on-exec.</summary>
    public static int Pair(out int one, out int other)
    {
        int* fds = stackalloc int[2];
        int result = HostResult.Of(SocketPairNative(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds));
        one = fds[0];
        other = fds[1];
        return result;
    }

    private const int AF_UNIX = 1, SOCK_STREAM = 1, SOCK_SEQPACKET = 5, SOCK_CLOEXEC = 0x80000;

    // sun_path is short, and state directories may be deep: the socket is named through a descriptor of its directory.
    private static int WithAddress(string path, int type, Func<int, nint, uint, int> action)
    {
        byte[] directory = [.. System.Text.Encoding.UTF8.GetBytes(System.IO.Path.GetDirectoryName(System.IO.Path.GetFullPath(path))!), 0];
        int parent = HostFile.OpenAt(Fcntl.AT_FDCWD, directory, Fcntl.O_PATH | Fcntl.O_DIRECTORY | Fcntl.O_CLOEXEC);
        if (parent < 0)
        {
            return parent;
        }

        int socket = HostResult.Of(SocketNative(AF_UNIX, type | SOCK_CLOEXEC, 0));
        if (socket >= 0)
        {
            byte* address = stackalloc byte[110];
            new Span<byte>(address, 110).Clear();
            address[0] = AF_UNIX;
            int length = System.Text.Encoding.UTF8.GetBytes($"/proc/self/fd/{parent}/{System.IO.Path.GetFileName(path)}", new Span<byte>(address + 2, 107));
            int result = action(socket, (nint)address, (uint)length + 3);
            if (result < 0)
            {
                HostFile.Close(socket);
                socket = result;
            }
        }

        HostFile.Close(parent);
        return socket;
    }

    /// <summary>A listening SOCK_SEQPACKET socket at a path, close-on-exec; or −errno.</summary>
    public static int Listen(string path) => WithAddress(path, SOCK_SEQPACKET, (socket, address, length) =>
    {
        int result = HostResult.Of(BindNative(socket, (byte*)address, length));
        return result < 0 ? result : HostResult.Of(ListenNative(socket, 64));
    });

    /// <summary>A socket connected to one at a path, close-on-exec; or −errno.</summary>
    public static int Connect(string path) => WithAddress(path, SOCK_SEQPACKET, (socket, address, length) => HostResult.Of(ConnectNative(socket, (byte*)address, length)));

    /// <summary>As <see cref="Listen"/>, of streams: for other programs.</summary>
    public static int ListenStream(string path) => WithAddress(path, SOCK_STREAM, (socket, address, length) =>
    {
        int result = HostResult.Of(BindNative(socket, (byte*)address, length));
        return result < 0 ? result : HostResult.Of(ListenNative(socket, 64));
    });

    /// <summary>As <see cref="Connect"/>, to a stream socket: those of other programs.</summary>
    public static int ConnectStream(string path) => WithAddress(path, SOCK_STREAM, (socket, address, length) => HostResult.Of(ConnectNative(socket, (byte*)address, length)));

    /// <summary>accept4(2), close-on-exec.</summary>
    public static int Accept(int socket) => HostResult.Of(AcceptNative(socket, null, null, SOCK_CLOEXEC));

    /// <summary>Sends one message whole, with descriptors. Bytes, or −errno (EPIPE when the peer is gone).</summary>
    public static long Send(int fd, ReadOnlySpan<byte> message, ReadOnlySpan<int> descriptors = default)
    {
        byte* control = stackalloc byte[16 + (MaxDescriptors * 4)];
        fixed (byte* data = message)
        {
            Vector vector = new() { Base = data, Length = (ulong)message.Length };
            MessageHeader header = new() { Vectors = &vector, VectorCount = 1 };
            if (descriptors.Length > 0)
            {
                *(ulong*)control = 16 + ((ulong)descriptors.Length * 4);
                *(int*)(control + 8) = SOL_SOCKET;
                *(int*)(control + 12) = SCM_RIGHTS;
                descriptors.CopyTo(new Span<int>(control + 16, MaxDescriptors));
                header.Control = control;
                header.ControlLength = (ulong)((16 + (descriptors.Length * 4) + 7) & ~7);
            }

            long n;
            do
            {
                n = HostResult.Of(SendMessageNative(fd, &header, MSG_NOSIGNAL));
            }
            while (n == -(long)Errno.EINTR);
            return n;
        }
    }

    /// <summary>
    /// Receives one message; descriptors that came with it are close-on-exec and the caller's. Bytes, 0 when the peer is gone, or −errno;
    /// −EMSGSIZE for a message that did not fit.
    /// </summary>
    public static long Receive(int fd, Span<byte> buffer, Span<int> descriptors, out int count)
    {
        byte* control = stackalloc byte[16 + (MaxDescriptors * 4)];
        count = 0;
        fixed (byte* data = buffer)
        {
            Vector vector = new() { Base = data, Length = (ulong)buffer.Length };
            MessageHeader header = new() { Vectors = &vector, VectorCount = 1, Control = control, ControlLength = 16 + (MaxDescriptors * 4) };
            long n;
            do
            {
                n = HostResult.Of(ReceiveMessageNative(fd, &header, MSG_CMSG_CLOEXEC));
            }
            while (n == -(long)Errno.EINTR);
            if (n >= 0 && header.ControlLength >= 16 && *(int*)(control + 8) == SOL_SOCKET && *(int*)(control + 12) == SCM_RIGHTS)
            {
                int received = (int)((*(ulong*)control - 16) / 4);
                for (int i = 0; i < received; i++)
                {
                    int descriptor = *(int*)(control + 16 + (i * 4));
                    if (i < descriptors.Length && (header.Flags & MSG_TRUNC) == 0)
                    {
                        descriptors[count++] = descriptor;
                    }
                    else
                    {
                        HostFile.Close(descriptor);
                    }
                }
            }

            return n >= 0 && (header.Flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? -(long)Errno.EMSGSIZE : n;
        }
    }

    [LibraryImport("libc", EntryPoint = "socketpair", SetLastError = true)]
    private static partial int SocketPairNative(int domain, int type, int protocol, int* fds);

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int SocketNative(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int BindNative(int socket, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "listen", SetLastError = true)]
    private static partial int ListenNative(int socket, int backlog);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static partial int ConnectNative(int socket, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    private static partial int AcceptNative(int socket, byte* address, uint* length, int flags);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessageNative(int fd, MessageHeader* header, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint ReceiveMessageNative(int fd, MessageHeader* header, int flags);
}
