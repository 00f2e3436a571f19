using System;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>IPv4 on the way in: checks, options, routing, reassembly, delivery, forwarding (RFC 791, 1122, 1812). Under the stack's lock.</summary>
internal sealed class Ipv4Protocol(NetworkStack stack)
{
    private readonly Reassembler _fragments = new(stack, v4: true);
    private readonly Route _forward = new();

    private IpCounters Counters => stack.Counters.Ipv4;

    public Reassembler Fragments => _fragments;

    /// <summary>Takes a packet whose front is the IP header.</summary>
    /// <param name="input">Where it came in.</param>
    /// <param name="packet">The packet.</param>
    /// <param name="isLooped">A copy of a group or broadcast packet of our own.</param>
    public void Receive(NetworkInterface input, PacketBuffer packet, bool isLooped = false)
    {
        Counters.InReceives++;
        Counters.InBytes += (ulong)(uint)packet.Length;
        if (!packet.EnsureLinear(Ipv4Header.MinSize) || !packet.EnsureLinear((packet.Linear[0] & 0xf) * 4)
            || !Ipv4Header.TryParse(packet.Linear, out Ipv4Header header)
            || (packet.Checksum == ChecksumState.None && !header.IsChecksumValid()))
        {
            Counters.InHeaderErrors++;
            packet.Release();
            return;
        }

        if (header.TotalLength > packet.Length)
        {
            Counters.InTruncated++;
            packet.Release();
            return;
        }

        packet.TrimTo(header.TotalLength);
        if (stack.Filter is { } filter)
        {
            // Rules see whole packets, whoever they are for.
            if (header.IsFragment && !isLooped)
            {
                FragmentKey key = new(header.Source, header.Destination, header.Id, header.Protocol, 0);
                PacketBuffer? whole = _fragments.Add(packet, key, header.FragmentOffset, header.MoreFragments, header.HeaderLength, out _);
                if (whole is null)
                {
                    return;
                }

                packet = whole;
            }

            if (!filter.Accept(FilterHook.PreRouting, packet, input, null))
            {
                packet.Release();
                return;
            }

            header = Ipv4Header.OfChecked(packet.Linear);
        }

        IpAddress source = header.Source;
        IpAddress destination = header.Destination;
        RouteEntry? local = destination.IsMulticast || destination.IsLimitedBroadcast ? null : stack.Routes4.FindLocal(destination);
        bool isBroadcast = destination.IsLimitedBroadcast || local is { Kind: RouteKind.Broadcast };
        if (!isLooped && IsMartian(input, source, destination, isBroadcast))
        {
            Counters.InAddressErrors++;
            packet.Release();
            return;
        }

        if (header.HeaderLength > Ipv4Header.MinSize && !ProcessOptions(input, packet, isOurs: local is { Kind: RouteKind.Local }))
        {
            return;
        }

        if (destination.IsMulticast)
        {
            Counters.InMulticast++;
            if (!input.Groups.Contains(destination) && input.AllMulticastCount == 0)
            {
                packet.Release();
                return;
            }

            DeliverLocal(input, packet, isBroadcast: false);
        }
        else if (isBroadcast)
        {
            Counters.InBroadcast++;
            DeliverLocal(input, packet, isBroadcast: true);
        }
        else if (local is { Kind: RouteKind.Local })
        {
            DeliverLocal(input, packet, isBroadcast: false);
        }
        else if (packet.Type == PacketType.Host && input.Parameters.IsOn(InterfaceSetting.Ipv4Forward))
        {
            Forward(input, packet);
        }
        else
        {
            Counters.InAddressErrors++;
            packet.Release();
        }
    }

    private bool IsOn(NetworkInterface input, InterfaceSetting setting) => input.Parameters.IsOn(setting) || stack.Parameters.All.IsOn(setting);

    private bool IsMartian(NetworkInterface input, in IpAddress source, in IpAddress destination, bool isBroadcast)
    {
        if (source.IsMulticast || source.IsLimitedBroadcast || destination.IsUnspecified)
        {
            return true;
        }

        if (source.IsUnspecified)
        {
            // A host that asks for its address (RFC 1122, 3.2.1.3 a).
            return !isBroadcast && !destination.IsMulticast;
        }

        if (input.IsLoopback)
        {
            return false;
        }

        if ((source.IsLoopback || destination.IsLoopback) && !IsOn(input, InterfaceSetting.RouteLocalNet))
        {
            return true;
        }

        if (stack.Routes4.FindLocal(source) is not null && !IsOn(input, InterfaceSetting.AcceptLocal))
        {
            // Our own addresses, and our broadcast addresses, do not come from outside.
            return true;
        }

        int filter = Math.Max(stack.Parameters.All[InterfaceSetting.ReversePathFilter], input.Parameters[InterfaceSetting.ReversePathFilter]);
        if (filter != 0)
        {
            RouteEntry? back = stack.Routes4.Find(new RouteQuery { Destination = source });
            return back?.Interface is null || (filter == 1 && back.Interface != input);
        }

        return false;
    }

