namespace Runsc.NetStack.Buffers;

/// <summary>How a packet larger than the MTU is to be cut into segments, each of <see cref="PacketBuffer.GsoSize"/> bytes of transport payload.</summary>
internal enum GsoType : byte
{
    None,

    /// <summary>TCP over IPv4 (VIRTIO_NET_HDR_GSO_TCPV4).</summary>
    TcpV4,

    /// <summary>TCP over IPv6 (VIRTIO_NET_HDR_GSO_TCPV6).</summary>
    TcpV6,

    /// <summary>UDP into datagrams (VIRTIO_NET_HDR_GSO_UDP_L4).</summary>
    Udp,
}
