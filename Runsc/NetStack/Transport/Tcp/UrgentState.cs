namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What is known of the peer's urgent byte.</summary>
internal enum UrgentState : byte
{
    None,

    /// <summary>Announced; the byte did not come yet.</summary>
    NotYet,

    /// <summary>The byte is here and not read.</summary>
    Valid,

    /// <summary>Read by MSG_OOB; the stream is not past it.</summary>
    Read,
}
