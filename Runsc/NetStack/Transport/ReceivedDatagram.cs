using Runsc.NetStack.Buffers;

namespace Runsc.NetStack.Transport;

/// <summary>A datagram for a socket. Whoever takes it owns the packet.</summary>
internal struct ReceivedDatagram
{
    /// <summary>Its front is what the application gets first; headers can be brought back by Rewind.</summary>
    public PacketBuffer Packet;

    /// <summary>Who sent it; the scope is the interface if the address is link-local.</summary>
    public IpEndpoint Source;

    /// <summary>To whom: the address of the header and the port.</summary>
    public IpAddress Destination;
    public ushort DestinationPort;

    public int Interface;
    public byte HopLimit;
    public byte TrafficClass;
    public uint FlowLabel;

    /// <summary>Nanoseconds since 1970.</summary>
    public long Timestamp;

    /// <summary>Payload of each datagram if several are in the packet (UDP_GRO), or 0.</summary>
    public int GsoSize;

    /// <summary>IP_RECVFRAGSIZE.</summary>
    public int FragmentSize;
}
