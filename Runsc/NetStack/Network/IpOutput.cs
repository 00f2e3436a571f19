using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>IP on the way out, both versions: header, packet filter, fragments. Under the stack's lock.</summary>
internal sealed class IpOutput(NetworkStack stack) : IIpOutput
{
    private readonly Route _rerouted = new();

    public NetError FindRoute(in RouteQuery query, Route route) => RouteFinder.Find(stack, query, route);

    public NetError Send(Route route, PacketBuffer packet, in IpSendOptions options)
    {
        if (route.Interface is not { } output)
        {
            packet.Release();
            return NetError.NetworkUnreachable;
        }

        bool v4 = route.Destination.IsV4;
        IpCounters counters = stack.Counters.Ip(v4);
        counters.OutRequests++;
        int headers = v4 ? Ipv4Header.MinSize + (options.Options?.Length ?? 0) : Ipv6Header.Size;
        int mtu = MtuOf(route, options.PathMtu);
        int total = packet.Length + headers;
        bool fits = total <= mtu || packet.Gso != GsoType.None;
        if (total > Ipv4Header.MaxPacket + (v4 ? 0 : Ipv6Header.Size)
            || (!fits && options.PathMtu is PathMtuMode.Do or PathMtuMode.Probe or PathMtuMode.Interface))
        {
            counters.FragmentFailures++;
            packet.Release();
            return NetError.MessageTooLong;
        }

        if (packet.TransportStart < 0)
        {
            packet.TransportStart = packet.Position;
        }

        byte hopLimit = options.HopLimit != 0 ? options.HopLimit
            : route.Kind == RouteKind.Multicast ? (byte)1
            : v4 ? stack.Parameters.DefaultTtl
            : output.AdvertisedHopLimit != 0 ? output.AdvertisedHopLimit : (byte)output.Parameters[InterfaceSetting.HopLimit];
        if (v4)
        {
            Span<byte> header = packet.Prepend(headers);
            if (options.Options is { } list)
            {
                // Routes and times are recorded from here on (Linux: ip_options_build).
                list.CopyTo(header[Ipv4Header.MinSize..]);
                Ipv4Options.Process(header.Slice(Ipv4Header.MinSize, list.Length), route.Source, Ipv4Options.Milliseconds(stack.Clock.RealTime), out _);
            }

            Ipv4Header.Write(header, new Ipv4Header.Fields
            {
                TrafficClass = options.TrafficClass,
                TotalLength = total,
                Id = unchecked((ushort)stack.Random.Next()),
                DontFragment = options.PathMtu is PathMtuMode.Do or PathMtuMode.Probe || (options.PathMtu == PathMtuMode.Want && fits),
                Ttl = hopLimit,
                Protocol = options.Protocol,
                Source = route.Source,
                Destination = route.Destination,
            });
        }
        else
        {
            Ipv6Header.Write(packet.Prepend(headers), new Ipv6Header.Fields
            {
                TrafficClass = options.TrafficClass,
                FlowLabel = options.FlowLabel,
                PayloadLength = total - headers,
                NextHeader = options.Protocol,
                HopLimit = hopLimit,
                Source = route.Source,
                Destination = route.Destination,
            });
        }

        packet.NetworkStart = packet.Position;
        return SendWithHeader(route, packet, options.IsMulticastLooped, fits ? int.MaxValue : mtu);
    }

