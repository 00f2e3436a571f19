namespace Runsc.NetStack.Network;

/// <summary>What the IP header of a packet to be sent says.</summary>
internal struct IpSendOptions
{
    public byte Protocol;

    /// <summary>The TOS byte or traffic class, ECN bits included.</summary>
    public byte TrafficClass;

    /// <summary>TTL or hop limit; 0 is the default of the stack (or 1 for groups).</summary>
    public byte HopLimit;

    public PathMtuMode PathMtu;

    /// <summary>The flow label of IPv6.</summary>
    public uint FlowLabel;

    /// <summary>IPv4 options, padded to words, or null.</summary>
    public byte[]? Options;

    /// <summary>The identification field is random unless the packet may not be fragmented.</summary>
    public bool IsMulticastLooped;
}
