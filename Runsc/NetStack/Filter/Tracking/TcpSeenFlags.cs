using System;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>IP_CT_TCP_FLAG_* and IP_CT_EXP_CHALLENGE_ACK, with their values.</summary>
[Flags]
internal enum TcpSeenFlags : byte
{
    None = 0,
    WindowScale = 0x01,
    SackPermitted = 0x02,

    /// <summary>This side has closed first.</summary>
    CloseInit = 0x04,

    /// <summary>Sequence numbers of this side are not judged: its beginning was not seen.</summary>
    BeLiberal = 0x08,

    DataUnacknowledged = 0x10,
    HasMaxAck = 0x20,

    /// <summary>An acknowledgement may be the answer to a SYN that was let through (RFC 5961).</summary>
    ExpectsChallenge = 0x40,

    SimultaneousOpen = 0x80,
}