    /// <summary>Sends a packet that has its IP header (IP_HDRINCL, forwarded, echo replies); takes it. Packets beyond <paramref name="fragmentAt"/> are cut.</summary>
    public NetError SendWithHeader(Route route, PacketBuffer packet, bool loopMulticast, int fragmentAt)
    {
        NetworkInterface output = route.Interface!;
        bool v4 = route.Destination.IsV4;
        packet.Protocol = v4 ? EtherType.Ipv4 : EtherType.Ipv6;
        if (stack.Filter is { } filter)
        {
            uint mark = packet.Mark;
            if (!filter.Accept(FilterHook.Output, packet, null, output))
            {
                packet.Release();
                return NetError.NotPermitted;
            }

            // A rewritten destination (DNAT of local packets), or another mark, needs a route of its own.
            IpAddress destination = DestinationOf(packet, v4);
            if (destination != route.Destination || packet.Mark != mark)
            {
                RouteQuery query = new() { Destination = destination, Source = SourceOf(packet, v4), AnySource = true, Mark = packet.Mark };
                if (RouteFinder.Find(stack, query, _rerouted) != NetError.None)
                {
                    packet.Release();
                    return NetError.HostUnreachable;
                }

                route = _rerouted;
                output = route.Interface!;
            }
        }

        return Transmit(route, packet, null, loopMulticast, fragmentAt);
    }

    /// <summary>The last part of the way: post-routing filter, copies to this host, fragments. Also for forwarded packets.</summary>
    internal NetError Transmit(Route route, PacketBuffer packet, NetworkInterface? input, bool loopMulticast, int fragmentAt)
    {
        NetworkInterface output = route.Interface!;
        bool v4 = route.Destination.IsV4;
        if (stack.Filter is { } filter && !filter.Accept(FilterHook.PostRouting, packet, input, output))
        {
            packet.Release();
            return NetError.NotPermitted;
        }

        IpCounters counters = stack.Counters.Ip(v4);
        counters.OutBytes += (ulong)(uint)packet.Length;
        bool broadcast = route.Kind == RouteKind.Broadcast;
        if (!output.IsLoopback && (broadcast || route.Kind == RouteKind.Multicast))
        {
            counters.OutMulticast += broadcast ? 0u : 1;
            counters.OutBroadcast += broadcast ? 1u : 0;
            if ((broadcast || (loopMulticast && output.Groups.Contains(route.Destination))) && packet.TryClone() is { } copy)
            {
                stack.EnqueueLooped(output, copy, broadcast ? PacketType.Broadcast : PacketType.Multicast);
            }

            if (!broadcast && HopLimitOf(packet, v4) == 0)
            {
                packet.Release();
                return NetError.None;
            }
        }

        if (packet.Length > fragmentAt)
        {
            return v4 ? Fragment4(route, packet, fragmentAt, broadcast) : Fragment6(route, packet, fragmentAt);
        }

        output.SendIp(packet, route.Neighbor, route.NextHop, broadcast);
        return NetError.None;
    }

    /// <summary>Bytes of the largest packet, by the way that the sender finds them. Precondition: the route has an interface.</summary>
    internal static int MtuOf(Route route, PathMtuMode mode) =>
        mode is not (PathMtuMode.Probe or PathMtuMode.Interface or PathMtuMode.Omit) ? route.Mtu
        : route.Destination.IsV4 ? route.Interface!.Mtu : route.Interface!.Ipv6Mtu;

    internal static IpAddress SourceOf(PacketBuffer packet, bool v4) => v4 ? IpAddress.ReadV4(packet.Linear[12..]) : IpAddress.ReadV6(packet.Linear[8..]);

    internal static IpAddress DestinationOf(PacketBuffer packet, bool v4) => v4 ? IpAddress.ReadV4(packet.Linear[16..]) : IpAddress.ReadV6(packet.Linear[24..]);

    private static byte HopLimitOf(PacketBuffer packet, bool v4) => packet.Linear[v4 ? 8 : 7];

