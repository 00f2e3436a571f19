namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What TCP_INFO tells, in the units of Linux's struct tcp_info: times in microseconds where tcp(7) says so, else milliseconds; windows in segments.</summary>
internal struct TcpInfo
{
    public TcpState State;
    public CongestionState CongestionState;
    public byte Retransmits;
    public byte Probes;
    public byte Backoff;

    public bool Timestamps;
    public bool Sack;
    public bool WindowScale;
    public bool Ecn;
    public bool SynData;

    public byte SendScale;
    public byte ReceiveScale;

    /// <summary>Microseconds.</summary>
    public uint Rto;

    public uint Ato;
    public uint SendMss;
    public uint ReceiveMss;
    public uint Unacked;
    public uint Sacked;
    public uint Lost;
    public uint Retrans;

    /// <summary>Milliseconds since then.</summary>
    public uint LastDataSent;

    public uint LastDataReceived;
    public uint LastAckReceived;
    public uint PathMtu;
    public uint ReceiveThreshold;
    public uint Rtt;
    public uint RttVariation;
    public uint SendThreshold;
    public uint SendWindow;
    public uint AdvertisedMss;
    public uint Reordering;
    public uint ReceiveRtt;
    public uint ReceiveSpace;
    public uint TotalRetransmits;
    public ulong BytesAcked;
    public ulong BytesReceived;
    public uint SegmentsOut;
    public uint SegmentsIn;
    public uint NotSentBytes;
    public uint MinimumRtt;
    public uint DataSegmentsIn;
    public uint DataSegmentsOut;
    /// <summary>Bytes a second.</summary>
    public ulong PacingRate;

    public ulong MaximumPacingRate;
    public ulong DeliveryRate;
    public bool IsDeliveryAppLimited;
    public uint Delivered;
    public ulong BytesSent;
    public ulong BytesRetransmitted;
    public uint DuplicateSacks;
    public uint ReorderingSeen;

    /// <summary>The peer's window and ours, in bytes.</summary>
    public uint PeerWindow;

    public uint ReceiveWindow;
}
