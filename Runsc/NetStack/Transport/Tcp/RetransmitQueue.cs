namespace Runsc.NetStack.Transport.Tcp;

/// <summary>The segments that are out, in two orders: by sequence number, and by the time they were last sent, which RACK reads. Guarded by the stack's lock.</summary>
/// <remarks>In the order of time there are only segments that may still be found lost: neither SACKed nor marked lost and waiting to be sent again.</remarks>
internal sealed class RetransmitQueue(TxSegmentPool pool)
{
    public TxSegment? First { get; private set; }

    public TxSegment? Last { get; private set; }

    /// <summary>The one that was sent longest ago.</summary>
    public TxSegment? Oldest { get; private set; }

    public TxSegment? Newest { get; private set; }

    public bool IsEmpty => First is null;

    /// <summary>A new segment behind the last one, and sent now.</summary>
    public TxSegment Add(SeqNum seq, SeqNum end)
    {
        TxSegment segment = pool.Rent();
        segment.Seq = seq;
        segment.End = end;
        segment.Previous = Last;
        if (Last is null)
        {
            First = segment;
        }
        else
        {
            Last.Next = segment;
        }

        Last = segment;
        AddNewest(segment);
        return segment;
    }

    /// <summary>Cuts a segment at <paramref name="at"/>; the new one behind it has the same marks and the same time. The caller sets the counts.</summary>
    public TxSegment Split(TxSegment segment, SeqNum at)
    {
        TxSegment rest = pool.Rent();
        rest.Seq = at;
        rest.End = segment.End;
        rest.IsFin = segment.IsFin;
        rest.IsSacked = segment.IsSacked;
        rest.IsLost = segment.IsLost;
        rest.IsRetransmitted = segment.IsRetransmitted;
        rest.WasRetransmitted = segment.WasRetransmitted;
        rest.SentAt = segment.SentAt;
        rest.Delivered = segment.Delivered;
        rest.DeliveredAt = segment.DeliveredAt;
        rest.FirstSentAt = segment.FirstSentAt;
        rest.IsAppLimited = segment.IsAppLimited;
        segment.End = at;
        segment.IsFin = false;
        rest.Previous = segment;
        rest.Next = segment.Next;
        segment.Next = rest;
        if (rest.Next is null)
        {
            Last = rest;
        }
        else
        {
            rest.Next.Previous = rest;
        }

        if (IsInTimeOrder(segment))
        {
            rest.Older = segment;
            rest.Newer = segment.Newer;
            segment.Newer = rest;
            if (rest.Newer is null)
            {
                Newest = rest;
            }
            else
            {
                rest.Newer.Older = rest;
            }
        }

        return rest;
    }

    public void Remove(TxSegment segment)
    {
        RemoveFromTimeOrder(segment);
        if (segment.Previous is null)
        {
            First = segment.Next;
        }
        else
        {
            segment.Previous.Next = segment.Next;
        }

        if (segment.Next is null)
        {
            Last = segment.Previous;
        }
        else
        {
            segment.Next.Previous = segment.Previous;
        }

        pool.Return(segment);
    }

    /// <summary>The segment has just been sent again.</summary>
    public void MoveToNewest(TxSegment segment)
    {
        RemoveFromTimeOrder(segment);
        AddNewest(segment);
    }

    public void RemoveFromTimeOrder(TxSegment segment)
    {
        if (!IsInTimeOrder(segment))
        {
            return;
        }

        if (segment.Older is null)
        {
            Oldest = segment.Newer;
        }
        else
        {
            segment.Older.Newer = segment.Newer;
        }

        if (segment.Newer is null)
        {
            Newest = segment.Older;
        }
        else
        {
            segment.Newer.Older = segment.Older;
        }

        segment.Newer = segment.Older = null;
    }

    public void Clear()
    {
        while (First is { } segment)
        {
            Remove(segment);
        }
    }

    private bool IsInTimeOrder(TxSegment segment) => segment.Older is not null || Oldest == segment;

    private void AddNewest(TxSegment segment)
    {
        segment.Older = Newest;
        segment.Newer = null;
        if (Newest is null)
        {
            Oldest = segment;
        }
        else
        {
            Newest.Newer = segment;
        }

        Newest = segment;
    }
}
