using Runsc.NetStack.Core;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>All connections in TIME-WAIT, in the order of their end: each stays a minute from its last start, so one timer serves all. Guarded by the stack's lock.</summary>
internal sealed class TimeWaitQueue : NetTimer
{
    /// <summary>TCP_TIMEWAIT_LEN of Linux, which is no setting there either.</summary>
    private const long Length = 60 * TcpEndpoint.Second;

    private readonly TcpProtocol _protocol;
    private TimeWait? _first;
    private TimeWait? _last;

    public TimeWaitQueue(TcpProtocol protocol)
    {
        _protocol = protocol;
    }

    public int Count { get; private set; }

    /// <summary>Null when there are too many: the connection then just ends.</summary>
    public TimeWait? TryCreate(TcpEndpoint endpoint)
    {
        if (Count >= _protocol.Parameters.MaxTimeWait)
        {
            _protocol.Statistics.TimeWaitOverflow++;
            return null;
        }

        return new TimeWait(_protocol, endpoint.StateForTimeWait());
    }

    public void Restart(TimeWait entry)
    {
        Remove(entry);
        entry.Expires = _protocol.Stack.Now + Length;
        entry.Previous = _last;
        if (_last is null)
        {
            _first = entry;
        }
        else
        {
            _last.Next = entry;
        }

        _last = entry;
        entry.IsQueued = true;
        Count++;
        if (!IsSet)
        {
            _protocol.Stack.Schedule(this, entry.Expires);
        }
    }

    public void Remove(TimeWait entry)
    {
        if (!entry.IsQueued)
        {
            return;
        }

        if (entry.Previous is null)
        {
            _first = entry.Next;
        }
        else
        {
            entry.Previous.Next = entry.Next;
        }

        if (entry.Next is null)
        {
            _last = entry.Previous;
        }
        else
        {
            entry.Next.Previous = entry.Previous;
        }

        entry.Next = entry.Previous = null;
        entry.IsQueued = false;
        Count--;
    }

    public override void Fire()
    {
        long now = _protocol.Stack.Now;
        while (_first is { } entry && entry.Expires <= now)
        {
            entry.End();
        }

        if (_first is not null)
        {
            _protocol.Stack.Schedule(this, _first.Expires);
        }
    }
}
