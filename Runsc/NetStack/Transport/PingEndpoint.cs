using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>An unprivileged echo socket (SOCK_DGRAM with IPPROTO_ICMP, icmp(7)): its port is the identifier of its echo requests. Guarded by the stack's lock.</summary>
internal sealed class PingEndpoint(NetworkStack stack, bool isV4) : DatagramEndpoint(stack, isV4, isV4 ? IpProtocol.Icmp : IpProtocol.Icmpv6)
{
    public override NetError Bind(IpEndpoint local)
    {
        using (Stack.Enter())
        {
            if (Local.Port != 0)
            {
                return NetError.InvalidArgument;
            }

            if (IsV4 != local.Address.IsV4)
            {
                return NetError.FamilyNotSupported;
            }

            if (!Stack.IsBindable(local.Address, local.Scope) || local.Address.IsMulticast || local.Address.IsLimitedBroadcast)
            {
                return NetError.AddressNotAvailable;
            }

            return BindLocked(local);
        }
    }

    public override NetError Connect(IpEndpoint remote)
    {
        using (Stack.Enter())
        {
            DatagramSend send = new() { HasDestination = true, Destination = remote, TrafficClass = -1 };
            NetError error = RouteLocked(send, out Route route, out _);
            if (error == NetError.None && Local.Port == 0)
            {
                error = BindLocked(Local);
            }

            if (error != NetError.None)
            {
                return error;
            }

            Remote = remote;
            if (!HasLocalAddress)
            {
                Local = new IpEndpoint(route.Source, Local.Port);
            }

            IsConnected = true;
            return NetError.None;
        }
    }

    public override void Disconnect()
    {
        using (Stack.Enter())
        {
            IsConnected = false;
            if (!HasBoundAddress)
            {
                Local = new IpEndpoint(IsV4 ? IpAddress.AnyV4 : IpAddress.AnyV6, Local.Port);
            }
        }
    }

    internal bool WantsLocked(in IpPacketInfo info) => MatchesLocked(info);

    internal void DeliverLocked(PacketBuffer packet, in IpPacketInfo info) => EnqueueLocked(packet, info, 0, Local.Port);

    internal void ErrorLocked(in IcmpError error, PacketBuffer quoted) => ReportLocked(error, 0, quoted);

    protected override NetError SendLocked(PacketBuffer payload, in DatagramSend send)
    {
        byte request = IsV4 ? IcmpType.EchoRequest : Icmpv6Type.EchoRequest;
        NetError error = !payload.EnsureLinear(IcmpType.HeaderSize) || payload.Linear[0] != request || payload.Linear[1] != 0
            ? NetError.InvalidArgument
            : RouteLocked(send, out _, out _);
        if (error == NetError.None && Local.Port == 0)
        {
            error = BindLocked(Local);
        }

        if (error != NetError.None)
        {
            payload.Release();
            return error;
        }

        RouteLocked(send, out Route route, out _);
        Span<byte> bytes = payload.Linear;
        BinaryPrimitives.WriteUInt16BigEndian(bytes[4..], Local.Port);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], 0);
        ulong sum = IsV4 ? 0 : Checksum.PseudoHeader(route.Source, route.Destination, IpProtocol.Icmpv6, payload.Length);
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], Checksum.Finish(payload.Sum(0, payload.Length, sum)));
        payload.Mark = Options.Mark;
        payload.Owner = Options.Owner;
        IcmpCounters counters = Stack.Counters.Icmp(IsV4);
        counters.OutMessages++;
        counters.OutTypes[request]++;
        return OutputLocked(route, payload, HeaderLocked(route, send));
    }

    protected override void Unlink() => Stack.Pings.Remove(this);

    private NetError BindLocked(IpEndpoint local)
    {
        NetError error = Stack.Pings.Add(this, local.Port, out ushort id);
        if (error == NetError.None)
        {
            Local = new IpEndpoint(local.Address, id, local.Scope);
            HasBoundAddress = !local.Address.IsUnspecified;
        }

        return error;
    }
}
