using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>ICMP (RFC 792, RFC 1122, 3.2.2): echo and timestamp replies, errors in and out. Under the stack's lock.</summary>
internal sealed class Icmpv4Protocol(NetworkStack stack)
{
    /// <summary>An error quotes as much as fits into 576 bytes (RFC 1812, 4.3.2.3).</summary>
    private const int MaxError = 576;

    private const long MillisecondsOfDay = 86_400_000;
    private const int TimestampSize = 20;

    private readonly Route _route = new();

    private IcmpCounters Counters => stack.Counters.Icmpv4;

    /// <summary>Takes a message, its front at the ICMP header.</summary>
    public void Receive(PacketBuffer packet, in IpPacketInfo info)
    {
        Counters.InMessages++;
        bool trusted = packet.Checksum == ChecksumState.Valid;
        if (!packet.EnsureLinear(IcmpType.HeaderSize) || (!trusted && !Checksum.IsValid(packet.Sum(0, packet.Length, 0))))
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
            case IcmpType.EchoRequest:
                Echo(packet, info);
                return;
            case IcmpType.EchoReply:
                stack.Pings.Deliver(packet, info);
                return;
            case IcmpType.TimestampRequest when packet.Length >= TimestampSize && !info.IsBroadcast && !info.IsMulticast:
                Timestamp(packet, info);
                return;
            case IcmpType.DestinationUnreachable:
            case IcmpType.TimeExceeded:
            case IcmpType.ParameterProblem:
            case IcmpType.SourceQuench:
                Error(packet, info);
                break;
            default:
                break;
        }

