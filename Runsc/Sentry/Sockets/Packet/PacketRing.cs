using System;
using System.Buffers.Binary;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Link;
using Runsc.NetStack.Transport;
using Runsc.NetStack.Wire;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Sockets.Packet;

/// <summary>A receive ring (PACKET_RX_RING, packet(7)): memory that the application maps, of which it owns some parts and the kernel the others.</summary>
/// <remarks>
/// Of what the application writes there only the owners are looked at. <see cref="Fill"/> is called whenever the stack's lock was released with new frames in the
/// endpoint's queue, and empties the queue: what finds no room is dropped, and counted.
/// </remarks>
internal abstract class PacketRing
{
    protected const int AddressSize = 20;
    protected const uint StatusUser = 1, StatusLosing = 4, StatusChecksumNotReady = 8, StatusTimeout = 0x20, StatusChecksumValid = 0x80, StatusSoftwareTime = 1u << 29;

    private const int Alignment = 16;
    private const long MaximumSize = 64 << 20;

    private readonly PageCache _pages;
    private readonly PacketEndpoint _endpoint;
    private readonly RingLayout _layout;

    protected PacketRing(SentryKernel kernel, PacketEndpoint endpoint, RingLayout layout)
    {
        _endpoint = endpoint;
        _layout = layout;
        _pages = new PageCache(kernel.Memory, null, new MappingIdentity("socket:[packet]", 0, 0));
        _pages.Truncate((ulong)layout.BlockSize * (ulong)layout.Blocks);
    }

    /// <summary>The application has something to read.</summary>
    public abstract bool IsReadable { get; }

    /// <summary>TPACKET_V1, V2, V3 as in PACKET_VERSION; the size of the header of a frame, for PACKET_HDRLEN; 0 for no version.</summary>
    public static int HeaderSize(int version) => version switch { 0 or 1 => 32, 2 => 48, _ => 0 };

    protected Lock Mu { get; } = new();

    protected PacketEndpoint Endpoint => _endpoint;

    protected RingLayout Layout => _layout;

    /// <summary>Checks struct tpacket_req, or tpacket_req3 for the third version. EINVAL, ENOMEM. No ring for a request of nothing.</summary>
    public static Errno TryCreate(SentryKernel kernel, PacketEndpoint endpoint, ReadOnlySpan<byte> request, int version, int reserve, Action readable, out PacketRing? ring)
    {
        const uint page = 4096;
        ring = null;
        uint blockSize = BitConverter.ToUInt32(request), blocks = BitConverter.ToUInt32(request[4..]), frameSize = BitConverter.ToUInt32(request[8..]),
            frames = BitConverter.ToUInt32(request[12..]);
        if (blocks == 0)
        {
            return frames != 0 ? Errno.EINVAL : Errno.None;
        }

        uint smallest = (uint)(HeaderSize(version) + AddressSize + reserve);
        if (blockSize is 0 or > int.MaxValue || blockSize % page != 0 || frameSize > blockSize || frameSize < smallest || frameSize % Alignment != 0
            || (ulong)(blockSize / frameSize) * blocks != frames)
        {
            return Errno.EINVAL;
        }

        bool hasBlocks = version == 2;
        uint timeout = hasBlocks ? BitConverter.ToUInt32(request[16..]) : 0, mine = hasBlocks ? BitConverter.ToUInt32(request[20..]) : 0;
        if (hasBlocks && blockSize < BlockRing.BlockHeader + (((ulong)mine + 7) & ~7ul) + smallest)
        {
            return Errno.EINVAL;
        }

        if ((ulong)blockSize * blocks > (ulong)MaximumSize)
        {
            return Errno.ENOMEM;
        }

        RingLayout layout = new(version, (int)blockSize, (int)blocks, (int)frameSize, reserve);
        ring = hasBlocks ? new BlockRing(kernel, endpoint, layout, (int)mine, timeout, readable) : new SlotRing(kernel, endpoint, layout);
        return Errno.None;
    }

    /// <summary>For mmap(2): with a reference for the caller.</summary>
    public IMappable Map()
    {
        _pages.IncRef();
        return _pages;
    }

    public virtual void Close() => _pages.DecRef();

    /// <summary>Moves frames from the endpoint's queue into the ring. No lock of the stack is held.</summary>
    public void Fill()
    {
        lock (Mu)
        {
            while (_endpoint.Receive(peek: false, out ReceivedFrame frame) == NetStack.NetError.None)
            {
                if (!TryPut(frame))
                {
                    _endpoint.CountDrop();
                }

                frame.Packet.Release();
            }
        }
    }

    /// <summary>Puts a frame into the ring; false if there is no room. <see cref="Mu"/> is held.</summary>
    protected abstract bool TryPut(in ReceivedFrame frame);

    /// <summary>Where a frame and its network header stand, from the frame's place in the ring on.</summary>
    protected void Place(in ReceivedFrame frame, out int start, out int network)
    {
        int header = Align(HeaderSize(_layout.Version)) + AddressSize;
        int link = _endpoint.IsRaw && frame.LinkKind != LinkKind.None ? EthernetHeader.Size : 0;
        network = !_endpoint.IsRaw ? Align(header) + 16 + _layout.Reserve : Align(header + Math.Max(link, 16)) + _layout.Reserve;
        start = network - link;
    }

    /// <summary>TP_STATUS_*, without the owner.</summary>
    protected static uint StatusOf(in ReceivedFrame frame) =>
        StatusSoftwareTime | frame.Packet.Checksum switch
        {
            ChecksumState.Partial => StatusChecksumNotReady,
            ChecksumState.Valid when frame.Type != PacketType.Outgoing => StatusChecksumValid,
            _ => 0,
        };

    /// <summary>struct sockaddr_ll.</summary>
    protected static void WriteAddress(in ReceivedFrame frame, Span<byte> address)
    {
        address[..AddressSize].Clear();
        BitConverter.TryWriteBytes(address, (ushort)Socket.AF_PACKET);
        BinaryPrimitives.WriteUInt16BigEndian(address[2..], frame.Protocol);
        BitConverter.TryWriteBytes(address[4..], frame.Interface);
        BitConverter.TryWriteBytes(address[8..], (ushort)frame.LinkKind);
        address[10] = (byte)frame.Type;
        address[11] = frame.LinkKind != LinkKind.None ? (byte)MacAddress.Size : (byte)0;
        frame.Source.Write(address[12..]);
    }

    protected static int Align(int length) => (length + Alignment - 1) & ~(Alignment - 1);

    protected uint ReadWord(ulong position)
    {
        Span<byte> word = stackalloc byte[4];
        word.Clear();
        IoBuffer buffer = new(word);
        _ = _pages.Read(ref buffer, position);
        return BitConverter.ToUInt32(word);
    }

    /// <summary>The first bytes of a packet.</summary>
    protected void Put(PacketBuffer packet, int length, ulong position)
    {
        for (int i = 0; i < packet.ChunkCount && length > 0; i++)
        {
            ReadOnlySpan<byte> chunk = packet.Chunk(i);
            chunk = chunk[..Math.Min(chunk.Length, length)];
            Put(chunk, position);
            position += (ulong)chunk.Length;
            length -= chunk.Length;
        }
    }

    protected void Put(ReadOnlySpan<byte> bytes, ulong position)
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

    /// <summary>A word that gives a part of the ring to the application: after all that is in it.</summary>
    protected void GiveAway(uint status, ulong position)
    {
        Span<byte> word = stackalloc byte[4];
        BitConverter.TryWriteBytes(word, status);
        Thread.MemoryBarrier();
        Put(word, position);
    }
}
