using System;
using Runsc.NetStack.Transport;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Sockets.Packet;

/// <summary>A ring of the third version: blocks, each its own or the kernel's, with frames of any size. A block is given away when it is full, or after a time with something in it.</summary>
internal sealed class BlockRing : PacketRing
{
    /// <summary>sizeof(struct tpacket_block_desc).</summary>
    public const int BlockHeader = 48;

    private const int FrameHeader = 48;
    private const int FrameAlignment = 8;

    // Offsets in the header of a block.
    private const int BlockStatus = 8, BlockFrames = 12, BlockFirst = 16, BlockLength = 20, BlockSequence = 24, BlockFirstTime = 32, BlockLastTime = 40;

    private const uint DefaultTimeout = 8;

    private readonly int _mine;
    private readonly long _timeout;
    private readonly Action _readable;
    private readonly KernelTimer _timer;
    private readonly SentryKernel _kernel;

    // Guarded by Mu: the block that is filled, whether it is open, what is in it, and where the last frame stands.
    private int _block;
    private bool _isOpen;
    private int _used;
    private int _frames;
    private ulong _last;
    private ulong _sequence;
    private long _firstTime;
    private long _lastTime;
    private bool _isClosed;

    /// <param name="kernel">Its memory and timers.</param>
    /// <param name="endpoint">Whose frames.</param>
    /// <param name="layout">Sizes.</param>
    /// <param name="mine">Bytes of each block that are the application's own (tp_sizeof_priv).</param>
    /// <param name="timeout">Milliseconds (tp_retire_blk_tov); 0 for the kernel's choice.</param>
    /// <param name="readable">Called by the timer when a block is given away, with no lock held.</param>
    public BlockRing(SentryKernel kernel, PacketEndpoint endpoint, RingLayout layout, int mine, uint timeout, Action readable)
        : base(kernel, endpoint, layout)
    {
        _kernel = kernel;
        _mine = mine;
        _timeout = (timeout == 0 ? DefaultTimeout : Math.Min(timeout, 3_600_000)) * 1_000_000L;
        _readable = readable;
        _timer = new KernelTimer(kernel.Timers, _ => OnTimeout());
    }

    public override bool IsReadable
    {
        get
        {
            lock (Mu)
            {
                return ReadWord(Position((_block == 0 ? Layout.Blocks : _block) - 1) + BlockStatus) != 0;
            }
        }
    }

    public override void Close()
    {
        lock (Mu)
        {
            _isClosed = true;
        }

        _timer.Set(-1, 0);
        base.Close();
    }

    protected override bool TryPut(in ReceivedFrame frame)
    {
        Place(frame, out int start, out int network);
        int room = Layout.BlockSize - FirstFrame;
        start = Math.Min(start, room);
        int length = Math.Clamp(room - start, 0, frame.Packet.Length);
        int size = (start + length + FrameAlignment - 1) & ~(FrameAlignment - 1);
        if (_isOpen && _used + size > Layout.BlockSize)
        {
            GiveBlock(0);
        }

        if (!_isOpen && !TryOpen(frame.Timestamp))
        {
            return false;
        }

        ulong position = Position(_block) + (ulong)_used;
        Put(frame.Packet, length, position + (ulong)start);
        Span<byte> header = stackalloc byte[FrameHeader + AddressSize];
        header.Clear();
        BitConverter.TryWriteBytes(header, size);
        BitConverter.TryWriteBytes(header[4..], (uint)(frame.Timestamp / 1_000_000_000));
        BitConverter.TryWriteBytes(header[8..], (uint)(frame.Timestamp % 1_000_000_000));
        BitConverter.TryWriteBytes(header[12..], length);
        BitConverter.TryWriteBytes(header[16..], frame.OriginalLength);
        BitConverter.TryWriteBytes(header[20..], StatusUser | StatusOf(frame));
        BitConverter.TryWriteBytes(header[24..], (ushort)start);
        BitConverter.TryWriteBytes(header[26..], (ushort)network);
        WriteAddress(frame, header[FrameHeader..]);
        Put(header[..Math.Min(header.Length, size)], position);
        _last = position;
        _lastTime = frame.Timestamp;
        _used += size;
        if (++_frames == 1)
        {
            _timer.Set(_kernel.Clock.Monotonic + _timeout, 0);
        }

        return true;
    }

    private int FirstFrame => BlockHeader + ((_mine + FrameAlignment - 1) & ~(FrameAlignment - 1));

    private ulong Position(int block) => (ulong)block * (ulong)Layout.BlockSize;

    /// <summary>Begins to fill the block, if the application has given it back.</summary>
    private bool TryOpen(long time)
    {
        if (ReadWord(Position(_block) + BlockStatus) != 0)
        {
            Endpoint.CountFreeze();
            return false;
        }

        Endpoint.Thaw();
        _isOpen = true;
        _used = FirstFrame;
        _frames = 0;
        _sequence++;
        _firstTime = time;
        return true;
    }

    /// <summary>The open block is the application's from here on.</summary>
    private void GiveBlock(uint status)
    {
        ulong position = Position(_block);
        Span<byte> header = stackalloc byte[BlockHeader];
        header.Clear();
        BitConverter.TryWriteBytes(header, Layout.Version);
        BitConverter.TryWriteBytes(header[4..], BlockHeader);
        BitConverter.TryWriteBytes(header[BlockFrames..], _frames);
        BitConverter.TryWriteBytes(header[BlockFirst..], FirstFrame);
        BitConverter.TryWriteBytes(header[BlockLength..], _used);
        BitConverter.TryWriteBytes(header[BlockSequence..], _sequence);
        WriteTime(header[BlockFirstTime..], _firstTime);
        WriteTime(header[BlockLastTime..], _lastTime);
        if (_frames > 0)
        {
            // The last one has no next.
            Put([0, 0, 0, 0], _last);
        }

        Put(header[..BlockStatus], position);
        Put(header[BlockFrames..], position + BlockFrames);
        GiveAway(StatusUser | status | (Endpoint.HasDropped ? StatusLosing : 0), position + BlockStatus);
        _isOpen = false;
        _block = _block + 1 == Layout.Blocks ? 0 : _block + 1;
    }

    private static void WriteTime(Span<byte> target, long time)
    {
        BitConverter.TryWriteBytes(target, (uint)(time / 1_000_000_000));
        BitConverter.TryWriteBytes(target[4..], (uint)(time % 1_000_000_000));
    }

    private void OnTimeout()
    {
        lock (Mu)
        {
            if (_isClosed || !_isOpen || _frames == 0)
            {
                return;
            }

            GiveBlock(StatusTimeout);
        }

        _readable();
    }
}