        packet.Release();
    }

    /// <summary>Sends an error about a packet; conditions and rate limit are checked by the caller (<see cref="IcmpErrorSender"/>).</summary>
    public void SendError(PacketBuffer about, in IpPacketInfo info, byte type, byte code, uint rest)
    {
        // What was sent to us is answered by that address; the rest by the interface's.
        IpAddress source = stack.Routes4.FindLocal(info.Destination) is { Kind: RouteKind.Local } ? info.Destination : IpAddress.AnyV4;
        if (stack.Ip.FindRoute(new RouteQuery { Destination = info.Source, Source = source, Mark = about.Mark }, _route) != NetError.None)
        {
            return;
        }

        int quote = Math.Min(about.Length, Math.Min(MaxError, _route.Mtu) - Ipv4Header.MinSize - IcmpType.HeaderSize);
        PacketBuffer packet = stack.Pool.Allocate(PacketBuffer.Headroom, IcmpType.HeaderSize + quote);
        Span<byte> bytes = packet.Append(IcmpType.HeaderSize + quote);
        bytes[0] = type;
        bytes[1] = code;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], 0);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[4..], rest);
        about.CopyTo(0, bytes[IcmpType.HeaderSize..]);
        packet.Tracking = stack.Filter?.Relate(about.Tracking);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Checksum.Of(bytes));
        Send(packet, trafficClass: 0xc0);
    }

    private void Echo(PacketBuffer packet, in IpPacketInfo info)
    {
        if (stack.Parameters.IgnoreEcho || ((info.IsBroadcast || info.IsMulticast) && stack.Parameters.IgnoreBroadcastEcho))
        {
            packet.Release();
            return;
        }

        Span<byte> bytes = packet.Linear;
        ushort before = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        bytes[0] = IcmpType.EchoReply;
        ushort sum = BinaryPrimitives.ReadUInt16BigEndian(bytes[2..]);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Checksum.Update(sum, before, BinaryPrimitives.ReadUInt16BigEndian(bytes)));
        Reply(packet, info);
    }

    private void Timestamp(PacketBuffer packet, in IpPacketInfo info)
    {
        if (!packet.EnsureLinear(TimestampSize))
        {
            packet.Release();
            return;
        }

        packet.TrimTo(TimestampSize);
        Span<byte> bytes = packet.Linear;
        uint now = (uint)(stack.Clock.RealTime / 1_000_000 % MillisecondsOfDay);
        bytes[0] = IcmpType.TimestampReply;
        BinaryPrimitives.WriteUInt32BigEndian(bytes[12..], now);
        BinaryPrimitives.WriteUInt32BigEndian(bytes[16..], now);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], 0);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Checksum.Of(bytes));
        Reply(packet, info);
    }

    /// <summary>Sends the packet back where it came from.</summary>
    private void Reply(PacketBuffer packet, in IpPacketInfo info)
    {
        IpAddress source = info.IsBroadcast || info.IsMulticast ? IpAddress.AnyV4 : info.Destination;
        RouteQuery query = new() { Destination = info.Source, Source = source, Mark = packet.Mark };
        byte[]? options = packet.NetworkStart >= 0 ? EchoedOptions(packet) : null;
        packet.Checksum = ChecksumState.None;
        packet.Type = PacketType.Host;
        packet.LinkStart = packet.NetworkStart = -1;
        packet.TransportStart = packet.Position;
        if (info.Source.IsUnspecified || stack.Ip.FindRoute(query, _route) != NetError.None)
        {
            packet.Release();
            return;
        }

        Send(packet, info.TrafficClass, options);
    }

    /// <summary>What the answer to a packet carries on: routes and times that are recorded. Null if there is nothing.</summary>
    private static byte[]? EchoedOptions(PacketBuffer packet)
    {
        int position = packet.Position;
        packet.Rewind(packet.NetworkStart);
        ReadOnlySpan<byte> options = Ipv4Header.OfChecked(packet.Linear).Options;
        Span<byte> answer = stackalloc byte[Ipv4Options.MaxSize];
        answer = options.IsEmpty ? [] : answer[..Ipv4Options.Echo(options, answer)];
        packet.TrimFront(position - packet.Position);
        return answer.IsEmpty ? null : answer.ToArray();
    }

    private void Send(PacketBuffer packet, byte trafficClass, byte[]? options = null)
    {
        byte type = packet.Linear[0];
        if (stack.Ip.Send(_route, packet, new IpSendOptions { Protocol = IpProtocol.Icmp, TrafficClass = trafficClass, PathMtu = PathMtuMode.Dont, Options = options }) == NetError.None)
        {
            Counters.OutMessages++;
            Counters.OutTypes[type]++;
        }
        else
        {
            Counters.OutErrors++;
        }
    }

    /// <summary>An error about something this host has sent.</summary>
    private void Error(PacketBuffer packet, in IpPacketInfo info)
    {
        byte type = packet.Linear[0];
        byte code = packet.Linear[1];
        uint rest = BinaryPrimitives.ReadUInt32BigEndian(packet.Linear[4..]);
        packet.TrimFront(IcmpType.HeaderSize);
        if (!packet.EnsureLinear(Ipv4Header.MinSize) || !packet.EnsureLinear(((packet.Linear[0] & 0xf) * 4) + 8)
            || !Ipv4Header.TryParse(packet.Linear, out Ipv4Header quoted))
        {
            Counters.InErrors++;
            return;
        }

        // Only about what we could have sent: anything else is forged, or not our affair.
        if (stack.Routes4.FindLocal(quoted.Source) is not { Kind: RouteKind.Local } || quoted.FragmentOffset != 0)
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
            Protocol = quoted.Protocol,
            Interface = info.Interface,
            HopLimit = info.HopLimit,
            TrafficClass = info.TrafficClass,
        };
        if (!Classify(ref error, rest, quoted.TotalLength, quoted.HeaderLength))
        {
            return;
        }

        int position = packet.Position;
        stack.Raw.DeliverError(error, packet);
        packet.Rewind(position);
        packet.TrimFront(quoted.HeaderLength);
        if (error.Protocol == IpProtocol.Icmp)
        {
            stack.Pings.DeliverError(error, packet);
        }
        else
        {
            stack.Transport(error.Protocol)?.DeliverError(error, packet);
        }
    }

    private bool Classify(ref IcmpError error, uint rest, int quotedLength, int quotedHeader)
    {
        switch (error.Type)
        {
            case IcmpType.DestinationUnreachable when error.Code == IcmpType.FragmentationNeeded:
                int mtu = (int)(rest & 0xffff);
                if (mtu == 0)
                {
                    // An old router does not say (RFC 1191, 5): the next plateau below what was sent.
                    mtu = Plateau(quotedLength - (quotedLength > 4 * quotedHeader ? 0 : quotedHeader));
                }

                error.Kind = IcmpErrorKind.PacketTooBig;
                error.Info = (uint)stack.PathMtus.Learn(error.Remote, mtu);
                error.Error = NetError.MessageTooLong;
                return true;
            case IcmpType.DestinationUnreachable:
                (error.Kind, error.Error, error.IsFatal) = error.Code switch
                {
                    IcmpType.NetworkUnreachable => (IcmpErrorKind.NetworkUnreachable, NetError.NetworkUnreachable, false),
                    IcmpType.HostUnreachable => (IcmpErrorKind.HostUnreachable, NetError.HostUnreachable, false),
                    IcmpType.ProtocolUnreachable => (IcmpErrorKind.ProtocolUnreachable, NetError.ProtocolOptionUnavailable, true),
                    IcmpType.PortUnreachable => (IcmpErrorKind.PortUnreachable, NetError.ConnectionRefused, true),
                    IcmpType.SourceRouteFailed => (IcmpErrorKind.SourceRouteFailed, NetError.NotSupported, false),
                    6 => (IcmpErrorKind.NetworkUnreachable, NetError.NetworkUnreachable, true),
                    7 => (IcmpErrorKind.HostUnreachable, NetError.HostDown, true),
                    8 => (IcmpErrorKind.HostUnreachable, NetError.HostUnreachable, true),
                    9 => (IcmpErrorKind.Prohibited, NetError.NetworkUnreachable, true),
                    10 => (IcmpErrorKind.Prohibited, NetError.HostUnreachable, true),
                    11 => (IcmpErrorKind.NetworkUnreachable, NetError.NetworkUnreachable, false),
                    12 => (IcmpErrorKind.HostUnreachable, NetError.HostUnreachable, false),
                    13 or 14 or 15 => (IcmpErrorKind.Prohibited, NetError.HostUnreachable, true),
                    _ => (IcmpErrorKind.HostUnreachable, NetError.HostUnreachable, false),
                };
                return error.Code <= 15;
            case IcmpType.TimeExceeded:
                error.Kind = error.Code == 0 ? IcmpErrorKind.TimeExceeded : IcmpErrorKind.ReassemblyTimeExceeded;
                error.Error = NetError.HostUnreachable;
                return true;
            case IcmpType.ParameterProblem:
                error.Kind = IcmpErrorKind.ParameterProblem;
                error.Error = NetError.Protocol;
                error.IsFatal = true;
                error.Info = rest >> 24;
                return true;
            default:
                // Source quench is not to be heeded (RFC 6633).
                return false;
        }
    }

    private static int Plateau(int length)
    {
        ReadOnlySpan<int> plateaus = [32000, 17914, 8166, 4352, 2002, 1492, 1006];
        foreach (int plateau in plateaus)
        {
            if (plateau < length)
            {
                return plateau;
            }
        }

        return PathMtuCache.MinV4;
    }
}
