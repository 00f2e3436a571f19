namespace Runsc.NetStack.Network;

/// <summary>What the IP header of a received packet said, checked.</summary>
internal struct IpPacketInfo
{
    public IpAddress Source;
    public IpAddress Destination;

    /// <summary>The protocol of the payload, behind extension headers.</summary>
    public byte Protocol;

    /// <summary>The TOS byte or traffic class; the low two bits are ECN (RFC 3168).</summary>
    public byte TrafficClass;

    /// <summary>TTL or hop limit.</summary>
    public byte HopLimit;

    /// <summary>The flow label of IPv6.</summary>
    public uint FlowLabel;

    /// <summary>The interface it came in on.</summary>
    public int Interface;

    /// <summary>Sent to a broadcast address of ours, or to a group.</summary>
    public bool IsBroadcast;

    public bool IsMulticast;

    /// <summary>It came in fragments; the largest was of this size, for IP_RECVFRAGSIZE. Else 0.</summary>
    public int FragmentSize;
}
