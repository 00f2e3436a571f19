using Runsc.NetStack.Buffers;
using Runsc.NetStack.Link;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Core;

/// <summary>Frames in and out.</summary>
internal sealed partial class NetworkInterface
{
    public void AddTap(IPacketTap tap) => _taps.Add(tap);

    public void RemoveTap(IPacketTap tap) => _taps.Remove(tap);

    /// <summary>Takes a frame that came in, its front at the link header (or at the IP header where the link has none). Precondition: the stack's lock is held.</summary>
    public void Receive(PacketBuffer frame)
    {
        if (!IsUp)
        {
            Counters.ReceiveDropped++;
            frame.Release();
            return;
        }

        Counters.ReceivedPackets++;
        Counters.ReceivedBytes += (ulong)(uint)frame.Length;
        frame.Interface = Index;
        frame.LinkStart = frame.Position;
        if (!TryReadLinkHeader(frame))
        {
            Counters.ReceiveErrors++;
            frame.Release();
            return;
        }

        if (frame.Type == PacketType.Multicast)
        {
            Counters.ReceivedMulticast++;
        }

        Tap(frame, frame.Type);
        if (Master is { } master)
        {
            master.Receive(this, frame);
            return;
        }

        if (frame.Type == PacketType.OtherHost)
        {
            frame.Release();
            return;
        }

        if (Device.HasHeader)
        {
            frame.TrimFront(EthernetHeader.Size);
        }

        frame.NetworkStart = frame.Position;
        switch (frame.Protocol)
        {
            case EtherType.Ipv4:
                Stack.Ipv4.Receive(this, frame);
                break;
            case EtherType.Ipv6 when HasIpv6:
                Stack.Ipv6.Receive(this, frame);
                break;
            case EtherType.Arp when Device.Kind == LinkKind.Ethernet:
                ArpProtocol.Receive(this, frame);
                break;
            default:
                Counters.ReceiveDropped++;
                frame.Release();
                break;
        }
    }

    /// <summary>Sends an IP packet, its front at the IP header, to a host or group on the link; takes it.</summary>
    /// <param name="packet">What remains of GSO and checksum is done here as far as the device cannot.</param>
    /// <param name="neighbor">Who gets it; null for groups, broadcasts and links without addresses.</param>
    /// <param name="destination">The next hop.</param>
    /// <param name="isBroadcast">The destination is a broadcast address.</param>
    internal void SendIp(PacketBuffer packet, Neighbor? neighbor, in IpAddress destination, bool isBroadcast)
    {
        if (!IsUp)
        {
            Counters.SendDropped++;
            packet.Release();
            return;
        }

        packet.Protocol = destination.IsV4 ? EtherType.Ipv4 : EtherType.Ipv6;
        if (Device.Kind != LinkKind.Ethernet)
        {
            SendFrame(packet, default, packet.Protocol);
        }
        else if ((Flags & InterfaceFlags.NoArp) != 0)
        {
            SendFrame(packet, Mac, packet.Protocol);
        }
        else if (isBroadcast)
        {
            SendFrame(packet, MacAddress.Broadcast, packet.Protocol);
        }
        else if (destination.IsMulticast)
        {
            SendFrame(packet, MacAddress.OfGroup(destination), packet.Protocol);
        }
        else
        {
            (neighbor ?? Neighbors.GetOrAdd(destination))?.Send(packet);
            if (neighbor is null && !Neighbors.Contains(destination))
            {
                Counters.SendDropped++;
            }
        }
    }

    /// <summary>Puts the link header in front and sends; takes the packet.</summary>
    internal void SendFrame(PacketBuffer packet, MacAddress destination, ushort protocol)
    {
        packet.Protocol = protocol;
        if (Device.HasHeader)
        {
            EthernetHeader.Write(packet.Prepend(EthernetHeader.Size), destination, Mac, protocol);
        }

        packet.LinkStart = packet.Position;
        TransmitFrame(packet);
    }

    /// <summary>Sends a whole frame; takes it. Software does what the device cannot.</summary>
    internal void TransmitFrame(PacketBuffer frame)
    {
        frame.Interface = Index;
        if (frame.Gso != GsoType.None && frame.Length > Device.MaxGsoPacket)
        {
            GsoSegmenter.Segment(frame, this);
            return;
        }

        if (frame.Checksum == ChecksumState.Partial && !Device.HasChecksumOffload)
        {
            PartialChecksum.Complete(frame);
        }

        Tap(frame, PacketType.Outgoing);
        int length = frame.Length;
        if (!IsUp || !Device.Transmit(frame))
        {
            Counters.SendDropped++;
            if (!IsUp)
            {
                frame.Release();
            }

            return;
        }

        Counters.SentPackets++;
        Counters.SentBytes += (ulong)(uint)length;
    }

    private void Tap(PacketBuffer frame, PacketType type)
    {
        for (int i = 0; i < _taps.Count; i++)
        {
            _taps[i].OnFrame(this, frame, type);
        }
    }

    private bool TryReadLinkHeader(PacketBuffer frame)
    {
        frame.Type = PacketType.Host;
        if (!Device.HasHeader)
        {
            if (!frame.EnsureLinear(1))
            {
                return false;
            }

            frame.Protocol = frame.Linear[0] >> 4 == 6 ? EtherType.Ipv6 : EtherType.Ipv4;
            return true;
        }

        if (!frame.EnsureLinear(EthernetHeader.Size) || !EthernetHeader.TryParse(frame.Linear, out EthernetHeader header))
        {
            return false;
        }

        frame.Protocol = header.Type;
        if (!IsLoopback)
        {
            MacAddress destination = header.Destination;
            frame.Type = destination.IsBroadcast ? PacketType.Broadcast
                : destination.IsMulticast ? PacketType.Multicast
                : destination == Mac ? PacketType.Host : PacketType.OtherHost;
        }

        return true;
    }
}
