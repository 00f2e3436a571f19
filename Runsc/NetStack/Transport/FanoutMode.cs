namespace Runsc.NetStack.Transport;

/// <summary>Which socket of a <see cref="PacketFanout"/> gets a frame: PACKET_FANOUT_*.</summary>
internal enum FanoutMode : byte
{
    Hash = 0,
    LoadBalance = 1,
    Processor = 2,
    Rollover = 3,
    Random = 4,
    QueueMapping = 5,
}
