using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>Internet sockets of the host that never block, for --network=host. Results are those of the calls, or −errno.</summary>
internal static unsafe partial class HostInetSocket
{
    private const int Kind = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;

    public static int Create(int family, int type, int protocol) => HostResult.Of(SocketNative(family, type | Kind, protocol));

    public static int Bind(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* p = address)
        {
            return HostResult.Of(BindNative(fd, p, (uint)address.Length));
        }
    }

    public static int Connect(int fd, ReadOnlySpan<byte> address)
    {
        fixed (byte* p = address)
        {
            return HostResult.Of(ConnectNative(fd, p, (uint)address.Length));
        }
    }

    public static int Listen(int fd, int backlog) => HostResult.Of(ListenNative(fd, backlog));

    public static int Accept(int fd) => HostResult.Of(AcceptNative(fd, null, null, Kind));

    /// <summary>Length of the address, at most that of the room.</summary>
    public static int GetName(int fd, Span<byte> address, bool peer)
    {
        uint length = (uint)address.Length;
        fixed (byte* p = address)
        {
            int result = HostResult.Of(peer ? GetPeerNameNative(fd, p, &length) : GetNameNative(fd, p, &length));
            return result < 0 ? result : (int)Math.Min(length, (uint)address.Length);
        }
    }

    public static int Shutdown(int fd, int how) => HostResult.Of(ShutdownNative(fd, how));

    public static int SetOption(int fd, int level, int name, ReadOnlySpan<byte> value)
    {
        fixed (byte* p = value)
        {
            return HostResult.Of(SetOptionNative(fd, level, name, p, (uint)value.Length));
        }
    }

    /// <summary>Bytes of the value.</summary>
    public static int GetOption(int fd, int level, int name, Span<byte> value)
    {
        uint length = (uint)value.Length;
        fixed (byte* p = value)
        {
            int result = HostResult.Of(GetOptionNative(fd, level, name, p, &length));
            return result < 0 ? result : (int)Math.Min(length, (uint)value.Length);
        }
    }

    /// <summary>sendmsg(2) without SIGPIPE; an empty address or control is none.</summary>
    public static long Send(int fd, ReadOnlySpan<byte> data, ReadOnlySpan<byte> address, ReadOnlySpan<byte> control, int flags)
    {
        fixed (byte* d = data, a = address, c = control)
        {
            IoVector vector = new() { Base = d, Length = (nuint)data.Length };
            MessageHeader header = new()
            {
                Name = a, NameLength = (uint)address.Length, Vectors = &vector, VectorCount = 1, Control = c, ControlLength = (nuint)control.Length,
            };
            return HostResult.Of(SendMessageNative(fd, &header, flags | Socket.MSG_DONTWAIT | Socket.MSG_NOSIGNAL));
        }
    }

    /// <summary>recvmsg(2): also the lengths of address and control that came; <paramref name="flags"/> become those of the message.</summary>
    public static long Receive(int fd, Span<byte> data, Span<byte> address, Span<byte> control, ref int flags, out int addressLength, out int controlLength)
    {
        addressLength = controlLength = 0;
        fixed (byte* d = data, a = address, c = control)
        {
            IoVector vector = new() { Base = d, Length = (nuint)data.Length };
            MessageHeader header = new()
            {
                Name = a, NameLength = (uint)address.Length, Vectors = &vector, VectorCount = 1, Control = c, ControlLength = (nuint)control.Length,
            };
            long result = HostResult.Of(ReceiveMessageNative(fd, &header, flags | Socket.MSG_DONTWAIT | Socket.MSG_CMSG_CLOEXEC));
            if (result >= 0)
            {
                addressLength = (int)Math.Min(header.NameLength, (uint)address.Length);
                controlLength = (int)Math.Min(header.ControlLength, (nuint)control.Length);
                flags = header.Flags;
            }

            return result;
        }
    }

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
        public byte* Name;
        public uint NameLength;
        public uint Padding0;
        public IoVector* Vectors;
        public nuint VectorCount;
        public byte* Control;
        public nuint ControlLength;
        public int Flags;
        public uint Padding1;
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int SocketNative(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int BindNative(int fd, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "connect", SetLastError = true)]
    private static partial int ConnectNative(int fd, byte* address, uint length);

    [LibraryImport("libc", EntryPoint = "listen", SetLastError = true)]
    private static partial int ListenNative(int fd, int backlog);

    [LibraryImport("libc", EntryPoint = "accept4", SetLastError = true)]
    private static partial int AcceptNative(int fd, byte* address, uint* length, int flags);

    [LibraryImport("libc", EntryPoint = "getsockname", SetLastError = true)]
    private static partial int GetNameNative(int fd, byte* address, uint* length);

    [LibraryImport("libc", EntryPoint = "getpeername", SetLastError = true)]
    private static partial int GetPeerNameNative(int fd, byte* address, uint* length);

    [LibraryImport("libc", EntryPoint = "shutdown", SetLastError = true)]
    private static partial int ShutdownNative(int fd, int how);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetOptionNative(int fd, int level, int name, byte* value, uint length);

    [LibraryImport("libc", EntryPoint = "getsockopt", SetLastError = true)]
    private static partial int GetOptionNative(int fd, int level, int name, byte* value, uint* length);

    [LibraryImport("libc", EntryPoint = "sendmsg", SetLastError = true)]
    private static partial nint SendMessageNative(int fd, MessageHeader* message, int flags);

    [LibraryImport("libc", EntryPoint = "recvmsg", SetLastError = true)]
    private static partial nint ReceiveMessageNative(int fd, MessageHeader* message, int flags);
}
