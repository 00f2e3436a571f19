using Runsc.NetStack.Core;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>First sequence numbers by RFC 6528, and offsets of timestamps by the same idea: nobody off the path can guess them.</summary>
internal sealed class IsnGenerator(INetRandom random)
{
    private readonly FlowHash _sequence = new(random.Next(), random.Next());
    private readonly FlowHash _timestamp = new(random.Next(), random.Next());

    /// <summary>A secret for each pair of addresses and ports, plus a clock of 64 ns.</summary>
    public SeqNum Next(in IpAddress local, ushort localPort, in IpAddress remote, ushort remotePort, long now) =>
        unchecked(new SeqNum((uint)_sequence.Hash(local, localPort, remote, remotePort) + (uint)(now >> 6)));

    public uint TimestampOffset(in IpAddress local, in IpAddress remote) =>
        unchecked((uint)_timestamp.Hash(local, 0, remote, 0));
}
