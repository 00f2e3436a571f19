using System;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>IPv6 on the way in: checks, extension headers, reassembly, delivery, forwarding (RFC 8200). Under the stack's lock.</summary>
internal sealed class Ipv6Protocol(NetworkStack stack)
{
    /// <summary>Extension headers of one packet; more are an attack.</summary>
    private const int MaxExtensions = 8;

    private readonly Reassembler _fragments = new(stack, v4: false);
    private readonly Route _forward = new();

    public Reassembler Fragments => _fragments;

    private IpCounters Counters => stack.Counters.Ipv6;

    /// <summary>Takes a packet whose front is the IP header.</summary>
    public void Receive(NetworkInterface input, PacketBuffer packet, bool isLooped = false)
    {
        Counters.InReceives++;
        Counters.InBytes += (ulong)(uint)packet.Length;
        if (!packet.EnsureLinear(Ipv6Header.Size) || !Ipv6Header.TryParse(packet.Linear, out Ipv6Header header))
        {
            Counters.InHeaderErrors++;
            packet.Release();
            return;
        }

        if (header.PayloadLength + Ipv6Header.Size > packet.Length)
        {
            Counters.InTruncated++;
            packet.Release();
            return;
        }

        packet.TrimTo(header.PayloadLength + Ipv6Header.Size);
        if (stack.Filter is { } filter)
        {
            if (!filter.Accept(FilterHook.PreRouting, packet, input, null))
            {
                packet.Release();
                return;
            }

            header = Ipv6Header.OfChecked(packet.Linear);
        }

        IpAddress source = header.Source;
        IpAddress destination = header.Destination;
        if (source.IsV4 || destination.IsV4 || source.IsMulticast || destination.IsUnspecified
            || (!isLooped && !input.IsLoopback && (source.IsLoopback || destination.IsLoopback
                || (destination.IsMulticast && destination.MulticastScope <= 1)
                || (!source.IsUnspecified && !source.IsLinkLocal && stack.FindAddress(source) is not null))))
        {
            Counters.InAddressErrors++;
            packet.Release();
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

            Walk(input, packet);
        }
        else if (IsOurs(input, destination))
        {
            Walk(input, packet);
        }
        else if (packet.Type == PacketType.Host && stack.Parameters.Ipv6Forward && !destination.IsLinkLocal && !source.IsLinkLocal)
        {
            Forward(input, packet);
        }
        else
        {
            Counters.InAddressErrors++;
            packet.Release();
        }
    }

    /// <summary>An address of ours that is in use; a link-local one only on its own link.</summary>
    private bool IsOurs(NetworkInterface input, in IpAddress destination)
    {
        if (destination.IsLinkLocal && !input.IsLoopback)
        {
            return input.FindOwn(destination) is { IsUsable: true };
        }

        return stack.FindAddress(destination) is not null;
    }

    /// <summary>What this host sends to itself comes in over the loopback interface, but belongs to the link that the address is of (Linux: ip6_rcv_core).</summary>
    private int ScopeOf(NetworkInterface loopback, in IpAddress destination) => stack.FindAddress(destination)?.Interface.Index ?? loopback.Index;

    /// <summary>Goes through the extension headers and delivers.</summary>
    private void Walk(NetworkInterface input, PacketBuffer packet, int fragmentSize = 0)
    {
        Ipv6Header header = Ipv6Header.OfChecked(packet.Linear);
        IpPacketInfo info = new()
        {
            Source = header.Source,
            Destination = header.Destination,
            TrafficClass = header.TrafficClass,
            FlowLabel = header.FlowLabel,
            HopLimit = header.HopLimit,
            Interface = input.IsLoopback ? ScopeOf(input, header.Destination) : input.Index,
            IsMulticast = header.Destination.IsMulticast,
            FragmentSize = fragmentSize,
        };
        byte next = header.NextHeader;
        int nextField = 6;
        int at = Ipv6Header.Size;
        for (int count = 0; IsExtension(next); count++)
        {
            if (count == MaxExtensions || !packet.EnsureLinear(at + 8))
            {
                Counters.InHeaderErrors++;
                packet.Release();
                return;
            }

            if (next == IpProtocol.Fragment)
            {
                Reassemble(input, packet, info, at);
                return;
            }

            int length = Ipv6Options.HeaderLength(packet.Linear[at..]);
            if (!packet.EnsureLinear(at + length))
            {
                Counters.InHeaderErrors++;
                packet.Release();
                return;
            }

            ReadOnlySpan<byte> extension = packet.Linear.Slice(at, length);
            if (next == IpProtocol.Routing)
            {
                // No source routes: with segments left the packet is for somebody else (RFC 5095).
                if (extension[3] != 0)
                {
                    Refuse(packet, info, Ipv6OptionAction.Report, code: 0, at + 2);
                    return;
                }
            }
            else
            {
                if (next == IpProtocol.HopByHop && count > 0)
                {
                    Refuse(packet, info, Ipv6OptionAction.Report, code: 1, nextField);
                    return;
                }

                Ipv6OptionAction action = Ipv6Options.Check(extension, out int offset);
                if (action != Ipv6OptionAction.Accept)
                {
                    Refuse(packet, info, action, code: 2, at + offset);
                    return;
                }
            }

            nextField = at;
            next = extension[0];
            at += length;
        }

        if (stack.Filter is { } filter)
        {
            if (!filter.Accept(FilterHook.Input, packet, input, null))
            {
                packet.Release();
                return;
            }

            header = Ipv6Header.OfChecked(packet.Linear);
            (info.Source, info.Destination) = (header.Source, header.Destination);
        }

        info.Protocol = next;
        if (next == IpProtocol.NoNext)
        {
            packet.Release();
            return;
        }

        if (stack.Transport(next) is null && next != IpProtocol.Icmpv6 && !stack.Raw.Wants(info))
        {
            Counters.InUnknownProtocols++;
            Refuse(packet, info, Ipv6OptionAction.Report, code: 1, nextField);
            return;
        }

        stack.DeliverTransport(packet, info, at);
    }

