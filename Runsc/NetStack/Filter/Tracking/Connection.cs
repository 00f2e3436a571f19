namespace Runsc.NetStack.Filter.Tracking;

/// <summary>A connection that packets belong to. Guarded by the stack's lock.</summary>
internal sealed class Connection
{
    private FlowSide? _relatedOriginal;
    private FlowSide? _relatedReply;
    private uint _mark;

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

    /// <summary>Of a TCP connection: its sequence numbers.</summary>
    public TcpTracking? Segments { get; set; }

    public uint Mark
    {
        get => _mark;
        set
        {
            Pending |= value != _mark ? ConnectionEvents.Mark : ConnectionEvents.None;
            _mark = value;
        }
    }

    /// <summary>What it is called by, beside its tuples.</summary>
    public uint Id { get; init; }

    /// <summary>Somebody wanted to hear of connections when it began.</summary>
    public bool IsReported { get; init; }

    /// <summary>Its packets are counted.</summary>
    public bool IsCounted { get; init; }

    /// <summary>What has happened to it and was not reported yet.</summary>
    public ConnectionEvents Pending { get; set; }

    /// <summary>Monotonic nanoseconds after which it is forgotten; before it is in the table, how long it then stays.</summary>
    public long Deadline { get; set; }

    /// <summary>When it began, in monotonic nanoseconds.</summary>
    public long Began { get; init; }

    public bool IsConfirmed => (Status & ConnectionStatus.Confirmed) != 0;

    public FlowSide Side(bool isReply) => isReply ? Reply : Original;

    /// <summary>The mark of ICMP errors that go in a direction.</summary>
    public FlowSide Related(bool isReply) => isReply
        ? _relatedReply ??= new FlowSide(this, isReply: true, isRelated: true)
        : _relatedOriginal ??= new FlowSide(this, isReply: false, isRelated: true);
}
