namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What a connection's transmit timer is set for; there is one of these at a time.</summary>
internal enum PendingTimer : byte
{
    None,

    /// <summary>The retransmission time-out.</summary>
    Retransmit,

    /// <summary>A tail loss probe (RFC 8985, 7).</summary>
    LossProbe,

    /// <summary>RACK waits for reordered segments before it calls one lost (RFC 8985, 6.2).</summary>
    Reordering,

    /// <summary>The peer's window is closed, or a small segment is held back.</summary>
    WindowProbe,
}
