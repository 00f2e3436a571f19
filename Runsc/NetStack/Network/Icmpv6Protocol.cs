using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>ICMPv6 (RFC 4443): echo replies, errors in and out; neighbour discovery and MLD are handed on. Under the stack's lock.</summary>
internal sealed class Icmpv6Protocol(NetworkStack stack)
{
    private const int MaxExtensions = 8;

    private readonly Route _route = new();

    private IcmpCounters Counters => stack.Counters.Icmpv6;

    /// <summary>Takes a message, its front at the ICMPv6 header.</summary>
    public void Receive(PacketBuffer packet, in IpPacketInfo info)
    {
        Counters.InMessages++;
        if (!packet.EnsureLinear(4) || (packet.Checksum == ChecksumState.None && !IsChecksumValid(packet, info)))
        {
            Counters.InErrors++;
            Counters.InChecksumErrors++;
            packet.Release();
            return;
        }

        byte type = packet.Linear[0];
        Counters.InTypes[type]++;
        switch (type)
        {
            case Icmpv6Type.EchoRequest:
                Echo(packet, info);
                return;
            case Icmpv6Type.EchoReply:
                stack.Pings.Deliver(packet, info);
                return;
            case Icmpv6Type.DestinationUnreachable:
            case Icmpv6Type.PacketTooBig:
            case Icmpv6Type.TimeExceeded:
            case Icmpv6Type.ParameterProblem:
                Error(packet, info);
                break;
            case >= Icmpv6Type.RouterSolicitation and <= Icmpv6Type.Redirect:
                if (packet.EnsureLinear(packet.Length) && stack.FindInterface(info.Interface) is { IsLoopback: false } link)
                {
                    NdpProtocol.Receive(link, packet, info);
                }

                break;
            case Icmpv6Type.MldQuery:
            case Icmpv6Type.MldReport:
                if (info.HopLimit == 1 && packet.EnsureLinear(packet.Length) && MldMessage.TryParse(packet.Linear, out MldMessage message)
                    && info.Source.IsLinkLocal && stack.FindInterface(info.Interface) is { } queried)
                {
                    if (type == Icmpv6Type.MldQuery)
                    {
                        queried.Groups.Queried(message.Group, message.Version, message.MaxResponse, v4: false);
                    }
                    else
                    {
                        queried.Groups.ReportedByOther(message.Group);
                    }
                }

                break;
            default:
                break;
        }

        packet.Release();
    }

    /// <summary>Sends a parameter problem about a packet; it stays the caller's.</summary>
    public void SendParameterProblem(PacketBuffer about, in IpPacketInfo info, byte code, uint pointer)
    {
        if (IcmpErrorSender.MayAnswer(stack, about, info) && stack.ErrorSender.TryTakeToken())
        {
            SendError(about, info, Icmpv6Type.ParameterProblem, code, pointer);
        }
    }

