using Runsc.NetStack.Buffers;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Core;

/// <summary>Packets that this host sends to itself, and the step from IP to transports.</summary>
internal sealed partial class NetworkStack
{
    /// <summary>Packets in the backlog, as net.core.netdev_max_backlog; more are dropped.</summary>
    private const int MaxBacklog = 4096;

    // Guarded by _mu: frames for interfaces of this stack, processed before the lock is released.
    private PacketBuffer? _firstBacklog;
    private PacketBuffer? _lastBacklog;
    private int _backlog;

    /// <summary>Puts a frame into the backlog, as received by the interface; takes it. False, and released, if the backlog is full.</summary>
    internal bool Enqueue(NetworkInterface input, PacketBuffer frame)
    {
        if (_backlog == MaxBacklog)
        {
            frame.Release();
            return false;
        }

        frame.Interface = input.Index;
        frame.Next = null;
        if (_lastBacklog is null)
        {
            _firstBacklog = frame;
        }
        else
        {
            _lastBacklog.Next = frame;
        }

        _lastBacklog = frame;
        _backlog++;
        return true;
    }

    /// <summary>Puts an IP packet of our own to a group or broadcast address into the backlog; takes it.</summary>
    internal void EnqueueLooped(NetworkInterface output, PacketBuffer packet, PacketType type)
    {
        packet.LinkStart = -1;
        packet.Type = type;
        if (packet.Checksum == ChecksumState.None)
        {
            packet.Checksum = ChecksumState.Valid;
        }

        Enqueue(output, packet);
    }

    /// <summary>A neighbour did not answer: the sender hears of it, on this host or by ICMP. Takes the packet, whose front is the IP header.</summary>
    internal void ReportLinkFailure(PacketBuffer packet)
    {
        bool v4 = packet.Protocol == EtherType.Ipv4;
        int headers = v4 ? (packet.Linear[0] & 0xf) * 4 : Ipv6Header.Size;
        IpAddress source = IpOutput.SourceOf(packet, v4);
        IpAddress destination = IpOutput.DestinationOf(packet, v4);
        byte protocol = packet.Linear[v4 ? 9 : 6];
        bool own = v4 ? Routes4.FindLocal(source) is { Kind: RouteKind.Local } : FindAddress(source) is not null;
        if (!own)
        {
            IpPacketInfo info = new() { Source = source, Destination = destination, Protocol = protocol, Interface = packet.Interface };
            IcmpErrors.Send(packet, info, IcmpErrorKind.HostUnreachable);
        }
        else if (packet.EnsureLinear(headers + 8))
        {
            IcmpError error = new()
            {
                Kind = IcmpErrorKind.LocalUnreachable,
                Local = source,
                Remote = destination,
                Protocol = protocol,
                Offender = v4 ? IpAddress.AnyV4 : IpAddress.AnyV6,
                Error = NetError.HostUnreachable,
                IsFatal = true,
                Interface = packet.Interface,
            };
            packet.TrimFront(headers);
            if (protocol is IpProtocol.Icmp or IpProtocol.Icmpv6)
            {
                Pings.DeliverError(error, packet);
            }
            else
            {
                Transport(protocol)?.DeliverError(error, packet);
            }
        }

        packet.Release();
    }

    /// <summary>Gives a whole packet to raw sockets and to its transport; takes it. Its front is the IP header.</summary>
    internal void DeliverTransport(PacketBuffer packet, in IpPacketInfo info, int headers)
    {
        bool v4 = info.Source.IsV4;
        IpCounters counters = Counters.Ip(v4);
        packet.NetworkStart = packet.Position;
        packet.TrimFront(headers);
        packet.TransportStart = packet.Position;
        bool wanted = Raw.Deliver(packet, info);
        if (info.Protocol == (v4 ? IpProtocol.Icmp : IpProtocol.Icmpv6))
        {
            counters.InDelivers++;
            if (v4)
            {
                Icmpv4.Receive(packet, info);
            }
            else
            {
                Icmpv6.Receive(packet, info);
            }
        }
        else if (info.Protocol == IpProtocol.Igmp && v4)
        {
            counters.InDelivers++;
            ReceiveIgmp(packet, info);
            packet.Release();
        }
        else if (Transport(info.Protocol) is { } transport)
        {
            counters.InDelivers++;
            transport.Deliver(packet, info);
        }
        else
        {
            if (wanted)
            {
                counters.InDelivers++;
            }
            else
            {
                counters.InUnknownProtocols++;
                IcmpErrors.Send(packet, info, IcmpErrorKind.ProtocolUnreachable);
            }

            packet.Release();
        }
    }

    private void ReceiveIgmp(PacketBuffer packet, in IpPacketInfo info)
    {
        if (!packet.EnsureLinear(packet.Length) || !IgmpMessage.TryParse(packet.Linear, out IgmpMessage message) || FindInterface(info.Interface) is not { } input)
        {
            return;
        }

        if (message.Type == IgmpMessage.Query)
        {
            input.Groups.Queried(message.Group, message.Version, message.MaxResponse, v4: true);
        }
        else if (message.Type is IgmpMessage.ReportV1 or IgmpMessage.ReportV2)
        {
            input.Groups.ReportedByOther(message.Group);
        }
    }

    private void RunBacklog()
    {
        while (_firstBacklog is { } frame)
        {
            _firstBacklog = frame.Next;
            if (_firstBacklog is null)
            {
                _lastBacklog = null;
            }

            frame.Next = null;
            _backlog--;
            if (FindInterface(frame.Interface) is not { } input)
            {
                frame.Release();
            }
            else if (frame.LinkStart >= 0)
            {
                input.Receive(frame);
            }
            else if (frame.Protocol == EtherType.Ipv4)
            {
                Ipv4.Receive(input, frame, isLooped: true);
            }
            else
            {
                Ipv6.Receive(input, frame, isLooped: true);
            }
        }
    }
}
