using System;

namespace Runsc.Sentry.Sockets.Inet;

/// <summary>Control messages that a reader asked for (ip(7), ipv6(7)).</summary>
[Flags]
internal enum InetReceiveFlags
{
    None = 0,
    PacketInfo = 1,
    Ttl = 2,
    Tos = 4,
    OriginalDestination = 8,
    FragmentSize = 16,
    PacketInfoV6 = 32,
    HopLimit = 64,
    TrafficClass = 128,
    OriginalDestinationV6 = 256,
    FlowInfo = 512,
    FragmentSizeV6 = 1024,
    Options = 2048,
    ReturnOptions = 4096,
    PathMtu = 8192,
    PacketInfo2292 = 16384,
    HopLimit2292 = 32768,
}