    /// <summary>False if the packet was dropped.</summary>
    private bool ProcessOptions(NetworkInterface input, PacketBuffer packet, bool isOurs)
    {
        Ipv4Header header = Ipv4Header.OfChecked(packet.Linear);
        int length = header.HeaderLength;
        IpAddress own = isOurs ? header.Destination : input.SelectV4(header.Source, NetworkStack.ScopeLink);
        if (!Ipv4Options.Process(packet.Linear[Ipv4Header.MinSize..length], own, Ipv4Options.Milliseconds(stack.Clock.RealTime), out int bad))
        {
            Counters.InHeaderErrors++;
            IpPacketInfo info = Info(input, header, isBroadcast: false);
            stack.IcmpErrors.Send(packet, info, IcmpErrorKind.ParameterProblem, (uint)(Ipv4Header.MinSize + bad) << 24);
            packet.Release();
            return false;
        }

        if (Ipv4Options.HasSourceRoute(header.Options))
        {
            Counters.InDiscards++;
            packet.Release();
            return false;
        }

        Ipv4Header.UpdateChecksum(packet.Linear[..length]);
        return true;
    }

    private void DeliverLocal(NetworkInterface input, PacketBuffer packet, bool isBroadcast)
    {
        Ipv4Header header = Ipv4Header.OfChecked(packet.Linear);
        int fragmentSize = 0;
        if (header.IsFragment)
        {
            FragmentKey key = new(header.Source, header.Destination, header.Id, header.Protocol, 0);
            PacketBuffer? whole = _fragments.Add(packet, key, header.FragmentOffset, header.MoreFragments, header.HeaderLength, out fragmentSize);
            if (whole is null)
            {
                return;
            }

            packet = whole;
            header = Ipv4Header.OfChecked(packet.Linear);
        }

        if (stack.Filter is { } filter && !filter.Accept(FilterHook.Input, packet, input, null))
        {
            packet.Release();
            return;
        }

        IpPacketInfo info = Info(input, header, isBroadcast);
        info.FragmentSize = fragmentSize;
        stack.DeliverTransport(packet, info, header.HeaderLength);
    }

    private void Forward(NetworkInterface input, PacketBuffer packet)
    {
        Ipv4Header header = Ipv4Header.OfChecked(packet.Linear);
        IpPacketInfo info = Info(input, header, isBroadcast: false);
        if (header.Ttl <= 1)
        {
            stack.IcmpErrors.Send(packet, info, IcmpErrorKind.TimeExceeded);
            packet.Release();
            return;
        }

        RouteQuery query = new() { Destination = info.Destination, Source = info.Source, Mark = packet.Mark, TrafficClass = info.TrafficClass, AnySource = true };
        NetError error = RouteFinder.Find(stack, query, _forward, input.Index);
        if (error != NetError.None)
        {
            IcmpErrorKind kind = error == NetError.HostUnreachable ? IcmpErrorKind.HostUnreachable
                : error == NetError.AccessDenied ? IcmpErrorKind.Prohibited : IcmpErrorKind.NetworkUnreachable;
            if (error != NetError.InvalidArgument)
            {
                stack.IcmpErrors.Send(packet, info, kind);
            }

            packet.Release();
            return;
        }

        int fragmentAt = int.MaxValue;
        if (packet.Length > _forward.Mtu && packet.Gso == GsoType.None)
        {
            if (header.DontFragment)
            {
                Counters.FragmentFailures++;
                stack.IcmpErrors.Send(packet, info, IcmpErrorKind.PacketTooBig, (uint)_forward.Mtu);
                packet.Release();
                return;
            }

            fragmentAt = _forward.Mtu;
        }

        if (stack.Filter is { } filter && !filter.Accept(FilterHook.Forward, packet, input, _forward.Interface))
        {
            packet.Release();
            return;
        }

        Span<byte> bytes = packet.Linear[..header.HeaderLength];
        bytes[8]--;
        Ipv4Header.UpdateChecksum(bytes);
        Counters.Forwarded++;
        stack.Output.Transmit(_forward, packet, input, loopMulticast: false, fragmentAt);
    }

    private static IpPacketInfo Info(NetworkInterface input, in Ipv4Header header, bool isBroadcast) => new()
    {
        Source = header.Source,
        Destination = header.Destination,
        Protocol = header.Protocol,
        TrafficClass = header.TrafficClass,
        HopLimit = header.Ttl,
        Interface = input.Index,
        IsBroadcast = isBroadcast,
        IsMulticast = header.Destination.IsMulticast,
    };
}
