using System;
using System.Buffers.Binary;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Network;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Transport;

/// <summary>The lower half of a socket of UDP (udp(7)) or UDP-Lite (udplite(7)). Guarded by the stack's lock.</summary>
internal sealed class UdpEndpoint : DatagramEndpoint
{
    /// <summary>UDP_MAX_SEGMENTS.</summary>
    private const int MaxSegments = 128;

    private readonly UdpProtocol _protocol;
    private readonly PortReservation _reservation;

    public UdpEndpoint(NetworkStack stack, bool isV4, bool isLite = false)
        : base(stack, isV4, isLite ? IpProtocol.UdpLite : IpProtocol.Udp)
    {
        _protocol = isLite ? stack.UdpLite : stack.Udp;
        _reservation = new PortReservation(Protocol);
    }

    /// <summary>UDPLITE_SEND_CSCOV: bytes from the header's first that checksums cover; 0 is all. Null: not said, and the field tells the length.</summary>
    public ushort? SendCoverage { get; set; }

    /// <summary>UDPLITE_RECV_CSCOV: what covers less is dropped; 0 wants all covered, null takes anything.</summary>
    public ushort? ReceiveCoverage { get; set; }

    /// <summary>UDP_GRO: several datagrams of one sender may come as one.</summary>
    public bool AcceptsGro { get; set; }

    internal UdpEndpoint? NextOfPort { get; set; }

    internal PortReservation Reservation => _reservation;

    public override NetError Bind(IpEndpoint local)
    {
        using (Stack.Enter())
        {
            if (_reservation.Port != 0)
            {
                return NetError.InvalidArgument;
            }

            if (IsV4 && !local.Address.IsV4)
            {
                return NetError.FamilyNotSupported;
            }

            if (!IsV4 && local.Address.IsV4 && Options.V6Only)
            {
                return NetError.InvalidArgument;
            }

            if (!Options.FreeBind && !Stack.IsBindable(local.Address, local.Scope))
            {
                return NetError.AddressNotAvailable;
            }

            return BindLocked(local, chosen: true);
        }
    }

