using System;
using System.Buffers.Binary;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Link;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Wire;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Sockets.Packet;

/// <summary>A receive ring of version 2 (PACKET_RX_RING, packet(7)): slots in memory that the application maps, each its own or the kernel's.</summary>
/// <remarks>Frames wait in the endpoint's queue while no slot is free. What the application writes into the slots is only looked at for the owner.</remarks>
internal sealed class PacketRing
{
    /// <summary>sizeof(struct tpacket2_hdr), and where struct sockaddr_ll stands behind it.</summary>
    public const int HeaderSize = 32;

    private const int AddressOffset = 32, AddressSize = 20;
    private const int Alignment = 16;
    private const long MaximumSize = 64 << 20;
    private const uint StatusUser = 1, StatusChecksumNotReady = 8, StatusSoftwareTime = 1u << 29;

    private readonly Lock _mu = new();
    private readonly PageCache _pages;
    private readonly PacketEndpoint _endpoint;
    private readonly int _blockSize;
    private readonly int _frameSize;
    private readonly int _framesPerBlock;
    private readonly int _frames;
    private readonly int _reserve;

    // The next slot to be filled. Guarded by _mu.
    private int _head;

    private PacketRing(SentryKernel kernel, PacketEndpoint endpoint, int blockSize, int blocks, int frameSize, int reserve)
    {
        _endpoint = endpoint;
        _blockSize = blockSize;
        _frameSize = frameSize;
        _framesPerBlock = blockSize / frameSize;
        _frames = _framesPerBlock * blocks;
        _reserve = reserve;
        _pages = new PageCache(kernel.Memory, null, new MappingIdentity("socket:[packet]", 0, 0));
        _pages.Truncate((ulong)blockSize * (ulong)blocks);
    }

    /// <summary>Checks struct tpacket_req. EINVAL, ENOMEM.</summary>
    public static Errno TryCreate(SentryKernel kernel, PacketEndpoint endpoint, ReadOnlySpan<byte> request, int reserve, out PacketRing? ring)
    {
        const uint page = 4096;
        ring = null;
        uint blockSize = BitConverter.ToUInt32(request), blocks = BitConverter.ToUInt32(request[4..]), frameSize = BitConverter.ToUInt32(request[8..]),
            frames = BitConverter.ToUInt32(request[12..]);
        if (blocks == 0)
        {
            return frames != 0 ? Errno.EINVAL : Errno.None;
        }

        if (blockSize is 0 or > int.MaxValue || blockSize % page != 0 || frameSize > blockSize || frameSize < HeaderSize + AddressSize + (uint)reserve || frameSize % Alignment != 0
            || (ulong)(blockSize / frameSize) * blocks != frames)
        {
            return Errno.EINVAL;
        }

        if ((ulong)blockSize * blocks > (ulong)MaximumSize)
        {
            return Errno.ENOMEM;
        }

        ring = new PacketRing(kernel, endpoint, (int)blockSize, (int)blocks, (int)frameSize, reserve);
        return Errno.None;
    }

    /// <summary>For mmap(2): with a reference for the caller.</summary>
    public IMappable Map()
    {
        _pages.IncRef();
        return _pages;
    }

    public void Close() => _pages.DecRef();

    /// <summary>The application has a frame to read.</summary>
    public bool IsReadable
    {
        get
        {
            lock (_mu)
            {
                return ReadStatus(_head == 0 ? _frames - 1 : _head - 1) != 0;
            }
        }
    }

    /// <summary>Moves frames from the endpoint's queue into free slots. No lock of the stack is held.</summary>
    public void Fill()
    {
        lock (_mu)
        {
            while (ReadStatus(_head) == 0 && _endpoint.Receive(peek: false, out ReceivedFrame frame) == NetError.None)
            {
                Write(frame);
                frame.Packet.Release();
                _head = _head + 1 == _frames ? 0 : _head + 1;
            }
        }
    }

    private ulong Position(int slot) => ((ulong)(slot / _framesPerBlock) * (ulong)_blockSize) + ((ulong)(slot % _framesPerBlock) * (ulong)_frameSize);

    private uint ReadStatus(int slot)
    {
        Span<byte> status = stackalloc byte[4];
        status.Clear();
        IoBuffer buffer = new(status);
        _ = _pages.Read(ref buffer, Position(slot));
        return BitConverter.ToUInt32(status);
    }

    // Data first, then the header, and its first word last: it gives the slot to the application.
    private void Write(in ReceivedFrame frame)
    {
        PacketBuffer packet = frame.Packet;
        int link = _endpoint.IsRaw && frame.LinkKind != LinkKind.None ? EthernetHeader.Size : 0;
        int network = !_endpoint.IsRaw
            ? Align(HeaderSize + AddressSize) + 16 + _reserve
            : Align(HeaderSize + AddressSize + Math.Max(link, 16)) + _reserve;
        int start = network - link;
        int length = Math.Clamp(_frameSize - start, 0, packet.Length);
        ulong position = Position(_head), at = position + (ulong)start;
        int left = length;
        for (int i = 0; i < packet.ChunkCount && left > 0; i++)
        {
            ReadOnlySpan<byte> chunk = packet.Chunk(i);
            Put(chunk[..Math.Min(chunk.Length, left)], at);
            at += (ulong)Math.Min(chunk.Length, left);
            left -= Math.Min(chunk.Length, left);
        }

        Span<byte> header = stackalloc byte[AddressOffset + AddressSize];
        header.Clear();
        BitConverter.TryWriteBytes(header[4..], frame.OriginalLength);
        BitConverter.TryWriteBytes(header[8..], length);
        BitConverter.TryWriteBytes(header[12..], (ushort)start);
        BitConverter.TryWriteBytes(header[14..], (ushort)network);
        BitConverter.TryWriteBytes(header[16..], (uint)(frame.Timestamp / 1_000_000_000));
        BitConverter.TryWriteBytes(header[20..], (uint)(frame.Timestamp % 1_000_000_000));
        Span<byte> address = header[AddressOffset..];
        BitConverter.TryWriteBytes(address, (ushort)Socket.AF_PACKET);
        BinaryPrimitives.WriteUInt16BigEndian(address[2..], frame.Protocol);
        BitConverter.TryWriteBytes(address[4..], frame.Interface);
        BitConverter.TryWriteBytes(address[8..], (ushort)frame.LinkKind);
        address[10] = (byte)frame.Type;
        address[11] = frame.LinkKind != LinkKind.None ? (byte)MacAddress.Size : (byte)0;
        frame.Source.Write(address[12..]);
        Put(header[4..], position + 4);
        BitConverter.TryWriteBytes(header, StatusUser | StatusSoftwareTime | (packet.Checksum == ChecksumState.Partial ? StatusChecksumNotReady : 0));
        Thread.MemoryBarrier();
        Put(header[..4], position);
    }

    private static int Align(int length) => (length + Alignment - 1) & ~(Alignment - 1);

    private void Put(ReadOnlySpan<byte> bytes, ulong position)
    {
        Span<byte> copy = stackalloc byte[256];
        while (!bytes.IsEmpty)
        {
            int part = Math.Min(bytes.Length, copy.Length);
            bytes[..part].CopyTo(copy);
            IoBuffer buffer = new(copy[..part]);
            if (_pages.Write(ref buffer, position) != part)
            {
                return;
            }

            bytes = bytes[part..];
            position += (ulong)part;
        }
    }
}
