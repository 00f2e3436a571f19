using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>A raw socket's lower half (raw(7)): packets of one protocol, with the IP header for IPv4. Guarded by the stack's lock.</summary>
internal sealed class RawEndpoint : DatagramEndpoint
{
    public RawEndpoint(NetworkStack stack, bool isV4, byte protocol)
        : base(stack, isV4, protocol)
    {
        Options.V6Only = !isV4;
        IncludesHeader = protocol == IpProtocol.Raw;
        ChecksumOffset = !isV4 && protocol == IpProtocol.Icmpv6 ? 2 : -1;
        using (stack.Enter())
        {
            stack.Raw.Add(this);
        }
    }

    /// <summary>IP_HDRINCL.</summary>
    public bool IncludesHeader { get; set; }

    /// <summary>IPV6_CHECKSUM: where the checksum is computed and verified, or -1.</summary>
    public int ChecksumOffset { get; set; }

    /// <summary>ICMP_FILTER: bit n set blocks type n (only types 0 to 31).</summary>
    public uint IcmpFilter { get; set; }

    /// <summary>ICMPV6_FILTER: 256 bits, set blocks.</summary>
    public uint[] Icmpv6Filter { get; } = new uint[8];

    public override NetError Bind(IpEndpoint local)
    {
        using (Stack.Enter())
        {
            if (IsV4 != local.Address.IsV4)
            {
                return NetError.FamilyNotSupported;
            }

            if (!Options.FreeBind && !Stack.IsBindable(local.Address, local.Scope))
            {
                return NetError.AddressNotAvailable;
            }

            Local = new IpEndpoint(local.Address, Protocol, local.Scope);
            HasBoundAddress = !local.Address.IsUnspecified;
            InvalidateRouteLocked();
            return NetError.None;
        }
    }

    public override NetError Connect(IpEndpoint remote)
    {
        using (Stack.Enter())
        {
            DatagramSend send = new() { HasDestination = true, Destination = remote, TrafficClass = -1 };
            NetError error = RouteLocked(send, out Route route, out _);
            if (error != NetError.None)
            {
                return error;
            }

            Remote = new IpEndpoint(remote.Address, 0, remote.Scope);
            if (!HasLocalAddress)
            {
                Local = new IpEndpoint(route.Source, Protocol);
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
                Local = new IpEndpoint(IsV4 ? IpAddress.AnyV4 : IpAddress.AnyV6, 0);
            }
        }
    }

    /// <summary>Whether a packet is for this endpoint; its front is the transport header. Under the lock.</summary>
    internal bool WantsLocked(in IpPacketInfo info) =>
        Protocol == info.Protocol && MatchesLocked(info) && !(info.IsMulticast && !Groups.AllowsLocked(info, Options));

    /// <summary>Takes a copy. Under the lock.</summary>
    internal void DeliverLocked(PacketBuffer copy, in IpPacketInfo info)
    {
        if (Protocol is IpProtocol.Icmp or IpProtocol.Icmpv6)
        {
            byte type = copy.EnsureLinear(1) ? copy.Linear[0] : (byte)0;
            bool blocked = IsV4 ? type < 32 && (IcmpFilter >> type & 1) != 0 : (Icmpv6Filter[type >> 5] >> (type & 31) & 1) != 0;
            if (blocked)
            {
                copy.Release();
                return;
            }
        }

        if (ChecksumOffset >= 0 && copy.Checksum == ChecksumState.None
            && !Wire.Checksum.IsValid(copy.Sum(0, copy.Length, Wire.Checksum.PseudoHeader(info.Source, info.Destination, Protocol, copy.Length))))
        {
            copy.Release();
            return;
        }

        if (IsV4)
        {
            copy.Rewind(copy.NetworkStart);
        }

        if (Filter is { } filter)
        {
            int kept = filter.Run(copy);
            if (kept == 0)
            {
                copy.Release();
                return;
            }

            copy.TrimTo(kept);
        }

        EnqueueLocked(copy, info, 0, 0);
    }

    internal void ErrorLocked(in IcmpError error, PacketBuffer quoted) => ReportLocked(error, 0, quoted);

    protected override NetError SendLocked(PacketBuffer payload, in DatagramSend send)
    {
        NetError error = RouteLocked(send, out Route route, out _);
        if (error != NetError.None)
        {
            payload.Release();
            return error;
        }

        if (IncludesHeader)
        {
            return SendWithHeader(route, payload);
        }

        if (ChecksumOffset >= 0)
        {
            if (!payload.EnsureLinear(ChecksumOffset + 2))
            {
                payload.Release();
                return NetError.InvalidArgument;
            }

            Span<byte> field = payload.Linear.Slice(ChecksumOffset, 2);
            field.Clear();
            ulong sum = Wire.Checksum.PseudoHeader(route.Source, route.Destination, Protocol, payload.Length);
            BinaryPrimitives.WriteUInt16BigEndian(field, Wire.Checksum.Finish(payload.Sum(0, payload.Length, sum)));
        }

        payload.Mark = Options.Mark;
        payload.Owner = Options.Owner;
        payload.Priority = Options.Priority;
        IpSendOptions options = HeaderLocked(route, send);
        return OutputLocked(route, payload, options);
    }

    protected override void Unlink() => Stack.Raw.Remove(this);

    /// <summary>The application wrote the header; id, checksum, length and an empty source are filled in (raw(7)).</summary>
    private NetError SendWithHeader(Route route, PacketBuffer packet)
    {
        bool v4 = route.Destination.IsV4;
        if (packet.Length > route.Interface!.Mtu)
        {
            ReportTooLongLocked(route, route.Interface.Mtu);
            packet.Release();
            return NetError.MessageTooLong;
        }

        if (v4)
        {
            if (!packet.EnsureLinear(Ipv4Header.MinSize) || packet.Linear[0] >> 4 != 4 || !packet.EnsureLinear((packet.Linear[0] & 0xf) * 4)
                || (packet.Linear[0] & 0xf) * 4 < Ipv4Header.MinSize)
            {
                packet.Release();
                return NetError.InvalidArgument;
            }

            Span<byte> header = packet.Linear[..((packet.Linear[0] & 0xf) * 4)];
            BinaryPrimitives.WriteUInt16BigEndian(header[2..], (ushort)packet.Length);
            if (IpAddress.ReadV4(header[12..]).IsUnspecified)
            {
                route.Source.Write(header[12..]);
            }

            if (BinaryPrimitives.ReadUInt16BigEndian(header[4..]) == 0)
            {
                BinaryPrimitives.WriteUInt16BigEndian(header[4..], unchecked((ushort)Stack.Random.Next()));
            }

            Ipv4Header.UpdateChecksum(header);
        }
        else if (!packet.EnsureLinear(Ipv6Header.Size))
        {
            packet.Release();
            return NetError.InvalidArgument;
        }

        packet.NetworkStart = packet.Position;
        packet.Mark = Options.Mark;
        packet.Owner = Options.Owner;
        Stack.Counters.Ip(v4).OutRequests++;
        return Stack.Output.SendWithHeader(route, packet, Options.MulticastLoop, int.MaxValue);
    }
}
