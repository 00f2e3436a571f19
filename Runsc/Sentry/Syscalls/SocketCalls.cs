using System;
using System.Buffers;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Sockets.Netfilter;
using Runsc.Sentry.Sockets.Unix;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>socket(2), socketpair(2), bind(2), listen(2), accept(2), connect(2), getsockname(2), getpeername(2), shutdown(2), getsockopt(2), setsockopt(2).</summary>
internal static unsafe class SocketCalls
{
    /// <summary>Options up to this long are kept on the stack; longer ones (packet filters) are rented.</summary>
    private const int StackOption = 256;
    private const int MaximumOption = 1 << 20;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.socket, "socket", &CreateSocket, "family,socktype,int");
        b.Add(SysNo.socketpair, "socketpair", &SocketPair, "family,socktype,int,ptr");
        b.Add(SysNo.bind, "bind", &Bind, "fd,sockaddr,uint");
        b.Add(SysNo.listen, "listen", &Listen, "fd,int");
        b.Add(SysNo.accept, "accept", &Accept, "fd,outsockaddr,ptr");
        b.Add(SysNo.accept4, "accept4", &Accept4, "fd,outsockaddr,ptr,socktype");
        b.Add(SysNo.connect, "connect", &Connect, "fd,sockaddr,uint");
        b.Add(SysNo.getsockname, "getsockname", &GetSockName, "fd,outsockaddr,ptr");
        b.Add(SysNo.getpeername, "getpeername", &GetPeerName, "fd,outsockaddr,ptr");
        b.Add(SysNo.shutdown, "shutdown", &Shutdown, "fd,shut");
        b.Add(SysNo.setsockopt, "setsockopt", &SetSockOpt, "fd,sol,sockopt,buf,uint");
        b.Add(SysNo.getsockopt, "getsockopt", &GetSockOpt, "fd,sol,sockopt,ptr,ptr");
    }

    /// <summary>The socket behind a descriptor, with a reference. EBADF, ENOTSOCK.</summary>
    public static SocketDescription? Get(Task task, int fd, out Errno error)
    {
        FileDescription? file = task.Files.Get(fd);
        if (file is SocketDescription socket)
        {
            error = Errno.None;
            return socket;
        }

        error = file is null || (file.StatusFlags & Fcntl.O_PATH) != 0 ? Errno.EBADF : Errno.ENOTSOCK;
        file?.DecRef();
        return null;
    }

    private static long Install(Task task, SocketDescription socket, int flags)
    {
        long fd = task.Files.Add(socket, (flags & Socket.SOCK_CLOEXEC) != 0, task.DescriptorLimit);
        if (fd < 0)
        {
            socket.DecRef();
        }

        return fd;
    }

    private static long CreateSocket(Task task, in SyscallArguments a)
    {
        int flags = a.Int1 & ~Socket.SOCK_TYPE_MASK;
        if ((flags & ~(Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        NetNamespace network = (NetNamespace)task.Network;
        Errno error = network.System.Create(network, task, a.Int0, a.Int1 & Socket.SOCK_TYPE_MASK, a.Int2, flags, out SocketDescription? socket);
        return error != Errno.None ? -(long)error : Install(task, socket!, flags);
    }

    private static long SocketPair(Task task, in SyscallArguments a)
    {
        int flags = a.Int1 & ~Socket.SOCK_TYPE_MASK, type = a.Int1 & Socket.SOCK_TYPE_MASK;
        if ((flags & ~(Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        NetNamespace network = (NetNamespace)task.Network;
        SocketDescription? first, second = null;
        Errno error;
        if (a.Int0 == Socket.AF_UNIX)
        {
            error = UnixSocket.CreatePair(network, task, type, a.Int2, flags, out first, out second);
        }
        else
        {
            // Other families have no pairs; a bad family or type is told first.
            error = network.System.Create(network, task, a.Int0, type, a.Int2, flags, out first);
            first?.DecRef();
            error = error == Errno.None ? Errno.EOPNOTSUPP : error;
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        long one = Install(task, first!, flags);
        if (one < 0)
        {
            second!.DecRef();
            return one;
        }

        long two = Install(task, second!, flags);
        Span<int> pair = [(int)one, (int)two];
        if (two >= 0 && task.Memory.CopyOut(a.A3, System.Runtime.InteropServices.MemoryMarshal.AsBytes(pair)) == 8)
        {
            return 0;
        }

        _ = task.Files.Close(task, (int)one);
        if (two >= 0)
        {
            _ = task.Files.Close(task, (int)two);
        }

        return two < 0 ? two : -(long)Errno.EFAULT;
    }

    /// <summary>Copies a sockaddr in. EINVAL for a bad length, EFAULT.</summary>
    public static Errno ReadAddress(Task task, ulong address, int length, Span<byte> buffer, out ReadOnlySpan<byte> sockaddr)
    {
        sockaddr = default;
        if (length is < 0 or > Socket.SockaddrStorageSize)
        {
            return Errno.EINVAL;
        }

        if (length > 0 && task.Memory.CopyIn(address, buffer[..length]) != length)
        {
            return Errno.EFAULT;
        }

        sockaddr = buffer[..length];
        return Errno.None;
    }

    /// <summary>Copies a sockaddr out, as much as there is room for, and its whole length. EINVAL, EFAULT.</summary>
    public static Errno WriteAddress(Task task, ReadOnlySpan<byte> sockaddr, ulong address, ulong lengthAddress)
    {
        if (task.Memory.CopyIn(lengthAddress, out int room) != Errno.None)
        {
            return Errno.EFAULT;
        }

        if (room < 0)
        {
            return Errno.EINVAL;
        }

        int part = Math.Min(room, sockaddr.Length);
        if (part > 0 && task.Memory.CopyOut(address, sockaddr[..part]) != part)
        {
            return Errno.EFAULT;
        }

        return task.Memory.CopyOut(lengthAddress, sockaddr.Length);
    }

    private static long Bind(Task task, in SyscallArguments a)
    {
        if (Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        Span<byte> buffer = stackalloc byte[Socket.SockaddrStorageSize];
        error = ReadAddress(task, a.A1, a.Int2, buffer, out ReadOnlySpan<byte> address);
        error = error == Errno.None ? socket.Bind(task, address) : error;
        socket.DecRef();
        return -(long)error;
    }

    private static long Listen(Task task, in SyscallArguments a)
    {
        if (Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        error = socket.Listen(task, a.Int1);
        socket.DecRef();
        return -(long)error;
    }

    private static long Connect(Task task, in SyscallArguments a)
    {
        if (Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        Span<byte> buffer = stackalloc byte[Socket.SockaddrStorageSize];
        error = ReadAddress(task, a.A1, a.Int2, buffer, out ReadOnlySpan<byte> address);
        error = error == Errno.None ? SocketIo.Connect(task, socket, address) : error;
        socket.DecRef();
        return -(long)error;
    }

    private static long Accept(Task task, in SyscallArguments a) => DoAccept(task, a.Int0, a.A1, a.A2, 0);

    private static long Accept4(Task task, in SyscallArguments a) => DoAccept(task, a.Int0, a.A1, a.A2, a.Int3);

    private static long DoAccept(Task task, int fd, ulong address, ulong lengthAddress, int flags)
    {
        if ((flags & ~(Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (Get(task, fd, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        error = SocketIo.Accept(task, socket, flags, out SocketDescription? accepted);
        socket.DecRef();
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (address != 0)
        {
            Span<byte> name = stackalloc byte[Socket.SockaddrStorageSize];
            int length = accepted!.GetPeerName(name);
            error = length < 0 ? Errno.ECONNABORTED : WriteAddress(task, name[..length], address, lengthAddress);
        }

        if (error != Errno.None)
        {
            accepted!.DecRef();
            return -(long)error;
        }

        return Install(task, accepted!, flags);
    }

    private static long GetSockName(Task task, in SyscallArguments a) => Name(task, a, peer: false);

    private static long GetPeerName(Task task, in SyscallArguments a) => Name(task, a, peer: true);

    private static long Name(Task task, in SyscallArguments a, bool peer)
    {
        if (Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        Span<byte> name = stackalloc byte[Socket.SockaddrStorageSize];
        int length = peer ? socket.GetPeerName(name) : socket.GetName(name);
        socket.DecRef();
        return length < 0 ? length : -(long)WriteAddress(task, name[..length], a.A1, a.A2);
    }

    private static long Shutdown(Task task, in SyscallArguments a)
    {
        if (Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        error = a.Int1 is (>= Socket.SHUT_RD and <= Socket.SHUT_RDWR) || !socket.CanShutDown ? socket.Shutdown(a.Int1) : Errno.EINVAL;
        socket.DecRef();
        return -(long)error;
    }

    private static long SetSockOpt(Task task, in SyscallArguments a)
    {
        if (a.Int4 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        int length = Math.Min(a.Int4, MaximumOption);
        byte[]? rented = length > StackOption ? ArrayPool<byte>.Shared.Rent(length) : null;
        Span<byte> value = rented is null ? stackalloc byte[StackOption] : rented;
        value = value[..length];
        long result = length > 0 && task.Memory.CopyIn(a.A3, value) != length ? -(long)Errno.EFAULT : socket.SetOption(task, a.Int1, a.Int2, value);
        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        socket.DecRef();
        return result;
    }

    private static long GetSockOpt(Task task, in SyscallArguments a)
    {
        if (Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        long result = task.Memory.CopyIn(a.A4, out int length) != Errno.None ? -(long)Errno.EFAULT
            : length < 0 ? -(long)Errno.EINVAL
            : DoGetSockOpt(task, socket, a, Math.Min(length, MaximumOption));
        socket.DecRef();
        return result;
    }

    private static long DoGetSockOpt(Task task, SocketDescription socket, in SyscallArguments a, int length)
    {
        // The room and the length of a filter are counted in instructions.
        bool isFilter = a.Int1 == Socket.SOL_SOCKET && a.Int2 == Socket.SO_GET_FILTER;
        length = isFilter ? Math.Min(length, ClassicBpf.MaxLength) * BpfInstruction.SizeInBytes : length;
        byte[]? rented = length > StackOption ? ArrayPool<byte>.Shared.Rent(length) : null;
        Span<byte> value = rented is null ? stackalloc byte[StackOption] : rented;
        value = value[..length];
        value.Clear();

        // Options whose value is read first: a version of the rings, and what of the tables of the packet filter is asked for.
        int input = a.Int1 == Socket.SOL_PACKET && a.Int2 == Socket.PACKET_HDRLEN && length >= 4 ? 4
            : a.Int1 is Socket.SOL_IP or Socket.SOL_IPV6 && LegacyTables.IsGetOption(a.Int2, a.Int1 == Socket.SOL_IP) ? Math.Min(length, LegacyTables.MaximumInput) : 0;
        long result = input > 0 && task.Memory.CopyIn(a.A3, value[..input]) != input ? -(long)Errno.EFAULT : socket.GetOption(task, a.Int1, a.Int2, value);
        if (result >= 0)
        {
            int full = (int)result, part = Math.Min(full, length);
            bool fits = full <= length || (isFilter && length == 0);
            bool copied = !fits || part == 0 || task.Memory.CopyOut(a.A3, value[..part]) == part;
            copied = copied && task.Memory.CopyOut(a.A4, isFilter ? full / BpfInstruction.SizeInBytes : full) == Errno.None;
            result = !copied ? -(long)Errno.EFAULT : fits ? 0 : -(long)Errno.ERANGE;
        }

        if (rented is not null)
        {
            ArrayPool<byte>.Shared.Return(rented);
        }

        return result;
    }
}
