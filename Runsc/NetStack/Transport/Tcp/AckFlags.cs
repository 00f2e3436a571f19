using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>What an acknowledgement brought, from looking at it to acting on it.</summary>
[Flags]
internal enum AckFlags
{
    None = 0,

    /// <summary>The segment had data, so it is no duplicate acknowledgement.</summary>
    HasData = 1,

    WindowUpdate = 2,
    DataAcked = 4,
    SynAcked = 8,

    /// <summary>A segment that was sent again was acknowledged.</summary>
    RetransmittedAcked = 16,

    DataSacked = 32,
    CongestionEcho = 64,
    LostSacked = 128,

    /// <summary>A segment that was never sent again was acknowledged, below the edge of the recovery.</summary>
    OriginalAcked = 256,

    UnaAdvanced = 512,

    /// <summary>A D-SACK came.</summary>
    Duplicate = 1024,

    /// <summary>The D-SACK is about the tail loss probe.</summary>
    ProbeDuplicate = 2048,

    /// <summary>The timer must be set anew.</summary>
    SetTimer = 4096,

    Acked = DataAcked | SynAcked,
    NotDuplicate = HasData | WindowUpdate | Acked,
    ForwardProgress = Acked | DataSacked,
}
