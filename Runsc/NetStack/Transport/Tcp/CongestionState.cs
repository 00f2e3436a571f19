namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What the sender believes of the network (tcpi_ca_state).</summary>
internal enum CongestionState : byte
{
    /// <summary>Nothing suspicious.</summary>
    Open = 0,

    /// <summary>SACK or duplicate acknowledgements were seen; nothing is marked lost yet.</summary>
    Disorder = 1,

    /// <summary>The window is being reduced for an ECN mark.</summary>
    Reduced = 2,

    /// <summary>Fast retransmission; the window is being reduced.</summary>
    Recovery = 3,

    /// <summary>The retransmission timer expired.</summary>
    Loss = 4,
}
