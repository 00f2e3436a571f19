using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Link;

/// <summary>The interface lo: what goes out comes in. Checksums are not computed and large segments are not cut.</summary>
internal sealed class LoopbackDevice : LinkDevice
{
    public const int Mtu = 65536;

    public override LinkKind Kind => LinkKind.Loopback;

    public override int DefaultMtu => Mtu;

    public override int MaxMtu => Mtu;

    public override bool HasChecksumOffload => true;

    public override int MaxGsoPacket => 65535;

    public override bool Transmit(PacketBuffer frame)
    {
        // Whoever holds the lock receives it before letting go: see NetworkStack.Leave.
        if (frame.Checksum == ChecksumState.None)
        {
            frame.Checksum = ChecksumState.Valid;
        }

        return Interface!.Stack.Enqueue(Interface, frame);
    }
}
