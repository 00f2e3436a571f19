namespace Runsc.NetStack.Transport.Tcp;

/// <summary>States of RFC 9293, 3.3.2, with the numbers that TCP_INFO and /proc/net/tcp show.</summary>
internal enum TcpState : byte
{
    /// <summary>Both have sent their SYN; data flow.</summary>
    Established = 1,

    /// <summary>Our SYN is out.</summary>
    SynSent = 2,

    /// <summary>Both SYNs are out, ours is not acknowledged.</summary>
    SynReceived = 3,

    /// <summary>Our FIN is queued or out, not acknowledged; the peer goes on.</summary>
    FinWait1 = 4,

    /// <summary>Our FIN is acknowledged; the peer goes on.</summary>
    FinWait2 = 5,

    /// <summary>Both FINs are acknowledged: old segments die out. No endpoint is in it, see <see cref="TimeWait"/>.</summary>
    TimeWait = 6,

    /// <summary>Not connected.</summary>
    Closed = 7,

    /// <summary>The peer's FIN came; we go on.</summary>
    CloseWait = 8,

    /// <summary>Both FINs came in turn, ours is not acknowledged.</summary>
    LastAck = 9,

    Listen = 10,

    /// <summary>Both FINs crossed, ours is not acknowledged.</summary>
    Closing = 11,
}