    public override NetError Connect(IpEndpoint remote)
    {
        using (Stack.Enter())
        {
            if (remote.Address.IsUnspecified)
            {
                remote = new IpEndpoint(remote.Address.IsV4 ? IpAddress.LoopbackV4 : IpAddress.LoopbackV6, remote.Port, remote.Scope);
            }

            DatagramSend send = new() { HasDestination = true, Destination = remote, TrafficClass = -1 };
            bool wasConnected = IsConnected;
            IpEndpoint before = Local;
            if (wasConnected && !HasBoundAddress)
            {
                // The old peer's source address does not bind the new one.
                Local = new IpEndpoint(IsV4 ? IpAddress.AnyV4 : IpAddress.AnyV6, Local.Port);
            }

            NetError error = RouteLocked(send, out Route route, out _);
            if (error == NetError.None && _reservation.Port == 0)
            {
                error = BindLocked(new IpEndpoint(Local.Address, 0), chosen: false);
            }

            if (error != NetError.None)
            {
                Local = before;
                return error;
            }

            int scope = remote.Address.NeedsScope ? route.Interface!.Index : 0;
            Remote = new IpEndpoint(remote.Address, remote.Port, scope);
            if (!HasLocalAddress)
            {
                Local = new IpEndpoint(route.Source, Local.Port, route.Source.NeedsScope ? scope : 0);
                _reservation.Address = route.Source;
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
            Remote = new IpEndpoint(IsV4 ? IpAddress.AnyV4 : IpAddress.AnyV6, 0);
            TakePendingLocked();
            if (!HasBoundAddress)
            {
                ushort port = Local.Port;
                Local = new IpEndpoint(IsV4 ? IpAddress.AnyV4 : IpAddress.AnyV6, port);
                _reservation.Address = Local.Address;
                if (!_isPortChosen && port != 0)
                {
                    Unlink();
                    Local = new IpEndpoint(Local.Address, 0);
                }
            }
        }
    }

    /// <summary>Whether a packet is for this endpoint, and how well: the more it says, the better. Negative if not.</summary>
    internal int ScoreLocked(in IpPacketInfo info, ushort sourcePort)
    {
        if (!MatchesLocked(info) || (IsConnected && Remote.Port != sourcePort))
        {
            return -1;
        }

        return (IsV4 == info.Source.IsV4 ? 2 : 1) + (HasLocalAddress ? 4 : 0) + (IsConnected ? 8 : 0) + (Options.BoundInterface != 0 ? 4 : 0);
    }

    internal bool AllowsMulticast(in IpPacketInfo info) => Groups.AllowsLocked(info, Options);

    /// <summary>Takes a datagram whose front is the UDP header. Under the lock.</summary>
    internal void DeliverLocked(PacketBuffer packet, in IpPacketInfo info, in UdpHeader header)
    {
        UdpCounters counters = _protocol.Counters(info.Source.IsV4);
        if (_protocol.IsLite && ReceiveCoverage is { } wanted && header.Length != 0 && header.Length < packet.Length && (wanted == 0 || header.Length < wanted))
        {
            counters.InErrors++;
            DropLocked(packet);
            return;
        }

        if (Filter is { } filter)
        {
            int kept = filter.Run(packet);
            if (kept == 0)
            {
                counters.InErrors++;
                packet.Release();
                return;
            }

            packet.TrimTo(Math.Max(kept, UdpHeader.Size));
        }

        packet.TrimFront(UdpHeader.Size);
        int size = packet.Gso == GsoType.Udp ? packet.GsoSize : 0;
        if (size > 0 && size < packet.Length && !AcceptsGro)
        {
            DeliverPieces(packet, info, header, size);
            return;
        }

        if (EnqueueLocked(packet, info, header.Source, header.Destination, size))
        {
            counters.InDatagrams++;
        }
        else
        {
            counters.InErrors++;
            counters.ReceiveBufferErrors++;
        }
    }

    internal void ErrorLocked(in IcmpError error, ushort remotePort, PacketBuffer quoted) => ReportLocked(error, remotePort, quoted);

    protected override NetError SendLocked(PacketBuffer payload, in DatagramSend send)
    {
        int length = payload.Length + UdpHeader.Size;
        NetError error = length > Ipv4Header.MaxPacket ? NetError.MessageTooLong
            : send.HasDestination && send.Destination.Port == 0 ? NetError.InvalidArgument
            : RouteLocked(send, out _, out _);
        if (error == NetError.None && _reservation.Port == 0)
        {
            error = BindLocked(new IpEndpoint(Local.Address, 0), chosen: false);
        }

        if (error != NetError.None)
        {
            payload.Release();
            return error;
        }

        RouteLocked(send, out Route route, out IpEndpoint destination);
        bool v4 = route.Destination.IsV4;
        if (payload.Length > Ipv4Header.MaxPacket - UdpHeader.Size - (v4 ? Ipv4Header.MinSize : 0))
        {
            payload.Release();
            return NetError.MessageTooLong;
        }

        IpSendOptions options = HeaderLocked(route, send);
        int segments = 1;
        if (send.GsoSize > 0 && payload.Length > send.GsoSize)
        {
            segments = (payload.Length + send.GsoSize - 1) / send.GsoSize;
            if (_protocol.IsLite)
            {
                payload.Release();
                return NetError.InputOutput;
            }

            int headers = (v4 ? Ipv4Header.MinSize : Ipv6Header.Size) + UdpHeader.Size;
            if (segments > MaxSegments || send.GsoSize + headers > route.Mtu)
            {
                payload.Release();
                return segments > MaxSegments ? NetError.InvalidArgument : NetError.MessageTooLong;
            }

            payload.Gso = GsoType.Udp;
            payload.GsoSize = send.GsoSize;
        }

        new UdpHeader { Source = Local.Port, Destination = destination.Port, Length = length }.Write(payload.Prepend(UdpHeader.Size));
        if (_protocol.IsLite)
        {
            CoverLocked(route, payload);
        }
        else if (!(Options.NoChecksum && v4 && segments == 1))
        {
            ulong sum = Checksum.PseudoHeader(route.Source, route.Destination, IpProtocol.Udp, length);
            payload.Checksum = ChecksumState.Partial;
            payload.ChecksumStart = payload.Position;
            payload.ChecksumOffset = UdpHeader.ChecksumField;
            BinaryPrimitives.WriteUInt16BigEndian(payload.Linear[UdpHeader.ChecksumField..], Checksum.Fold(sum));
        }

        payload.TransportStart = payload.Position;
        payload.Mark = send.HasMark ? send.Mark : Options.Mark;
        payload.Owner = Options.Owner;
        payload.Priority = Options.Priority;
        error = OutputLocked(route, payload, options, destination.Port);
        UdpCounters counters = _protocol.Counters(v4);
        if (error == NetError.None)
        {
            counters.OutDatagrams += (ulong)(uint)segments;
        }
        else if (error == NetError.NoBufferSpace)
        {
            counters.SendBufferErrors++;
        }

        return error;
    }

    protected override void Unlink()
    {
        if (_reservation.Port != 0)
        {
            _protocol.Remove(this);
            Stack.Ports.Release(_reservation);
        }
    }

    private bool _isPortChosen;

    private NetError BindLocked(IpEndpoint local, bool chosen)
    {
        _reservation.Address = local.Address;
        _reservation.Interface = Options.BoundInterface;
        _reservation.V6Only = Options.V6Only;
        _reservation.ReuseAddress = Options.ReuseAddress;
        _reservation.ReusePort = Options.ReusePort;
        _reservation.User = Options.User;
        NetError error = Stack.Ports.Bind(_reservation, local.Port);
        if (error != NetError.None)
        {
            return error == NetError.AddressInUse && !chosen ? NetError.WouldBlock : error;
        }

        Local = new IpEndpoint(local.Address, _reservation.Port, local.Scope);
        HasBoundAddress |= chosen && !local.Address.IsUnspecified;
        _isPortChosen = chosen;
        InvalidateRouteLocked();
        _protocol.Add(this);
        return NetError.None;
    }

    /// <summary>The checksum of UDP-Lite, at once: no device computes one over a part.</summary>
    private void CoverLocked(Route route, PacketBuffer packet)
    {
        int covered = packet.Length;
        if (SendCoverage is { } wanted && wanted < covered)
        {
            BinaryPrimitives.WriteUInt16BigEndian(packet.Linear[4..], wanted);
            covered = wanted == 0 ? covered : wanted;
        }

        ulong sum = packet.Sum(0, covered, Checksum.PseudoHeader(route.Source, route.Destination, Protocol, packet.Length));
        ushort checksum = Checksum.Finish(sum);
        BinaryPrimitives.WriteUInt16BigEndian(packet.Linear[UdpHeader.ChecksumField..], checksum == 0 ? ushort.MaxValue : checksum);
    }

    /// <summary>A large segment for a reader that wants single datagrams.</summary>
    private void DeliverPieces(PacketBuffer packet, in IpPacketInfo info, in UdpHeader header, int size)
    {
        UdpCounters counters = _protocol.Counters(info.Source.IsV4);
        for (int offset = 0; offset < packet.Length; offset += size)
        {
            int part = Math.Min(size, packet.Length - offset);
            PacketBuffer? piece = packet.Pool.TryAllocate(0, part);
            if (piece is null)
            {
                counters.InErrors++;
                counters.MemoryErrors++;
                break;
            }

            packet.CopyTo(offset, piece.Append(part));
            piece.Timestamp = packet.Timestamp;
            if (EnqueueLocked(piece, info, header.Source, header.Destination))
            {
                counters.InDatagrams++;
            }
            else
            {
                counters.InErrors++;
                counters.ReceiveBufferErrors++;
            }
        }

        packet.Release();
    }
}
