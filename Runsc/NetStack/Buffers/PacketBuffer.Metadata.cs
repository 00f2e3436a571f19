namespace Runsc.NetStack.Buffers;

/// <summary>What travels with the bytes. Offsets are positions as <see cref="Position"/> gives them, so trimming does not move them.</summary>
internal sealed partial class PacketBuffer
{
    private const int Unset = -1;

    /// <summary>The transport checksum: verified, to be verified, or left to the device.</summary>
    public ChecksumState Checksum { get; set; }

    /// <summary>Position of the first byte of the transport header, where a partial checksum starts.</summary>
    public int ChecksumStart { get; set; }

    /// <summary>Offset of the checksum field from <see cref="ChecksumStart"/>.</summary>
    public int ChecksumOffset { get; set; }

    public GsoType Gso { get; set; }

    /// <summary>Transport payload of each segment.</summary>
    public int GsoSize { get; set; }

    /// <summary>Position of the link header of a received frame, or -1.</summary>
    public int LinkStart { get; set; } = Unset;

    /// <summary>Position of the IP header, or -1.</summary>
    public int NetworkStart { get; set; } = Unset;

    /// <summary>Position of the transport header, or -1.</summary>
    public int TransportStart { get; set; } = Unset;

    /// <summary>The interface it came in on or goes out of, or 0.</summary>
    public int Interface { get; set; }

    /// <summary>The EtherType.</summary>
    public ushort Protocol { get; set; }

    public PacketType Type { get; set; }

    /// <summary>The firewall mark (SO_MARK).</summary>
    public uint Mark { get; set; }

    /// <summary>SO_PRIORITY.</summary>
    public uint Priority { get; set; }

    /// <summary>When it came in: nanoseconds since 1970, or 0 if nobody asked yet.</summary>
    public long Timestamp { get; set; }

    /// <summary>The state of connection tracking and NAT that the packet filter attached; opaque to everyone else.</summary>
    public object? Tracking { get; set; }

    /// <summary>Who sent it from a socket of this host, or null.</summary>
    public Transport.SocketOwner? Owner { get; set; }

    /// <summary>Cables between stacks that it has crossed.</summary>
    public byte Hops { get; set; }

    /// <summary>For the owner of a queue: TCP keeps sequence numbers here, the fragment queues their offsets.</summary>
    public uint Cookie { get; set; }

    public uint Cookie2 { get; set; }

    /// <summary>Takes over all metadata; positions must mean the same in both.</summary>
    public void CopyMetadata(PacketBuffer other)
    {
        Checksum = other.Checksum;
        ChecksumStart = other.ChecksumStart;
        ChecksumOffset = other.ChecksumOffset;
        Gso = other.Gso;
        GsoSize = other.GsoSize;
        LinkStart = other.LinkStart;
        NetworkStart = other.NetworkStart;
        TransportStart = other.TransportStart;
        Interface = other.Interface;
        Protocol = other.Protocol;
        Type = other.Type;
        Mark = other.Mark;
        Hops = other.Hops;
        Priority = other.Priority;
        Timestamp = other.Timestamp;
        Tracking = other.Tracking;
        Owner = other.Owner;
    }

    private void ResetMetadata()
    {
        Next = null;
        Checksum = ChecksumState.None;
        ChecksumStart = ChecksumOffset = 0;
        Gso = GsoType.None;
        GsoSize = 0;
        LinkStart = NetworkStart = TransportStart = Unset;
        Interface = 0;
        Protocol = 0;
        Type = PacketType.Host;
        Mark = Priority = 0;
        Hops = 0;
        Timestamp = 0;
        Tracking = null;
        Owner = null;
        Cookie = Cookie2 = 0;
    }

    private void Moved(int shift)
    {
        ChecksumStart += shift;
        LinkStart = LinkStart < 0 ? Unset : LinkStart + shift;
        NetworkStart = NetworkStart < 0 ? Unset : NetworkStart + shift;
        TransportStart = TransportStart < 0 ? Unset : TransportStart + shift;
    }
}
