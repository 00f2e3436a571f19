using System;
using System.Buffers.Binary;
using System.Threading;
using Runsc.Common;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;

namespace Runsc.Boot.Wiring;

/// <summary>An interface of the host, by a packet socket: frames in batches, each with a virtio_net_hdr that carries checksum and segmentation offload.</summary>
/// <remarks>
/// What comes in was written by strangers: offsets and sizes of the header are checked. One thread receives; whoever releases the stack's
/// lock sends what was queued under it.
/// </remarks>
internal sealed class HostLinkDevice : LinkDevice
{
    private const int VirtioHeader = 10;
    private const byte NeedsChecksum = 1;
    private const byte DataValid = 2;
    private const byte GsoNone = 0, GsoTcpV4 = 1, GsoTcpV6 = 4, GsoUdpL4 = 5, GsoEcn = 0x80;

    private const int ReceiveBatch = 16;
    private const int LinearSize = 2048;
    private const int LinearFrame = LinearSize - PacketBuffer.Headroom;
    private const int OverflowSize = 65536;
    private const int MaxQueue = 1000;
    private const int SendPatience = 20;

    private readonly HostLinkSocket _in;
    private readonly HostLinkSocket _out;
    private readonly BufferPool _pool;
    private readonly int _maxGso;
    private readonly Flush _flush;
    private readonly Slab?[] _linear = new Slab?[ReceiveBatch];
    private readonly Slab?[] _overflow = new Slab?[ReceiveBatch];
    private readonly byte[] _headers = GC.AllocateArray<byte>(HostLinkSocket.Batch * 16, pinned: true);
    private readonly PacketBuffer?[] _sending = new PacketBuffer?[HostLinkSocket.Batch];
    private readonly Lock _queueMu = new();
    private readonly Lock _sendMu = new();

    // Guarded by _queueMu, a leaf.
    private PacketBuffer? _first;
    private PacketBuffer? _last;
    private int _count;

    private volatile bool _isClosed;

    public HostLinkDevice(int fd, MacAddress address, int mtu, int maxGso, BufferPool pool)
    {
        _in = new HostLinkSocket(fd);
        _out = new HostLinkSocket(fd);
        _pool = pool;
        _maxGso = maxGso;
        Address = address;
        DefaultMtu = mtu;
        _flush = new Flush(this);
    }

    public override LinkKind Kind => LinkKind.Ethernet;

    public override MacAddress Address { get; }

    public override int DefaultMtu { get; }

    /// <summary>The host's interface takes no larger frames.</summary>
    public override int MaxMtu => DefaultMtu;

    public override bool HasChecksumOffload => true;

    public override int MaxGsoPacket => _maxGso > 0 ? _maxGso + EthernetHeader.Size : 0;

    /// <summary>Begins to receive. Precondition: the interface is set.</summary>
    public void Start() => new Thread(ReceiveLoop, 256 << 10) { IsBackground = true, Name = "net " + Interface!.Name }.Start();

    public override bool Transmit(PacketBuffer frame)
    {
        lock (_queueMu)
        {
            if (_count == MaxQueue || _isClosed)
            {
                frame.Release();
                return false;
            }

            frame.Next = null;
            if (_last is null)
            {
                _first = frame;
            }
            else
            {
                _last.Next = frame;
            }

            _last = frame;
            _count++;
        }

        Interface!.Stack.Defer(_flush);
        return true;
    }

    public override void Close() => _isClosed = true;

    private void ReceiveLoop()
    {
        NetworkInterface input = Interface!;
        PacketBuffer?[] packets = new PacketBuffer?[ReceiveBatch];
        while (!_isClosed)
        {
            int frames = Prepare();
            if (frames == 0)
            {
                // Memory is out: what comes meanwhile is lost in the host's queue, not here.
                Thread.Sleep(1);
                continue;
            }

            int received = _in.Receive();
            if (received is -(int)Errno.EAGAIN or -(int)Errno.EINTR)
            {
                continue;
            }

            if (received < 0)
            {
                if (received is -(int)Errno.ENETDOWN or -(int)Errno.ENXIO)
                {
                    // The host's interface is down; it may come back.
                    Thread.Sleep(100);
                    continue;
                }

                Log.Warning($"interface {input.Name}: receive: errno {-received}");
                return;
            }

            int count = 0;
            for (int i = 0; i < received; i++)
            {
                packets[count] = Take(i);
                count += packets[count] is null ? 0 : 1;
            }

            using (input.Stack.Enter())
            {
                for (int i = 0; i < count; i++)
                {
                    input.Receive(packets[i]!);
                    packets[i] = null;
                }
            }
        }
    }

    /// <summary>Gives every frame of the batch its memory: a small piece, and a large one for what is more than one MTU.</summary>
    private int Prepare()
    {
        _in.Clear();
        for (int i = 0; i < ReceiveBatch; i++)
        {
            _linear[i] ??= _pool.TryRent(LinearSize);
            _overflow[i] ??= _pool.TryRent(OverflowSize);
            if (_linear[i] is not { } linear || _overflow[i] is not { } overflow)
            {
                return i;
            }

            _in.AddFrame();
            _in.AddPiece(linear.Array, PacketBuffer.Headroom - VirtioHeader, VirtioHeader + LinearFrame);
            _in.AddPiece(overflow.Array, 0, OverflowSize);
        }

        return ReceiveBatch;
    }

