namespace Runsc.NetStack.Core;

/// <summary>Messages of ICMP or ICMPv6, in all and by type. Written under the stack's lock.</summary>
internal sealed class IcmpCounters
{
    public ulong InMessages;
    public ulong InErrors;
    public ulong InChecksumErrors;
    public ulong OutMessages;
    public ulong OutErrors;
    public ulong OutRateLimited;

    public ulong[] InTypes { get; } = new ulong[256];

    public ulong[] OutTypes { get; } = new ulong[256];
}
