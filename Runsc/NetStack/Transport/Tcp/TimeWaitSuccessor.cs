namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What a connection must begin with that replaces one in TIME-WAIT: numbers and times beyond the old one's.</summary>
internal struct TimeWaitSuccessor
{
    public bool IsSet;
    public SeqNum Sequence;
    public uint TsRecent;
    public long TsRecentAt;
    public uint TimestampOffset;
}
