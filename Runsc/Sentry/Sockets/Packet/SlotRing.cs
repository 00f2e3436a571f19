using System;
using Runsc.NetStack.Transport;
using Runsc.Sentry.Kernel;

namespace Runsc.Sentry.Sockets.Packet;

/// <summary>A ring of the first or second version: slots of one size, each its own or the kernel's.</summary>
internal sealed class SlotRing : PacketRing
{
    // struct tpacket_hdr and tpacket2_hdr; struct sockaddr_ll stands behind either.
    private const int Header = 32;

    private readonly int _framesPerBlock;
    private readonly int _frames;

    // The next slot to be filled. Guarded by Mu.
    private int _head;

    public SlotRing(SentryKernel kernel, PacketEndpoint endpoint, RingLayout layout)
        : base(kernel, endpoint, layout)
    {
        _framesPerBlock = layout.BlockSize / layout.FrameSize;
        _frames = _framesPerBlock * layout.Blocks;
    }

    public override bool IsReadable
    {
        get
        {
            lock (Mu)
            {
                return ReadWord(Position(_head == 0 ? _frames - 1 : _head - 1)) != 0;
            }
        }
    }

    protected override bool TryPut(in ReceivedFrame frame)
    {
        ulong position = Position(_head);
        if (ReadWord(position) != 0)
        {
            return false;
        }

        Place(frame, out int start, out int network);
        int length = Math.Clamp(Layout.FrameSize - start, 0, frame.Packet.Length);
        Put(frame.Packet, length, position + (ulong)start);
        Span<byte> header = stackalloc byte[Header + AddressSize];
        header.Clear();
        int at = Layout.Version == 0 ? 8 : 4;
        BitConverter.TryWriteBytes(header[at..], frame.OriginalLength);
        BitConverter.TryWriteBytes(header[(at + 4)..], length);
        BitConverter.TryWriteBytes(header[(at + 8)..], (ushort)start);
        BitConverter.TryWriteBytes(header[(at + 10)..], (ushort)network);
        BitConverter.TryWriteBytes(header[(at + 12)..], (uint)(frame.Timestamp / 1_000_000_000));
        long fraction = frame.Timestamp % 1_000_000_000;
        BitConverter.TryWriteBytes(header[(at + 16)..], (uint)(Layout.Version == 0 ? fraction / 1000 : fraction));
        WriteAddress(frame, header[Header..]);
        Put(header[4..], position + 4);
        GiveAway(StatusUser | StatusOf(frame) | (Endpoint.HasDropped ? StatusLosing : 0), position);
        _head = _head + 1 == _frames ? 0 : _head + 1;
        return true;
    }

    private ulong Position(int slot) => ((ulong)(slot / _framesPerBlock) * (ulong)Layout.BlockSize) + ((ulong)(slot % _framesPerBlock) * (ulong)Layout.FrameSize);
}