    private static bool IsExtension(byte next) =>
        next is IpProtocol.HopByHop or IpProtocol.Routing or IpProtocol.Fragment or IpProtocol.DestinationOptions;

    private void Refuse(PacketBuffer packet, in IpPacketInfo info, Ipv6OptionAction action, byte code, int pointer)
    {
        Counters.InHeaderErrors++;
        if (action == Ipv6OptionAction.Report || (action == Ipv6OptionAction.ReportUnlessGroup && !info.IsMulticast))
        {
            stack.Icmpv6.SendParameterProblem(packet, info, code, (uint)pointer);
        }

        packet.Release();
    }

    private void Reassemble(NetworkInterface input, PacketBuffer packet, in IpPacketInfo info, int at)
    {
        if (!Ipv6FragmentHeader.TryParse(packet.Linear[at..], out Ipv6FragmentHeader header))
        {
            packet.Release();
            return;
        }

        int payload = packet.Length - at - Ipv6FragmentHeader.Size;
        if (header.More && (payload & 7) != 0)
        {
            Refuse(packet, info, Ipv6OptionAction.Report, code: 0, pointer: 4);
            return;
        }

        FragmentKey key = new(info.Source, info.Destination, header.Id, 0, info.Source.IsLinkLocal ? input.Index : 0);
        PacketBuffer? whole = _fragments.Add(packet, key, header.Offset, header.More, at + Ipv6FragmentHeader.Size, out int largest);
        if (whole is not null && whole.EnsureLinear(Ipv6Header.Size))
        {
            if (whole.Linear[6] == IpProtocol.Fragment || HasFragmentHeader(whole))
            {
                // A fragment of a fragment: nobody honest makes one.
                whole.Release();
                return;
            }

            Walk(input, whole, largest);
        }
    }

    private static bool HasFragmentHeader(PacketBuffer packet)
    {
        byte next = packet.Linear[6];
        int at = Ipv6Header.Size;
        while (IsExtension(next))
        {
            if (next == IpProtocol.Fragment)
            {
                return true;
            }

            if (!packet.EnsureLinear(at + 8))
            {
                return true;
            }

            next = packet.Linear[at];
            at += Ipv6Options.HeaderLength(packet.Linear[at..]);
        }

        return false;
    }

    private void Forward(NetworkInterface input, PacketBuffer packet)
    {
        Ipv6Header header = Ipv6Header.OfChecked(packet.Linear);
        IpPacketInfo info = new()
        {
            Source = header.Source,
            Destination = header.Destination,
            Protocol = header.NextHeader,
            HopLimit = header.HopLimit,
            Interface = input.Index,
        };
        if (header.HopLimit <= 1)
        {
            stack.IcmpErrors.Send(packet, info, IcmpErrorKind.TimeExceeded);
            packet.Release();
            return;
        }

        RouteQuery query = new() { Destination = info.Destination, Source = info.Source, Mark = packet.Mark, AnySource = true };
        NetError error = RouteFinder.Find(stack, query, _forward, input.Index);
        if (error != NetError.None)
        {
            Counters.InNoRoutes++;
            stack.IcmpErrors.Send(packet, info, error == NetError.AccessDenied ? IcmpErrorKind.Prohibited : IcmpErrorKind.NetworkUnreachable);
            packet.Release();
            return;
        }

        if (packet.Length > _forward.Mtu && packet.Gso == GsoType.None)
        {
            Counters.InTooBigErrors++;
            stack.IcmpErrors.Send(packet, info, IcmpErrorKind.PacketTooBig, (uint)_forward.Mtu);
            packet.Release();
            return;
        }

        if (stack.Filter is { } filter && !filter.Accept(FilterHook.Forward, packet, input, _forward.Interface))
        {
            packet.Release();
            return;
        }

        packet.Linear[7]--;
        Counters.Forwarded++;
        stack.Output.Transmit(_forward, packet, input, loopMulticast: false, int.MaxValue);
    }
}
