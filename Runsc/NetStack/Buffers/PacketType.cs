namespace Runsc.NetStack.Buffers;

/// <summary>To whom a frame was addressed, with the values of packet(7).</summary>
internal enum PacketType : byte
{
    Host = 0,
    Broadcast = 1,
    Multicast = 2,
    OtherHost = 3,
    Outgoing = 4,
}
