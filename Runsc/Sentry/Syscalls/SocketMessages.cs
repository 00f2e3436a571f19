using System;
using System.Buffers;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets;

namespace Runsc.Sentry.Syscalls;

/// <summary>sendto(2), recvfrom(2), sendmsg(2), recvmsg(2), sendmmsg(2), recvmmsg(2).</summary>
internal static unsafe class SocketMessages
{
    private const ulong MaxCount = 0x7ffff000;
    private const int MaxVectors = 1024;
    private const int StackVectors = 16;
    private const int MaxMessages = 1024;

    /// <summary>Control messages up to this long are kept on the stack.</summary>
    private const int StackControl = 512;

    /// <summary>What the kernel ever writes: 253 descriptors and everything else.</summary>
    private const int MaxReceivedControl = 4096;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.sendto, "sendto", &SendTo, "fd,buf,size,msgflags,sockaddr,uint");
        b.Add(SysNo.recvfrom, "recvfrom", &ReceiveFrom, "fd,outbuf,size,msgflags,outsockaddr,ptr");
        b.Add(SysNo.sendmsg, "sendmsg", &SendMessage, "fd,msghdr,msgflags");
        b.Add(SysNo.recvmsg, "recvmsg", &ReceiveMessage, "fd,outmsghdr,msgflags");
        b.Add(SysNo.sendmmsg, "sendmmsg", &SendMessages, "fd,ptr,uint,msgflags");
        b.Add(SysNo.recvmmsg, "recvmmsg", &ReceiveMessages, "fd,ptr,uint,msgflags,timespec");
    }

    private static long SendTo(Task task, in SyscallArguments a)
    {
        if (SocketCalls.Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        Span<byte> buffer = stackalloc byte[Socket.SockaddrStorageSize];
        scoped SendRequest request = new() { Flags = a.Int3 };
        if (a.A4 != 0)
        {
            error = SocketCalls.ReadAddress(task, a.A4, a.Int5, buffer, out ReadOnlySpan<byte> address);
            request.Address = address;
        }

        scoped IoBuffer data = new(task.Memory, a.A1, Math.Min(a.A2, MaxCount));
        long result = error != Errno.None ? -(long)error : SocketIo.Send(task, socket, ref data, ref request);
        socket.DecRef();
        return result;
    }

    private static long ReceiveFrom(Task task, in SyscallArguments a)
    {
        if (SocketCalls.Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        Span<byte> address = stackalloc byte[Socket.SockaddrStorageSize];
        scoped ReceiveRequest request = new() { Flags = a.Int3, Address = a.A4 != 0 ? address : default, IsPlainRead = true };
        scoped IoBuffer data = new(task.Memory, a.A1, Math.Min(a.A2, MaxCount));
        long result = SocketIo.Receive(task, socket, ref data, ref request);
        socket.DecRef();
        if (result >= 0 && a.A4 != 0)
        {
            error = SocketCalls.WriteAddress(task, address[..request.AddressLength], a.A4, a.A5);
            result = error != Errno.None ? -(long)error : result;
        }

        return result;
    }

    private static long SendMessage(Task task, in SyscallArguments a)
    {
        if (SocketCalls.Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        long result = Send(task, socket, a.A1, a.Int2);
        socket.DecRef();
        return result;
    }

    private static long ReceiveMessage(Task task, in SyscallArguments a)
    {
        if (SocketCalls.Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        long result = Receive(task, socket, a.A1, a.Int2);
        socket.DecRef();
        return result;
    }

    private static long SendMessages(Task task, in SyscallArguments a)
    {
        if (SocketCalls.Get(task, a.Int0, out Errno error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        uint count = Math.Min(a.UInt2, MaxMessages), done = 0;
        long result = 0;
        for (; done < count; done++)
        {
            ulong header = unchecked(a.A1 + (done * (ulong)MessageVector.SizeInBytes));
            result = Send(task, socket, header, a.Int3);
            if (result < 0)
            {
                break;
            }

            if (task.Memory.CopyOut(unchecked(header + MessageHeader.SizeInBytes), (int)result) != Errno.None)
            {
                result = -(long)Errno.EFAULT;
                break;
            }
        }

        socket.DecRef();
        return done > 0 ? done : result;
    }

    private static long ReceiveMessages(Task task, in SyscallArguments a)
    {
        Errno error = TimeArguments.ReadTimeout(task, a.A4, out Deadline deadline);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (SocketCalls.Get(task, a.Int0, out error) is not SocketDescription socket)
        {
            return -(long)error;
        }

        uint count = Math.Min(a.UInt2, MaxMessages), done = 0;
        int flags = a.Int3;
        long result = 0;
        while (done < count)
        {
            ulong header = unchecked(a.A1 + (done * (ulong)MessageVector.SizeInBytes));
            result = Receive(task, socket, header, flags & ~Socket.MSG_WAITFORONE);
            if (result < 0)
            {
                break;
            }

            if (task.Memory.CopyOut(unchecked(header + MessageHeader.SizeInBytes), (int)result) != Errno.None)
            {
                result = -(long)Errno.EFAULT;
                break;
            }

            done++;
            flags |= (flags & Socket.MSG_WAITFORONE) != 0 ? Socket.MSG_DONTWAIT : 0;
            if (deadline.HasPassed)
            {
                break;
            }
        }

        socket.DecRef();
        if (a.A4 != 0 && done > 0)
        {
            Timespec left = Timespec.FromNanoseconds(Math.Max(0, deadline.Nanoseconds - task.Kernel.Clock.Monotonic));
            _ = task.Memory.CopyOut(a.A4, left);
        }

        return done > 0 ? done : result;
    }

    /// <summary>Reads the header and its iovecs; the caller returns <paramref name="rented"/>. EFAULT, EINVAL, EMSGSIZE.</summary>
    private static Errno ReadHeader(Task task, ulong address, Span<IoVec> stack, out MessageHeader header, out Span<IoVec> vectors, out IoVec[]? rented)
    {
        vectors = default;
        rented = null;
        Errno error = task.Memory.CopyIn(address, out header);
        if (error != Errno.None)
        {
            return error;
        }

        if (header.NameLength < 0)
        {
            return Errno.EINVAL;
        }

        if (header.VectorCount > MaxVectors)
        {
            return Errno.EMSGSIZE;
        }

        header.NameLength = Math.Min(header.NameLength, Socket.SockaddrStorageSize);
        int count = (int)header.VectorCount;
        rented = count > StackVectors ? ArrayPool<IoVec>.Shared.Rent(count) : null;
        vectors = (rented ?? stack)[..count];
        return FileReadWrite.ReadVectors(task, header.Vectors, vectors);
    }

    private static void Return<T>(T[]? rented)
    {
        if (rented is not null)
        {
            ArrayPool<T>.Shared.Return(rented);
        }
    }

    private static long Send(Task task, SocketDescription socket, ulong address, int flags)
    {
        Span<IoVec> stack = stackalloc IoVec[StackVectors];
        Errno error = ReadHeader(task, address, stack, out MessageHeader header, out Span<IoVec> vectors, out IoVec[]? rented);
        long result = error != Errno.None ? -(long)error : Send(task, socket, header, vectors, flags);
        Return(rented);
        return result;
    }

    private static long Send(Task task, SocketDescription socket, in MessageHeader header, ReadOnlySpan<IoVec> vectors, int flags)
    {
        if (header.ControlLength > SocketControl.MaximumLength)
        {
            return -(long)Errno.ENOBUFS;
        }

        scoped SendRequest request = new() { Flags = flags };
        Span<byte> name = stackalloc byte[Socket.SockaddrStorageSize];
        Errno error = Errno.None;
        if (header.Name != 0 && header.NameLength > 0)
        {
            error = SocketCalls.ReadAddress(task, header.Name, header.NameLength, name, out ReadOnlySpan<byte> sockaddr);
            request.Address = sockaddr;
        }

        int length = (int)header.ControlLength;
        byte[]? rented = length > StackControl ? ArrayPool<byte>.Shared.Rent(length) : null;
        Span<byte> control = rented is null ? stackalloc byte[StackControl] : rented;
        control = control[..length];
        if (error == Errno.None && length > 0)
        {
            error = task.Memory.CopyIn(header.Control, control) != length ? Errno.EFAULT : SocketControl.Parse(task, socket, control, ref request);
        }

        scoped IoBuffer data = new(task.Memory, vectors);
        long result = error != Errno.None ? -(long)error : SocketIo.Send(task, socket, ref data, ref request);
        SocketControl.Release(ref request);
        Return(rented);
        return result;
    }

    private static long Receive(Task task, SocketDescription socket, ulong address, int flags)
    {
        Span<IoVec> stack = stackalloc IoVec[StackVectors];
        Errno error = ReadHeader(task, address, stack, out MessageHeader header, out Span<IoVec> vectors, out IoVec[]? rented);
        long result = error != Errno.None ? -(long)error : Receive(task, socket, address, header, vectors, flags);
        Return(rented);
        return result;
    }

    private static long Receive(Task task, SocketDescription socket, ulong address, in MessageHeader header, ReadOnlySpan<IoVec> vectors, int flags)
    {
        Span<byte> name = stackalloc byte[Socket.SockaddrStorageSize];
        int room = (int)Math.Min(header.ControlLength, MaxReceivedControl);
        bool hasRoom = header.Control != 0 && room > 0;
        byte[]? rented = hasRoom && room > StackControl ? ArrayPool<byte>.Shared.Rent(room) : null;
        Span<byte> control = rented is null ? stackalloc byte[StackControl] : rented;
        scoped ReceiveRequest request = new()
        {
            Users = task.Credentials.UserNamespace,
            Flags = flags,
            Address = header.Name != 0 ? name : default,
            Control = new ControlWriter(hasRoom ? control[..room] : default),
        };
        scoped IoBuffer data = new(task.Memory, vectors);
        long result = SocketIo.Receive(task, socket, ref data, ref request);
        SocketControl.Install(task, socket, ref request, hasRoom);
        if (result >= 0)
        {
            Errno error = WriteBack(task, address, header, name, ref request);
            result = error != Errno.None ? -(long)error : result;
        }

        Return(rented);
        return result;
    }

    // msg_name, msg_namelen, msg_control, msg_controllen, msg_flags.
    private static Errno WriteBack(Task task, ulong address, in MessageHeader header, ReadOnlySpan<byte> name, ref ReceiveRequest request)
    {
        MessageHeader result = header;
        if (header.Name != 0)
        {
            int part = Math.Min(request.AddressLength, header.NameLength);
            if (part > 0 && task.Memory.CopyOut(header.Name, name[..part]) != part)
            {
                return Errno.EFAULT;
            }

            result.NameLength = request.AddressLength;
        }

        ReadOnlySpan<byte> control = request.Control.Written;
        if (control.Length > 0 && task.Memory.CopyOut(header.Control, control) != control.Length)
        {
            return Errno.EFAULT;
        }

        result.ControlLength = (ulong)control.Length;
        result.Flags = request.ResultFlags | (request.Flags & Socket.MSG_CMSG_CLOEXEC) | (request.Control.IsTruncated ? Socket.MSG_CTRUNC : 0);
        return task.Memory.CopyOut(address, result);
    }

    /// <summary>struct msghdr of x86-64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageHeader
    {
        public const int SizeInBytes = 56;

        public ulong Name;
        public int NameLength;
        private int _padding0;
        public ulong Vectors;
        public ulong VectorCount;
        public ulong Control;
        public ulong ControlLength;
        public int Flags;
        private int _padding1;
    }

    /// <summary>struct mmsghdr: a header, and the length of what was moved.</summary>
    private static class MessageVector
    {
        public const int SizeInBytes = 64;
    }
}