    private NetError Fragment4(Route route, PacketBuffer packet, int mtu, bool broadcast)
    {
        if (packet.Checksum == ChecksumState.Partial)
        {
            PartialChecksum.Complete(packet);
        }

        IpCounters counters = stack.Counters.Ipv4;
        Ipv4Header header = Ipv4Header.OfChecked(packet.Linear);
        int headers = header.HeaderLength;
        int start = header.FragmentOffset;
        bool moreAfter = header.MoreFragments;
        int payload = packet.Length - headers;
        int size = (mtu - headers) & ~7;
        if (size <= 0)
        {
            counters.FragmentFailures++;
            packet.Release();
            return NetError.MessageTooLong;
        }

        Ipv4Header.Fields fields = new()
        {
            TrafficClass = header.TrafficClass,
            Id = header.Id,
            Ttl = header.Ttl,
            Protocol = header.Protocol,
            Source = header.Source,
            Destination = header.Destination,
        };
        NetError error = NetError.None;
        for (int offset = 0; offset < payload && error == NetError.None; offset += size)
        {
            int part = Math.Min(size, payload - offset);
            PacketBuffer? fragment = Piece(packet, headers, headers, headers + offset, part);
            if (fragment is null)
            {
                error = NetError.NoBufferSpace;
                break;
            }

            Span<byte> bytes = fragment.Linear[..headers];
            if (offset > 0)
            {
                Ipv4Options.KeepCopied(bytes[Ipv4Header.MinSize..]);
            }

            fields.TotalLength = headers + part;
            fields.FragmentOffset = start + offset;
            fields.MoreFragments = moreAfter || offset + part < payload;
            Ipv4Header.Write(bytes, fields);
            counters.FragmentsCreated++;
            route.Interface!.SendIp(fragment, route.Neighbor, route.NextHop, broadcast);
        }

        counters.FragmentOk += error == NetError.None ? 1u : 0;
        counters.FragmentFailures += error == NetError.None ? 0u : 1;
        packet.Release();
        return error;
    }

    private NetError Fragment6(Route route, PacketBuffer packet, int mtu)
    {
        if (packet.Checksum == ChecksumState.Partial)
        {
            PartialChecksum.Complete(packet);
        }

        // Our own packets have no extension headers, so the unfragmentable part is the IPv6 header (RFC 8200, 4.5).
        IpCounters counters = stack.Counters.Ipv6;
        int payload = packet.Length - Ipv6Header.Size;
        int size = (mtu - Ipv6Header.Size - Ipv6FragmentHeader.Size) & ~7;
        Ipv6FragmentHeader part6 = new() { NextHeader = packet.Linear[6], Id = unchecked((uint)stack.Random.Next()) };
        NetError error = NetError.None;
        for (int offset = 0; offset < payload; offset += size)
        {
            int part = Math.Min(size, payload - offset);
            PacketBuffer? fragment = Piece(packet, Ipv6Header.Size, Ipv6Header.Size + Ipv6FragmentHeader.Size, Ipv6Header.Size + offset, part);
            if (fragment is null)
            {
                error = NetError.NoBufferSpace;
                break;
            }

            Span<byte> bytes = fragment.Linear;
            bytes[6] = IpProtocol.Fragment;
            BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], (ushort)(part + Ipv6FragmentHeader.Size));
            part6.Offset = offset;
            part6.More = offset + part < payload;
            part6.Write(bytes[Ipv6Header.Size..]);
            counters.FragmentsCreated++;
            route.Interface!.SendIp(fragment, route.Neighbor, route.NextHop, isBroadcast: false);
        }

        counters.FragmentOk += error == NetError.None ? 1u : 0;
        counters.FragmentFailures += error == NetError.None ? 0u : 1;
        packet.Release();
        return error;
    }

    /// <summary>A packet with room for its headers, the first of them copied, and a piece of the payload.</summary>
    private static PacketBuffer? Piece(PacketBuffer packet, int copied, int headers, int offset, int length)
    {
        PacketBuffer? piece = packet.Pool.TryAllocate(PacketBuffer.Headroom, headers + length);
        if (piece is null)
        {
            return null;
        }

        packet.Linear[..copied].CopyTo(piece.Append(headers));
        if (!piece.TryAppend(packet, offset, length))
        {
            piece.TrimTo(headers);
            packet.CopyTo(offset, piece.Append(length));
        }

        piece.NetworkStart = piece.Position;
        piece.Protocol = packet.Protocol;
        piece.Mark = packet.Mark;
        piece.Priority = packet.Priority;
        piece.Tracking = packet.Tracking;
        return piece;
    }
}
