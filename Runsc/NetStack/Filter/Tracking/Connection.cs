namespace Runsc.NetStack.Filter.Tracking;

/// <summary>A connection that packets belong to. Guarded by the stack's lock.</summary>
internal sealed class Connection
{
    private FlowSide? _relatedOriginal;
    private FlowSide? _relatedReply;

    public Connection(in FlowTuple tuple)
    {
        Original = new FlowSide(this, isReply: false, isRelated: false) { Tuple = tuple };
        Reply = new FlowSide(this, isReply: true, isRelated: false) { Tuple = tuple.Inverse };
    }

    public FlowSide Original { get; }

    /// <summary>The answers; their tuple says what NAT does.</summary>
    public FlowSide Reply { get; }

    public ConnectionStatus Status { get; set; }

    public TcpTrackState Tcp { get; set; }

    public uint Mark { get; set; }

    /// <summary>Monotonic nanoseconds after which it is forgotten; before it is in the table, how long it then stays.</summary>
    public long Deadline { get; set; }

    /// <summary>Since when there are answers, for UDP.</summary>
    public long AnsweredSince { get; set; }

    public bool IsConfirmed => (Status & ConnectionStatus.Confirmed) != 0;

    public FlowSide Side(bool isReply) => isReply ? Reply : Original;

    /// <summary>The mark of ICMP errors that go in a direction.</summary>
    public FlowSide Related(bool isReply) => isReply
        ? _relatedReply ??= new FlowSide(this, isReply: true, isRelated: true)
        : _relatedOriginal ??= new FlowSide(this, isReply: false, isRelated: true);
}
