using System;
using System.Collections.Concurrent;
using System.IO;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using Microsoft.Win32.SafeHandles;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;
using Xunit;

namespace Runsc.Tests.Interop;

/// <summary>An interface of another network namespace as a link of our stack, one frame at a time and without offloads: what is measured is TCP.</summary>
internal sealed unsafe partial class PacketDevice : LinkDevice, IDisposable
{
    private const int AF_PACKET = 17, SOCK_RAW = 3, ETH_P_ALL = 3, SOL_SOCKET = 1, SO_RCVBUFFORCE = 33, SO_SNDBUFFORCE = 32, SO_RCVTIMEO = 20;
    private const int SOL_PACKET = 263, PACKET_IGNORE_OUTGOING = 23, CLONE_NEWNET = 0x40000000, MSG_DONTWAIT = 0x40;

    private readonly ConcurrentQueue<PacketBuffer> _queue = new();
    private readonly Flush _flush;
    private readonly Thread _receiver;
    private readonly int _fd;
    private volatile bool _stopped;

    public PacketDevice(int process, string name, MacAddress address, int mtu)
    {
        Address = address;
        DefaultMtu = mtu;
        _flush = new Flush(this);
        int fd = -1;
        Exception? failure = null;
        Thread opener = new(() =>
        {
            try
            {
                fd = Open(process, name);
            }
            catch (IOException exception)
            {
                failure = exception;
            }
        });
        opener.Start();
        opener.Join();
        Assert.Null(failure);
        _fd = fd;
        _receiver = new Thread(Receive) { IsBackground = true };
    }

    public override LinkKind Kind => LinkKind.Ethernet;

    public override MacAddress Address { get; }

    public override int DefaultMtu { get; }

    public void Start() => _receiver.Start();

    public void Dispose()
    {
        _stopped = true;
        _receiver.Join();
        _ = close(_fd);
    }

    public override bool Transmit(PacketBuffer frame)
    {
        _queue.Enqueue(frame);
        Interface!.Stack.Defer(_flush);
        return true;
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socket(int family, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int bind(int fd, byte* address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(int fd, byte* buffer, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(int fd, byte* buffer, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setsockopt(int fd, int level, int name, void* value, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int setns(int fd, int type);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int close(int fd);

    [LibraryImport("libc", SetLastError = true)]
    private static partial uint if_nametoindex(byte* name);

    /// <summary>Runs on a thread of its own, which stays in the other namespace for the rest of its short life.</summary>
    private static int Open(int process, string name)
    {
        using (SafeFileHandle space = File.OpenHandle($"/proc/{process}/ns/net"))
        {
            Check(setns((int)space.DangerousGetHandle(), CLONE_NEWNET));
        }

        int fd = Check(socket(AF_PACKET, SOCK_RAW, IPAddress.HostToNetworkOrder((short)ETH_P_ALL)));
        byte* address = stackalloc byte[20];
        new Span<byte>(address, 20).Clear();
        *(ushort*)address = AF_PACKET;
        *(short*)(address + 2) = IPAddress.HostToNetworkOrder((short)ETH_P_ALL);
        fixed (byte* bytes = Encoding.ASCII.GetBytes(name + "\0"))
        {
            *(uint*)(address + 4) = if_nametoindex(bytes);
        }

        Check(bind(fd, address, 20));
        int one = 1;
        int size = 8 << 20;
        long* timeout = stackalloc long[2] { 0, 100_000 };
        Check(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, 4));
        _ = setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, 4);
        _ = setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, 4);
        Check(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, timeout, 16));
        return fd;
    }

    private static int Check(int result) => result >= 0 ? result : throw new IOException($"errno {Marshal.GetLastPInvokeError()}");

    private void Receive()
    {
        byte[] buffer = GC.AllocateArray<byte>(70000, pinned: true);
        fixed (byte* bytes = buffer)
        {
            while (!_stopped)
            {
                nint length = recv(_fd, bytes, buffer.Length, 0);
                if (length < EthernetHeader.Size)
                {
                    continue;
                }

                using (Interface!.Stack.Enter())
                {
                    for (int count = 0; length >= EthernetHeader.Size && count < 16; count++)
                    {
                        PacketBuffer packet = Interface.Stack.Pool.Allocate(PacketBuffer.Headroom, (int)length);
                        buffer.AsSpan(0, (int)length).CopyTo(packet.Append((int)length));
                        Interface.Receive(packet);
                        length = count < 15 ? recv(_fd, bytes, buffer.Length, MSG_DONTWAIT) : 0;
                    }
                }
            }
        }
    }

    private sealed class Flush(PacketDevice device) : DeferredWork
    {
        private readonly Lock _mu = new();
        private readonly byte[] _buffer = GC.AllocateArray<byte>(70000, pinned: true);

        public override void Run()
        {
            lock (_mu)
            {
                while (device._queue.TryDequeue(out PacketBuffer? frame))
                {
                    if (frame.Checksum == ChecksumState.Partial)
                    {
                        PartialChecksum.Complete(frame);
                    }

                    int length = frame.CopyTo(0, _buffer);
                    frame.Release();
                    fixed (byte* bytes = _buffer)
                    {
                        _ = send(device._fd, bytes, length, 0);
                    }
                }
            }
        }
    }
}
