using System;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>What has happened to a connection: a bit each for IPCT_*.</summary>
[Flags]
internal enum ConnectionEvents
{
    None = 0,
    New = 1 << 0,
    Destroy = 1 << 2,
    Reply = 1 << 3,
    Assured = 1 << 4,
    ProtocolInfo = 1 << 5,
    Mark = 1 << 7,
}
