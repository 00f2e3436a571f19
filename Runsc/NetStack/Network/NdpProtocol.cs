using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>Neighbour discovery of IPv6 (RFC 4861): solicitations, advertisements, routers. Under the stack's lock.</summary>
internal static class NdpProtocol
{
    /// <summary>Messages are only valid with this hop limit: no router has passed them on.</summary>
    private const byte LinkHopLimit = 255;

    /// <summary>ff02::1:ffXX:XXXX, the group in which the holder of an address listens.</summary>
    public static IpAddress SolicitedNode(in IpAddress address) => new(0xff02_0000_0000_0000, 0x1_ff00_0000 | (address.Low & 0xff_ffff));

    /// <summary>Asks for the link address, by the group of the target or, to probe, by unicast.</summary>
    public static void Ask(NetworkInterface output, in IpAddress target, MacAddress? known)
    {
        IpAddress source = output.SelectV6(target);
        Solicit(output, source, target, known is null ? SolicitedNode(target) : target, known);
    }

    /// <summary>A solicitation from :: for duplicate detection.</summary>
    public static void Probe(NetworkInterface output, in IpAddress target) => Solicit(output, IpAddress.AnyV6, target, SolicitedNode(target), null);

    /// <summary>Asks all routers for an advertisement.</summary>
    public static void SolicitRouters(NetworkInterface output)
    {
        IpAddress source = output.LinkLocal;
        bool withAddress = !source.IsUnspecified;
        PacketBuffer packet = output.Stack.Pool.Allocate(PacketBuffer.Headroom, 16);
        Span<byte> bytes = packet.Append(withAddress ? 16 : 8);
        bytes.Clear();
        bytes[0] = Icmpv6Type.RouterSolicitation;
        if (withAddress)
        {
            bytes[8] = NdpOptions.SourceLinkAddress;
            bytes[9] = 1;
            output.Mac.Write(bytes[10..]);
        }

        Send(output, packet, source, new IpAddress(0xff02_0000_0000_0000, 2), null);
    }

    /// <summary>Handles a message whose checksum is right; its front is at the ICMPv6 header, all of it linear. The packet stays the caller's.</summary>
    public static void Receive(NetworkInterface input, PacketBuffer packet, in IpPacketInfo info)
    {
        ReadOnlySpan<byte> bytes = packet.Linear;
        if (info.HopLimit != LinkHopLimit)
        {
            input.Stack.Counters.Icmpv6.InErrors++;
            return;
        }

        switch (bytes[0])
        {
            case Icmpv6Type.NeighborSolicitation when NdpNeighborMessage.TryParse(bytes, out NdpNeighborMessage message):
                Solicited(input, message, info);
                break;
            case Icmpv6Type.NeighborAdvertisement when NdpNeighborMessage.TryParse(bytes, out NdpNeighborMessage message):
                Advertised(input, message, info);
                break;
            case Icmpv6Type.RouterAdvertisement when info.Source.IsLinkLocal && NdpRouterAdvertisement.TryParse(bytes, out NdpRouterAdvertisement message):
                input.Slaac.Advertised(message, bytes[NdpRouterAdvertisement.Size..], info.Source);
                break;
            default:
                break;
        }
    }

    private static void Solicited(NetworkInterface input, in NdpNeighborMessage message, in IpPacketInfo info)
    {
        InterfaceAddress? own = input.FindOwn(message.Target);
        if (own is null)
        {
            return;
        }

        if (info.Source.IsUnspecified)
        {
            // Somebody else checks whether the address is free.
            if (own.IsTentative)
            {
                input.Slaac.DuplicateFound(own);
            }
            else if (!own.IsDuplicate)
            {
                Advertise(input, own.Address, new IpAddress(0xff02_0000_0000_0000, 1), solicited: false, null);
            }

            return;
        }

        if (!own.IsUsable)
        {
            return;
        }

        MacAddress? mac = message.LinkAddress;
        if (mac is { } heard)
        {
            input.Neighbors.GetOrAdd(info.Source)?.Heard(heard, solicited: false, overrides: true);
        }

        Advertise(input, own.Address, info.Source, solicited: true, mac);
    }

    private static void Advertised(NetworkInterface input, in NdpNeighborMessage message, in IpPacketInfo info)
    {
        if (info.IsMulticast && message.IsSolicited)
        {
            return;
        }

        if (input.FindOwn(message.Target) is { } own)
        {
            if (own.IsTentative)
            {
                input.Slaac.DuplicateFound(own);
            }

            return;
        }

        if (input.Neighbors.Find(message.Target) is not { } neighbor)
        {
            return;
        }

        neighbor.IsRouter = message.IsRouter;
        if (message.LinkAddress is { } mac)
        {
            neighbor.Heard(mac, message.IsSolicited, message.IsOverride || !neighbor.HasAddress);
        }
        else if (message.IsSolicited)
        {
            neighbor.Confirm();
        }
    }

    private static void Advertise(NetworkInterface output, in IpAddress target, in IpAddress destination, bool solicited, MacAddress? to)
    {
        NdpNeighborMessage message = new()
        {
            Type = Icmpv6Type.NeighborAdvertisement,
            IsRouter = output.Parameters.IsOn(InterfaceSetting.Ipv6Forward),
            IsSolicited = solicited,
            IsOverride = true,
            Target = target,
            LinkAddress = output.Mac,
        };
        SendMessage(output, message, target, destination, to);
    }

    private static void Solicit(NetworkInterface output, in IpAddress source, in IpAddress target, in IpAddress destination, MacAddress? known)
    {
        NdpNeighborMessage message = new()
        {
            Type = Icmpv6Type.NeighborSolicitation,
            Target = target,
            LinkAddress = source.IsUnspecified ? null : output.Mac,
        };
        SendMessage(output, message, source, destination, known);
    }

    private static void SendMessage(NetworkInterface output, in NdpNeighborMessage message, in IpAddress source, in IpAddress destination, MacAddress? to)
    {
        PacketBuffer packet = output.Stack.Pool.Allocate(PacketBuffer.Headroom, message.Length);
        message.Write(packet.Append(message.Length));
        Send(output, packet, source, destination, to);
    }

    private static void Send(NetworkInterface output, PacketBuffer packet, in IpAddress source, in IpAddress destination, MacAddress? to)
    {
        int length = packet.Length;
        byte type = packet.Linear[0];
        ulong sum = Checksum.PseudoHeader(source, destination, IpProtocol.Icmpv6, length);
        BinaryPrimitives.WriteUInt16BigEndian(packet.Linear[2..], Checksum.Finish(Checksum.Add(sum, packet.Linear)));
        packet.TransportStart = packet.Position;
        Ipv6Header.Write(packet.Prepend(Ipv6Header.Size), new Ipv6Header.Fields
        {
            PayloadLength = length,
            NextHeader = IpProtocol.Icmpv6,
            HopLimit = LinkHopLimit,
            Source = source,
            Destination = destination,
        });
        packet.NetworkStart = packet.Position;
        packet.Protocol = EtherType.Ipv6;
        output.Stack.Counters.Icmpv6.OutMessages++;
        output.Stack.Counters.Icmpv6.OutTypes[type]++;
        output.Stack.Counters.Ipv6.OutRequests++;
        if (to is { } mac)
        {
            output.SendFrame(packet, mac, EtherType.Ipv6);
        }
        else
        {
            output.SendIp(packet, null, destination, isBroadcast: false);
        }
    }
}
