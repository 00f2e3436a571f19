namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What a connection leaves to its <see cref="TimeWait"/>.</summary>
internal struct TimeWaitState
{
    public IpAddress Local;
    public IpAddress Remote;
    public ushort LocalPort;
    public ushort RemotePort;
    public SeqNum SndNxt;
    public SeqNum RcvNxt;

    /// <summary>The window field, scaled.</summary>
    public int Window;

    public bool TimestampsOk;
    public uint TimestampOffset;
    public uint TsRecent;
    public long TsRecentAt;
    public int Interface;
    public byte TrafficClass;
}
