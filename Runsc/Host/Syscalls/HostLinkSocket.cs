using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>A packet socket of one interface of the host (packet(7)), for frames with a virtio_net_hdr in front, in batches.</summary>
internal sealed unsafe partial class HostLinkSocket
{
    /// <summary>Frames of one batch.</summary>
    public const int Batch = 32;

    /// <summary>Pieces of one frame: the virtio header, the linear part and the fragments.</summary>
    public const int MaxPieces = 20;

    private const int SOL_PACKET = 263;
    private const int PACKET_VNET_HDR = 15;
    private const int PACKET_IGNORE_OUTGOING = 23;
    private const ushort EthPAll = 3;

    private readonly int _fd;
    private readonly MessageVector* _messages;
    private readonly IoVector* _pieces;
    private int _count;

    public HostLinkSocket(int fd)
    {
        _fd = fd;
        _messages = (MessageVector*)NativeMemory.AllocZeroed(Batch, (nuint)sizeof(MessageVector));
        _pieces = (IoVector*)NativeMemory.AllocZeroed(Batch * MaxPieces, (nuint)sizeof(IoVector));
    }

    /// <summary>A socket bound to an interface in the namespace of the calling thread, or −errno.</summary>
    public static int Open(int index, int bufferSize)
    {
        // Protocol 0 first, so that nothing of other interfaces comes in before the bind.
        int fd = HostResult.Of(SocketNative(Socket.AF_PACKET, Socket.SOCK_RAW | Socket.SOCK_CLOEXEC, 0));
        if (fd < 0)
        {
            return fd;
        }

        int one = 1;
        int result = HostResult.Of(SetOptionNative(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(int)));
        if (result >= 0)
        {
            _ = SetOptionNative(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(int));
            _ = SetOptionNative(fd, Socket.SOL_SOCKET, Socket.SO_RCVBUFFORCE, &bufferSize, sizeof(int));
            _ = SetOptionNative(fd, Socket.SOL_SOCKET, Socket.SO_SNDBUFFORCE, &bufferSize, sizeof(int));
            LinkAddress address = new() { Family = Socket.AF_PACKET, Protocol = EthPAll << 8, Index = index };
            result = HostResult.Of(BindNative(fd, &address, (uint)sizeof(LinkAddress)));
        }

        if (result < 0)
        {
            _ = HostFile.Close(fd);
            return result;
        }

        return fd;
    }

    /// <summary>Begins a batch.</summary>
    public void Clear() => _count = 0;

    /// <summary>Begins a frame of the batch.</summary>
    public void AddFrame()
    {
        ref MessageHeader header = ref _messages[_count].Header;
        header.Vectors = _pieces + (_count * MaxPieces);
        header.VectorCount = 0;
        _messages[_count].Length = 0;
        _count++;
    }

    /// <summary>Adds a piece to the current frame. Precondition: the array is pinned and stays so until the call is over.</summary>
    public void AddPiece(byte[] pinned, int offset, int length)
    {
        ref MessageHeader header = ref _messages[_count - 1].Header;

        // SAFETY: the array is of the pinned heap and the range was checked by the span.
        ref byte first = ref MemoryMarshal.GetReference(pinned.AsSpan(offset, length));
        header.Vectors[header.VectorCount++] = new IoVector { Base = System.Runtime.CompilerServices.Unsafe.AsPointer(ref first), Length = (nuint)length };
    }

    /// <summary>recvmmsg(2) into the frames of the batch: waits for the first, and takes what else is there. How many came, or −errno.</summary>
    public int Receive() => HostResult.Of(ReceiveNative(_fd, _messages, (uint)_count, Socket.MSG_WAITFORONE, null));

    /// <summary>Bytes of a received frame.</summary>
    public int LengthOf(int frame) => (int)_messages[frame].Length;

    /// <summary>sendmmsg(2) of the frames from <paramref name="first"/> on: how many went, or −errno.</summary>
    public int Send(int first) => HostResult.Of(SendNative(_fd, _messages + first, (uint)(_count - first), Socket.MSG_DONTWAIT));

    /// <summary>Waits until frames can go (poll(2)).</summary>
    public int Wait(short events, int timeout) => HostEvents.Poll(_fd, events, timeout);

    /// <summary>struct sockaddr_ll.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct LinkAddress
    {
        public ushort Family;
        public ushort Protocol;
        public int Index;
        public ushort HardwareType;
        public byte PacketType;
        public byte AddressLength;
        public ulong Address;
    }

    /// <summary>struct iovec.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct IoVector
    {
        public void* Base;
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
        public void* Control;
        public nuint ControlLength;
        public int Flags;
        public uint Padding1;
    }

    /// <summary>struct mmsghdr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct MessageVector
    {
        public MessageHeader Header;
        public uint Length;
        public uint Padding0;
    }

    [LibraryImport("libc", EntryPoint = "socket", SetLastError = true)]
    private static partial int SocketNative(int domain, int type, int protocol);

    [LibraryImport("libc", EntryPoint = "bind", SetLastError = true)]
    private static partial int BindNative(int socket, LinkAddress* address, uint length);

    [LibraryImport("libc", EntryPoint = "setsockopt", SetLastError = true)]
    private static partial int SetOptionNative(int socket, int level, int name, void* value, uint length);

    [LibraryImport("libc", EntryPoint = "recvmmsg", SetLastError = true)]
    private static partial int ReceiveNative(int socket, MessageVector* messages, uint count, int flags, void* timeout);

    [LibraryImport("libc", EntryPoint = "sendmmsg", SetLastError = true)]
    private static partial int SendNative(int socket, MessageVector* messages, uint count, int flags);
}
