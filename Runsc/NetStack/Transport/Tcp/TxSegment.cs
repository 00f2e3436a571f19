namespace Runsc.NetStack.Transport.Tcp;

/// <summary>A segment that is out and not acknowledged: what the scoreboard knows of it. Its bytes are in the <see cref="SendBuffer"/>. Pooled; guarded by the stack's lock.</summary>
internal sealed class TxSegment
{
    public SeqNum Seq;

    /// <summary>Behind the last byte; SYN and FIN count.</summary>
    public SeqNum End;

    public bool IsSyn;
    public bool IsFin;

    /// <summary>Packets on the wire that it makes: 1, or more for one that a device cuts.</summary>
    public int Count;

    /// <summary>The receiver has it (SACK).</summary>
    public bool IsSacked;

    /// <summary>Believed lost; cleared when it is acknowledged.</summary>
    public bool IsLost;

    /// <summary>Sent again since it was last marked lost, and counted in retrans_out.</summary>
    public bool IsRetransmitted;

    /// <summary>Sent again at any time: its round trip is ambiguous (Karn).</summary>
    public bool WasRetransmitted;

    /// <summary>Monotonic nanoseconds of the last transmission.</summary>
    public long SentAt;

    // For delivery-rate samples (draft-cheng-iccrg-delivery-rate-estimation): the connection's counters when it was sent.
    public long Delivered;
    public long DeliveredAt;
    public long FirstSentAt;
    public bool IsAppLimited;

    /// <summary>By sequence number.</summary>
    public TxSegment? Next;
    public TxSegment? Previous;

    /// <summary>By time of transmission.</summary>
    public TxSegment? Newer;
    public TxSegment? Older;

    /// <summary>Bytes of data, without SYN and FIN.</summary>
    public int DataLength => End - Seq - (IsSyn ? 1 : 0) - (IsFin ? 1 : 0);

    public SeqNum DataStart => IsSyn ? Seq + 1 : Seq;

    /// <summary>Neither acknowledged nor believed lost nor sent again.</summary>
    public bool IsPlain => !IsSacked && !IsLost && !IsRetransmitted;

    public void Reset()
    {
        Seq = End = default;
        IsSyn = IsFin = IsSacked = IsLost = IsRetransmitted = WasRetransmitted = IsAppLimited = false;
        Count = 0;
        SentAt = Delivered = DeliveredAt = FirstSentAt = 0;
        Next = Previous = Newer = Older = null;
    }
}
