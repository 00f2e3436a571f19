namespace Runsc.NetStack.Filter.Tracking;

/// <summary>A direction of a connection, as a packet is marked with it and as the table knows it.</summary>
internal sealed class FlowSide(Connection? connection, bool isReply, bool isRelated)
{
    /// <summary>The mark of packets that rules have exempted, and of those that have no connections.</summary>
    public static FlowSide Untracked { get; } = new(null, isReply: false, isRelated: false);

    /// <summary>Null for <see cref="Untracked"/> alone.</summary>
    public Connection? Connection { get; } = connection;

    public bool IsReply { get; } = isReply;

    /// <summary>The packet is an ICMP error about the connection.</summary>
    public bool IsRelated { get; } = isRelated;

    /// <summary>What the packets of this direction look like when they come in.</summary>
    public FlowTuple Tuple { get; set; }

    /// <summary>What went in this direction, if it is counted; bytes with the IP headers.</summary>
    public ulong Packets { get; set; }

    public ulong Bytes { get; set; }

    /// <summary>The next one in the bucket of the table.</summary>
    internal FlowSide? Next { get; set; }

    public FlowState State => Connection is null ? FlowState.Untracked
        : IsRelated ? FlowState.Related
        : IsReply || (Connection.Status & ConnectionStatus.SeenReply) != 0 ? FlowState.Established : FlowState.New;
}
