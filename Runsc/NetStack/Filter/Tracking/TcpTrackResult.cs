namespace Runsc.NetStack.Filter.Tracking;

/// <summary>What a segment is to its connection.</summary>
internal enum TcpTrackResult
{
    /// <summary>It belongs to it; state and windows are up to date.</summary>
    Accept,

    /// <summary>It is let through as part of the connection, of which it says nothing.</summary>
    Ignore,

    Invalid,

    /// <summary>It begins another connection with the same ports.</summary>
    Reopen,
}
