using System;

namespace Runsc.NetStack.Transport.Tcp;

/// <summary>Flags of a write that concern TCP.</summary>
[Flags]
internal enum TcpSendFlags
{
    None = 0,

    /// <summary>MSG_MORE: a partial segment waits for the next write.</summary>
    More = 1,

    /// <summary>MSG_OOB: the last byte is urgent.</summary>
    Urgent = 2,
}
