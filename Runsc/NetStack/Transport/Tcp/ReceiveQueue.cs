using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Data in order that the application has not read: packets whose headers are trimmed. Guarded by the stack's lock.</summary>
/// <remarks>
/// While a reader copies outside the lock, packets are only added behind: bytes in front of what the reader was
/// told stay as they are.
/// </remarks>
internal sealed class ReceiveQueue
{
    // Payload up to this size is copied behind the last packet's if there is room: one-byte segments must not hold a buffer each.
    private const int CopyLimit = 512;

    private PacketBuffer? _tail;

    public PacketBuffer? Head { get; private set; }

    public int Length { get; private set; }

    /// <summary>Memory that the packets hold.</summary>
    public int Footprint { get; private set; }

    /// <summary>Takes a packet.</summary>
    public void Append(PacketBuffer packet)
    {
        int length = packet.Length;
        Length += length;
        if (TryCopyBehind(_tail, packet, length))
        {
            return;
        }

        packet.Next = null;
        Footprint += packet.Footprint;
        if (_tail is null)
        {
            Head = packet;
        }
        else
        {
            _tail.Next = packet;
        }

        _tail = packet;
    }

    /// <summary>Drops bytes in front.</summary>
    public void Consume(int count)
    {
        Length -= count;
        while (count > 0 && Head is { } packet)
        {
            int length = packet.Length;
            if (count < length)
            {
                Footprint -= packet.Footprint;
                packet.TrimFront(count);
                Footprint += packet.Footprint;
                return;
            }

            count -= length;
            Footprint -= packet.Footprint;
            Head = packet.Next;
            packet.Release();
        }

        if (Head is null)
        {
            _tail = null;
        }
    }

    public void Clear()
    {
        while (Head is { } packet)
        {
            Head = packet.Next;
            packet.Release();
        }

        _tail = null;
        Length = 0;
        Footprint = 0;
    }

    /// <summary>Moves the payload of a small packet behind another one's and releases it; false if it is not small or there is no room.</summary>
    internal static bool TryCopyBehind(PacketBuffer? tail, PacketBuffer packet, int length)
    {
        if (tail is null || length > CopyLimit || tail.BackRoom < length)
        {
            return false;
        }

        packet.CopyTo(0, tail.Append(length));
        packet.Release();
        return true;
    }
}