    /// <summary>Sends an error about a packet, which is at its IP header; conditions and rate limit are checked by the caller.</summary>
    public void SendError(PacketBuffer about, in IpPacketInfo info, byte type, byte code, uint rest)
    {
        IpAddress source = stack.FindAddress(info.Destination) is not null ? info.Destination : IpAddress.AnyV6;
        RouteQuery query = new() { Destination = info.Source, Source = source, Interface = info.Source.IsLinkLocal ? info.Interface : 0, Mark = about.Mark };
        if (stack.Ip.FindRoute(query, _route) != NetError.None)
        {
            return;
        }

        int quote = Math.Min(about.Length, Ipv6Header.MinMtu - Ipv6Header.Size - Icmpv6Type.HeaderSize);
        PacketBuffer packet = stack.Pool.Allocate(PacketBuffer.Headroom, Icmpv6Type.HeaderSize + quote);
        Span<byte> bytes = packet.Append(Icmpv6Type.HeaderSize + quote);
        bytes[0] = type;
        bytes[1] = code;
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], rest);
        about.CopyTo(0, bytes[Icmpv6Type.HeaderSize..]);
        packet.Tracking = stack.Filter?.Relate(about.Tracking);
        Send(packet, 0);
    }

    private static bool IsChecksumValid(PacketBuffer packet, in IpPacketInfo info) =>
        Checksum.IsValid(packet.Sum(0, packet.Length, Checksum.PseudoHeader(info.Source, info.Destination, IpProtocol.Icmpv6, packet.Length)));

    private void Echo(PacketBuffer packet, in IpPacketInfo info)
    {
        packet.Linear[0] = Icmpv6Type.EchoReply;
        packet.Type = PacketType.Host;
        packet.LinkStart = packet.NetworkStart = -1;
        packet.TransportStart = packet.Position;
        IpAddress source = info.IsMulticast ? IpAddress.AnyV6 : info.Destination;
        RouteQuery query = new() { Destination = info.Source, Source = source, Interface = info.Source.IsLinkLocal ? info.Interface : 0, Mark = packet.Mark };
        if (packet.Length < Icmpv6Type.HeaderSize || info.Source.IsUnspecified || stack.Ip.FindRoute(query, _route) != NetError.None)
        {
            packet.Release();
            return;
        }

        Send(packet, info.TrafficClass);
    }

    private void Send(PacketBuffer packet, byte trafficClass)
    {
        byte type = packet.Linear[0];
        Span<byte> bytes = packet.Linear;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], 0);
        ulong sum = Checksum.PseudoHeader(_route.Source, _route.Destination, IpProtocol.Icmpv6, packet.Length);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Checksum.Finish(packet.Sum(0, packet.Length, sum)));
        packet.Checksum = ChecksumState.None;
        if (stack.Ip.Send(_route, packet, new IpSendOptions { Protocol = IpProtocol.Icmpv6, TrafficClass = trafficClass, PathMtu = PathMtuMode.Dont }) == NetError.None)
        {
            Counters.OutMessages++;
            Counters.OutTypes[type]++;
        }
        else
        {
            Counters.OutErrors++;
        }
    }

    private void Error(PacketBuffer packet, in IpPacketInfo info)
    {
        if (!packet.EnsureLinear(Icmpv6Type.HeaderSize))
        {
            Counters.InErrors++;
            return;
        }

        byte type = packet.Linear[0];
        byte code = packet.Linear[1];
        uint rest = BinaryPrimitives.ReadUInt32BigEndian(packet.Linear[4..]);
        packet.TrimFront(Icmpv6Type.HeaderSize);
        if (!packet.EnsureLinear(Ipv6Header.Size) || !Ipv6Header.TryParse(packet.Linear, out Ipv6Header quoted))
        {
            Counters.InErrors++;
            return;
        }

        if (stack.FindAddress(quoted.Source) is null || !TryFindTransport(packet, quoted.NextHeader, out byte protocol, out int at))
        {
            return;
        }

        IcmpError error = new()
        {
            Type = type,
            Code = code,
            Local = quoted.Source,
            Remote = quoted.Destination,
            Offender = info.Source,
            Protocol = protocol,
            Interface = info.Interface,
            HopLimit = info.HopLimit,
            TrafficClass = info.TrafficClass,
        };
        switch (type)
        {
            case Icmpv6Type.PacketTooBig:
                error.Kind = IcmpErrorKind.PacketTooBig;
                error.Info = (uint)stack.PathMtus.Learn(error.Remote, (int)Math.Min(rest, 65535));
                error.Error = NetError.MessageTooLong;
                break;
            case Icmpv6Type.DestinationUnreachable:
                (error.Kind, error.Error, error.IsFatal) = code switch
                {
                    0 => (IcmpErrorKind.NetworkUnreachable, NetError.NetworkUnreachable, false),
                    1 => (IcmpErrorKind.Prohibited, NetError.AccessDenied, true),
                    4 => (IcmpErrorKind.PortUnreachable, NetError.ConnectionRefused, true),
                    5 or 6 => (IcmpErrorKind.Prohibited, NetError.AccessDenied, true),
                    _ => (IcmpErrorKind.HostUnreachable, NetError.HostUnreachable, false),
                };
                break;
            case Icmpv6Type.TimeExceeded:
                error.Kind = code == 0 ? IcmpErrorKind.TimeExceeded : IcmpErrorKind.ReassemblyTimeExceeded;
                error.Error = NetError.HostUnreachable;
                break;
            default:
                error.Kind = code == 1 ? IcmpErrorKind.ProtocolUnreachable : IcmpErrorKind.ParameterProblem;
                error.Error = NetError.Protocol;
                error.IsFatal = true;
                error.Info = rest;
                break;
        }

        int position = packet.Position;
        packet.TrimFront(at);
        stack.Raw.DeliverError(error, packet);
        packet.Rewind(position);
        packet.TrimFront(at);
        if (protocol == IpProtocol.Icmpv6)
        {
            stack.Pings.DeliverError(error, packet);
        }
        else
        {
            stack.Transport(protocol)?.DeliverError(error, packet);
        }
    }

    /// <summary>Finds the transport header of a quoted packet; 8 bytes of it are then linear.</summary>
    private static bool TryFindTransport(PacketBuffer packet, byte next, out byte protocol, out int at)
    {
        at = Ipv6Header.Size;
        for (int count = 0; count < MaxExtensions && next is IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.DestinationOptions or IpProtocol.Fragment; count++)
        {
            if (!packet.EnsureLinear(at + 8))
            {
                protocol = 0;
                return false;
            }

            ReadOnlySpan<byte> header = packet.Linear[at..];
            if (next == IpProtocol.Fragment && ((header[2] << 8 | header[3]) & 0xfff8) != 0)
            {
                protocol = 0;
                return false;
            }

            at += next == IpProtocol.Fragment ? 8 : Ipv6Options.HeaderLength(header);
            next = header[0];
        }

        protocol = next;
        return packet.EnsureLinear(at + 8);
    }
}
