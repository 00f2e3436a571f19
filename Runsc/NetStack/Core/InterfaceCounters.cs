namespace Runsc.NetStack.Core;

/// <summary>The counters of an interface, as /proc/net/dev and IFLA_STATS64 show them. Written under the stack's lock.</summary>
internal sealed class InterfaceCounters
{
    public ulong ReceivedBytes { get; set; }

    public ulong ReceivedPackets { get; set; }

    public ulong ReceiveErrors { get; set; }

    public ulong ReceiveDropped { get; set; }

    public ulong ReceivedMulticast { get; set; }

    public ulong SentBytes { get; set; }

    public ulong SentPackets { get; set; }

    public ulong SendErrors { get; set; }

    public ulong SendDropped { get; set; }
}
