using System;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>IPS_*, with their values.</summary>
[Flags]
internal enum ConnectionStatus
{
    None = 0,
    Expected = 1 << 0,
    SeenReply = 1 << 1,
    Assured = 1 << 2,
    Confirmed = 1 << 3,
    SourceNat = 1 << 4,
    DestinationNat = 1 << 5,
    SourceNatDone = 1 << 7,
    DestinationNatDone = 1 << 8,
    Dying = 1 << 9,
    FixedTimeout = 1 << 10,
}
