namespace Runsc.NetStack.Network;

/// <summary>ICMP and ICMPv6 errors in one space.</summary>
internal enum IcmpErrorKind
{
    NetworkUnreachable,
    HostUnreachable,
    ProtocolUnreachable,
    PortUnreachable,

    /// <summary>Fragmentation needed, or packet too big.</summary>
    PacketTooBig,
    SourceRouteFailed,
    Prohibited,
    SourceQuench,
    TimeExceeded,
    ReassemblyTimeExceeded,
    ParameterProblem,

    /// <summary>A neighbour did not answer: our own finding, not an ICMP message.</summary>
    LocalUnreachable,
}
