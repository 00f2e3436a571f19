namespace Runsc.NetStack.Transport.Tcp;

/// <summary>A listener's queues: connections that wait for accept(2), and the count of handshakes under way. Guarded by the stack's lock.</summary>
internal sealed class AcceptQueue
{
    private TcpEndpoint? _first;
    private TcpEndpoint? _last;

    public int Backlog { get; set; }

    /// <summary>Connections to accept.</summary>
    public int Count { get; private set; }

    /// <summary>Requests whose handshake is not done.</summary>
    public int Requests { get; set; }

    /// <summary>Of the connections, those by fast open whose handshake is not done.</summary>
    public int FastOpens { get; set; }

    /// <summary>The first of the requests, linked by themselves.</summary>
    public SynRequest? FirstRequest { get; set; }

    /// <summary>When cookies were last sent: only then may an acknowledgement carry one.</summary>
    public long LastOverflow { get; set; } = long.MinValue;

    /// <summary>One more than the backlog is let in, as on Linux.</summary>
    public bool IsFull => Count > Backlog;

    public void Enqueue(TcpEndpoint endpoint)
    {
        endpoint.NextToAccept = null;
        if (_last is null)
        {
            _first = endpoint;
        }
        else
        {
            _last.NextToAccept = endpoint;
        }

        _last = endpoint;
        Count++;
    }

    public TcpEndpoint? Dequeue()
    {
        TcpEndpoint? endpoint = _first;
        if (endpoint is null)
        {
            return null;
        }

        _first = endpoint.NextToAccept;
        if (_first is null)
        {
            _last = null;
        }

        endpoint.NextToAccept = null;
        endpoint.AcceptedBy = null;
        Count--;
        return endpoint;
    }

    /// <summary>Takes out a connection that died before it was accepted; only fast open's are taken out, the others stay to be accepted with their error.</summary>
    public void Remove(TcpEndpoint endpoint)
    {
        TcpEndpoint? before = null;
        for (TcpEndpoint? at = _first; at is not null; before = at, at = at.NextToAccept)
        {
            if (at != endpoint)
            {
                continue;
            }

            if (before is null)
            {
                _first = at.NextToAccept;
            }
            else
            {
                before.NextToAccept = at.NextToAccept;
            }

            if (_last == at)
            {
                _last = before;
            }

            at.NextToAccept = null;
            Count--;
            return;
        }
    }
}