    /// <summary>A packet of a received frame; null if it makes no sense.</summary>
    private PacketBuffer? Take(int index)
    {
        int length = _in.LengthOf(index) - VirtioHeader;
        if (length < EthernetHeader.Size || length > LinearFrame + OverflowSize)
        {
            return null;
        }

        Slab linear = _linear[index]!;
        _linear[index] = null;
        ReadOnlySpan<byte> header = linear.Array.AsSpan(PacketBuffer.Headroom - VirtioHeader, VirtioHeader);
        byte flags = header[0];
        byte gso = (byte)(header[1] & ~GsoEcn);
        int gsoSize = BinaryPrimitives.ReadUInt16LittleEndian(header[4..]);
        int checksumStart = BinaryPrimitives.ReadUInt16LittleEndian(header[6..]);
        int checksumOffset = BinaryPrimitives.ReadUInt16LittleEndian(header[8..]);
        PacketBuffer packet = _pool.Wrap(linear, PacketBuffer.Headroom, Math.Min(length, LinearFrame));
        if (length > LinearFrame)
        {
            Slab overflow = _overflow[index]!;
            _overflow[index] = null;
            packet.TryAppend(overflow, 0, length - LinearFrame);
            overflow.Release();
        }

        if ((flags & NeedsChecksum) != 0)
        {
            packet.Checksum = ChecksumState.Partial;
            packet.ChecksumStart = packet.Position + checksumStart;
            packet.ChecksumOffset = checksumOffset;
            if (!PartialChecksum.IsInside(packet))
            {
                packet.Release();
                return null;
            }
        }
        else if ((flags & DataValid) != 0)
        {
            packet.Checksum = ChecksumState.Valid;
        }

        if (gso != GsoNone)
        {
            packet.Gso = gso switch { GsoTcpV4 => GsoType.TcpV4, GsoTcpV6 => GsoType.TcpV6, GsoUdpL4 => GsoType.Udp, _ => GsoType.None };
            packet.GsoSize = gsoSize;
            if (packet.Gso == GsoType.None || gsoSize == 0 || packet.Checksum != ChecksumState.Partial)
            {
                packet.Release();
                return null;
            }
        }

        return packet;
    }

    private void SendQueued()
    {
        lock (_sendMu)
        {
            while (true)
            {
                int count = TakeBatch();
                if (count == 0)
                {
                    return;
                }

                _out.Clear();
                for (int i = 0; i < count; i++)
                {
                    AddFrame(_sending[i]!, i);
                }

                SendBatch(count);
                for (int i = 0; i < count; i++)
                {
                    _sending[i]!.Release();
                    _sending[i] = null;
                }
            }
        }
    }

    private void SendBatch(int count)
    {
        int waits = 0;
        for (int sent = 0; sent < count;)
        {
            int result = _out.Send(sent);
            if (result > 0)
            {
                sent += result;
            }
            else if (result == -(int)Errno.EAGAIN && waits++ < SendPatience)
            {
                // The device is behind: the sender waits a little, as under a full queue of a real one, then frames are lost.
                _ = _out.Wait(Poll.POLLOUT, 1);
            }
            else if (result != -(int)Errno.EINTR)
            {
                sent++;
            }
        }
    }

    private int TakeBatch()
    {
        int count = 0;
        lock (_queueMu)
        {
            while (count < _sending.Length && _first is { } frame)
            {
                _first = frame.Next;
                frame.Next = null;
                _sending[count++] = frame;
            }

            if (_first is null)
            {
                _last = null;
            }

            _count -= count;
        }

        return count;
    }

    private void AddFrame(PacketBuffer frame, int index)
    {
        Span<byte> header = _headers.AsSpan(index * 16, VirtioHeader);
        header.Clear();
        if (frame.Checksum == ChecksumState.Partial)
        {
            int start = frame.ChecksumStart - frame.Position;
            header[0] = NeedsChecksum;
            BinaryPrimitives.WriteUInt16LittleEndian(header[6..], (ushort)start);
            BinaryPrimitives.WriteUInt16LittleEndian(header[8..], (ushort)frame.ChecksumOffset);
            if (frame.Gso != GsoType.None && frame.LinearLength >= start + UdpHeader.Size)
            {
                int transport = frame.Gso == GsoType.Udp ? UdpHeader.Size : frame.LinearLength > start + 12 ? (frame.Linear[start + 12] >> 4) * 4 : 20;
                header[1] = frame.Gso switch { GsoType.TcpV4 => GsoTcpV4, GsoType.TcpV6 => GsoTcpV6, _ => GsoUdpL4 };
                BinaryPrimitives.WriteUInt16LittleEndian(header[2..], (ushort)(start + transport));
                BinaryPrimitives.WriteUInt16LittleEndian(header[4..], (ushort)frame.GsoSize);
            }
        }

        _out.AddFrame();
        _out.AddPiece(_headers, index * 16, VirtioHeader);
        for (int i = 0; i < frame.ChunkCount; i++)
        {
            ArraySegment<byte> piece = frame.ChunkMemory(i);
            if (piece.Count > 0)
            {
                _out.AddPiece(piece.Array!, piece.Offset, piece.Count);
            }
        }
    }

    private sealed class Flush(HostLinkDevice device) : DeferredWork
    {
        public override void Run() => device.SendQueued();
    }
}
