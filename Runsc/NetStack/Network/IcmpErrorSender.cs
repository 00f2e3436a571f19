using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>Decides whether a packet is answered by an ICMP error, and with which. Under the stack's lock.</summary>
internal sealed class IcmpErrorSender(NetworkStack stack) : IIcmpErrors
{
    private readonly RateLimiter _limiter = new();

    public void Send(PacketBuffer packet, in IpPacketInfo info, IcmpErrorKind kind, uint extra = 0)
    {
        if (packet.NetworkStart >= 0)
        {
            packet.Rewind(packet.NetworkStart);
        }

        // What a program does to itself is not limited.
        bool isLimited = info.Interface != stack.Loopback?.Index;
        if (!MayAnswer(stack, packet, info) || (isLimited && !TryTakeToken(info.Source.IsV4)))
        {
            return;
        }

        if (info.Source.IsV4)
        {
            (byte type, byte code, uint rest) = kind switch
            {
                IcmpErrorKind.NetworkUnreachable => (IcmpType.DestinationUnreachable, IcmpType.NetworkUnreachable, 0u),
                IcmpErrorKind.ProtocolUnreachable => (IcmpType.DestinationUnreachable, IcmpType.ProtocolUnreachable, 0u),
                IcmpErrorKind.PortUnreachable => (IcmpType.DestinationUnreachable, IcmpType.PortUnreachable, 0u),
                IcmpErrorKind.PacketTooBig => (IcmpType.DestinationUnreachable, IcmpType.FragmentationNeeded, extra),
                IcmpErrorKind.Prohibited => (IcmpType.DestinationUnreachable, IcmpType.AdministrativelyProhibited, 0u),
                IcmpErrorKind.TimeExceeded => (IcmpType.TimeExceeded, (byte)0, 0u),
                IcmpErrorKind.ReassemblyTimeExceeded => (IcmpType.TimeExceeded, (byte)1, 0u),
                IcmpErrorKind.ParameterProblem => (IcmpType.ParameterProblem, (byte)0, extra),
                _ => (IcmpType.DestinationUnreachable, IcmpType.HostUnreachable, 0u),
            };
            stack.Icmpv4.SendError(packet, info, type, code, rest);
        }
        else
        {
            (byte type, byte code, uint rest) = kind switch
            {
                IcmpErrorKind.NetworkUnreachable => (Icmpv6Type.DestinationUnreachable, Icmpv6Type.NoRoute, 0u),
                IcmpErrorKind.PortUnreachable => (Icmpv6Type.DestinationUnreachable, Icmpv6Type.PortUnreachable, 0u),
                IcmpErrorKind.Prohibited => (Icmpv6Type.DestinationUnreachable, Icmpv6Type.Prohibited, 0u),
                IcmpErrorKind.PacketTooBig => (Icmpv6Type.PacketTooBig, (byte)0, extra),
                IcmpErrorKind.TimeExceeded => (Icmpv6Type.TimeExceeded, (byte)0, 0u),
                IcmpErrorKind.ReassemblyTimeExceeded => (Icmpv6Type.TimeExceeded, (byte)1, 0u),
                IcmpErrorKind.ProtocolUnreachable => (Icmpv6Type.ParameterProblem, (byte)1, extra),
                IcmpErrorKind.ParameterProblem => (Icmpv6Type.ParameterProblem, (byte)0, extra),
                _ => (Icmpv6Type.DestinationUnreachable, Icmpv6Type.AddressUnreachable, 0u),
            };
            stack.Icmpv6.SendError(packet, info, type, code, rest);
        }
    }

    /// <summary>Not about errors, fragments but the first, broadcasts, groups, or sources that are no host (RFC 1122, 3.2.2; RFC 4443, 2.4 e).</summary>
    internal static bool MayAnswer(NetworkStack stack, PacketBuffer packet, in IpPacketInfo info)
    {
        if (info.Source.IsUnspecified || info.Source.IsMulticast || info.Source.IsLimitedBroadcast || info.IsBroadcast
            || packet.Type is PacketType.Broadcast or PacketType.OtherHost)
        {
            return false;
        }

        if (info.Source.IsV4)
        {
            if (info.IsMulticast || packet.Type == PacketType.Multicast || stack.Routes4.FindLocal(info.Source) is { Kind: RouteKind.Broadcast }
                || !Ipv4Header.TryParse(packet.Linear, out Ipv4Header header) || header.FragmentOffset != 0)
            {
                return false;
            }

            return header.Protocol != IpProtocol.Icmp || (packet.EnsureLinear(header.HeaderLength + 1) && !IcmpType.IsError(packet.Linear[header.HeaderLength]));
        }

        if (!Ipv6Header.TryParse(packet.Linear, out Ipv6Header header6))
        {
            return false;
        }

        return header6.NextHeader != IpProtocol.Icmpv6
            || (packet.EnsureLinear(Ipv6Header.Size + 1) && !Icmpv6Type.IsError(packet.Linear[Ipv6Header.Size]) && packet.Linear[Ipv6Header.Size] != Icmpv6Type.Redirect);
    }

    internal bool TryTakeToken(bool v4 = false)
    {
        if (_limiter.TryTake(stack.Now, stack.Parameters.IcmpPerSecond, stack.Parameters.IcmpBurst))
        {
            return true;
        }

        stack.Counters.Icmp(v4).OutRateLimited++;
        return false;
    }
}
