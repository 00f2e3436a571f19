namespace Runsc.NetStack.Core;

/// <summary>The groups Udp, Udp6, UdpLite and UdpLite6 of /proc/net/snmp and snmp6. Written under the stack's lock.</summary>
internal sealed class UdpCounters
{
    public ulong InDatagrams;
    public ulong NoPorts;
    public ulong InErrors;
    public ulong OutDatagrams;
    public ulong ReceiveBufferErrors;
    public ulong SendBufferErrors;
    public ulong InChecksumErrors;
    public ulong IgnoredMulti;
    public ulong MemoryErrors;
}
