using System;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>Finds the connection of each packet, or begins one (nf_conntrack). Guarded by the stack's lock.</summary>
internal sealed class ConnectionTracker
{
    private const long Second = 1_000_000_000;
    private const long SweepInterval = 2 * Second;
    private const int SweepParts = 8;

    // Seconds (net.netfilter.nf_conntrack_*_timeout).
    private const int UdpSeconds = 30, UdpStreamSeconds = 120, IcmpSeconds = 30, GenericSeconds = 600;

    private readonly NetworkStack _stack;
    private readonly SweepTimer _timer;

    // Made with the first connection.
    private ConnectionTable? _table;

    public ConnectionTracker(NetworkStack stack)
    {
        _stack = stack;
        _timer = new SweepTimer(this);
    }

    public ConnectionTable Table => _table ??= new ConnectionTable(_stack.Hash);

    public int Count => _table?.Count ?? 0;

    public void Clear()
    {
        _table?.Clear();
        _stack.Cancel(_timer);
    }

    /// <summary>Marks a packet with its connection; packets that were marked before (on the way over the loopback interface) keep theirs.</summary>
    public Verdict Track(ref FilterContext context)
    {
        if (context.Packet.Tracking is not null)
        {
            return Verdict.Continue;
        }

        Span<byte> transport = stackalloc byte[8];
        if (!context.TryReadTransport(0, transport))
        {
            return Verdict.Continue;
        }

        bool isIcmp = context.Protocol == (context.IsV4 ? IpProtocol.Icmp : IpProtocol.Icmpv6);
        if (isIcmp && (context.IsV4 ? IcmpType.IsError(transport[0]) : Icmpv6Type.IsError(transport[0])))
        {
            TrackError(ref context);
            return Verdict.Continue;
        }

        if (isIcmp && !context.IsV4 && transport[0] is (>= Icmpv6Type.MldQuery and <= Icmpv6Type.Redirect) or Icmpv6Type.MldReportV2)
        {
            // Neighbours and groups: answers to nobody's questions.
            context.Packet.Tracking = FlowSide.Untracked;
            return Verdict.Continue;
        }

        if (!FlowTuple.TryMake(context.Source, context.Destination, context.Protocol, transport, out FlowTuple tuple))
        {
            return Verdict.Continue;
        }

        FlowSide? side = Table.Find(tuple, _stack.Now);
        Connection connection = side?.Connection ?? new Connection(tuple);
        side ??= connection.Original;
        if (context.Protocol == IpProtocol.Tcp ? TrackTcp(ref context, side) : TrackOther(side))
        {
            context.Packet.Tracking = connection.IsConfirmed && (connection.Status & ConnectionStatus.Dying) != 0 ? null : side;
        }

        return Verdict.Continue;
    }

    /// <summary>A packet that gets through makes its connection known; one that meets another with the same addresses is dropped.</summary>
    public Verdict Confirm(ref FilterContext context)
    {
        if (context.Flow is not { IsRelated: false, IsReply: false, Connection: { } connection } || connection.IsConfirmed)
        {
            return Verdict.Continue;
        }

        connection.Deadline += _stack.Now;
        if (!Table.TryAdd(connection, _stack.Now))
        {
            return Verdict.Drop;
        }

        if (!_timer.IsSet)
        {
            _stack.Schedule(_timer, _stack.Now + SweepInterval);
        }

        return Verdict.Continue;
    }

    /// <summary>The address that a connection was meant for before NAT (SO_ORIGINAL_DST), asked from the side of whoever accepted it.</summary>
    public bool TryFindOriginal(in IpEndpoint local, in IpEndpoint remote, byte protocol, out IpEndpoint original)
    {
        FlowTuple answers = new(local.Address, remote.Address, local.Port, remote.Port, protocol);
        FlowSide? side = _table?.Find(answers, _stack.Now) ?? _table?.Find(answers.Inverse, _stack.Now);
        original = side is null ? default : new IpEndpoint(side.Connection!.Original.Tuple.Destination, side.Connection.Original.Tuple.DestinationPort);
        return side is not null;
    }

    private bool TrackTcp(ref FilterContext context, FlowSide side)
    {
        Span<byte> header = stackalloc byte[14];
        if (!context.TryReadTransport(0, header))
        {
            return false;
        }

        Connection connection = side.Connection!;
        TcpTrackState before = connection.Tcp;
        TcpTrackState next = TcpTracking.Next(before, (TcpFlags)header[13], side.IsReply);
        if (next == TcpTrackState.SynSent && before is TcpTrackState.TimeWait or TcpTrackState.Close && connection.IsConfirmed)
        {
            // The ports are used again: the packet begins a connection of its own.
            FlowTuple tuple = side.Tuple;
            Table.Remove(connection);
            connection = new Connection(tuple) { Tcp = TcpTrackState.SynSent };
            Extend(connection, TcpTracking.Seconds(TcpTrackState.SynSent));
            context.Packet.Tracking = connection.Original;
            return false;
        }

        if (next == TcpTrackState.Invalid)
        {
            return false;
        }

        connection.Tcp = next == TcpTrackState.Ignore ? before : next;
        if (side.IsReply)
        {
            connection.Status |= ConnectionStatus.SeenReply;
        }

        if (connection.Tcp == TcpTrackState.Established && before is TcpTrackState.SynReceived or TcpTrackState.Established && side.Connection!.IsConfirmed)
        {
            connection.Status |= ConnectionStatus.Assured;
        }

        if (next == TcpTrackState.Close && (connection.Status & ConnectionStatus.SeenReply) != 0 && (connection.Status & ConnectionStatus.Assured) == 0)
        {
            // Refused: nothing is left of it once the reset is through.
            Extend(connection, 1);
            return true;
        }

        if (next != TcpTrackState.Ignore)
        {
            Extend(connection, TcpTracking.Seconds(connection.Tcp));
        }

        return true;
    }

    private bool TrackOther(FlowSide side)
    {
        Connection connection = side.Connection!;
        FlowTuple tuple = connection.Original.Tuple;
        if (tuple.IsIcmp && !connection.IsConfirmed && !tuple.IsIcmpRequest)
        {
            return false;
        }

        if (side.IsReply && (connection.Status & ConnectionStatus.SeenReply) == 0)
        {
            connection.Status |= ConnectionStatus.SeenReply;
            connection.AnsweredSince = _stack.Now;
        }

        bool isStream = tuple.Protocol == IpProtocol.Udp && (connection.Status & ConnectionStatus.SeenReply) != 0 && _stack.Now - connection.AnsweredSince > 2 * Second;
        connection.Status |= isStream ? ConnectionStatus.Assured : ConnectionStatus.None;
        Extend(connection, isStream ? UdpStreamSeconds : tuple.Protocol == IpProtocol.Udp ? UdpSeconds : tuple.IsIcmp ? IcmpSeconds : GenericSeconds);
        return true;
    }

    // An error quotes a packet of the other direction.
    private void TrackError(ref FilterContext context)
    {
        Span<byte> quoted = stackalloc byte[60];
        int at = context.Transport + IcmpType.HeaderSize;
        Span<byte> fixedPart = quoted[..(context.IsV4 ? Ipv4Header.MinSize : Ipv6Header.Size)];
        if (!context.TryRead(at, fixedPart) || fixedPart[0] >> 4 != (context.IsV4 ? 4 : 6))
        {
            return;
        }

        int headers = context.IsV4 ? (fixedPart[0] & 0xf) * 4 : Ipv6Header.Size;
        byte protocol = fixedPart[context.IsV4 ? 9 : 6];
        IpAddress source = context.IsV4 ? IpAddress.ReadV4(fixedPart[12..]) : IpAddress.ReadV6(fixedPart[8..]);
        IpAddress destination = context.IsV4 ? IpAddress.ReadV4(fixedPart[16..]) : IpAddress.ReadV6(fixedPart[24..]);
        Span<byte> transport = stackalloc byte[8];
        if (context.TryRead(at + headers, transport) && FlowTuple.TryMake(source, destination, protocol, transport, out FlowTuple tuple)
            && Table.Find(tuple.Inverse, _stack.Now) is { } side)
        {
            context.Packet.Tracking = side.Connection!.Related(side.IsReply);
        }
    }

    // Until it is confirmed, the deadline is a span.
    private void Extend(Connection connection, int seconds) => connection.Deadline = (connection.IsConfirmed ? _stack.Now : 0) + (seconds * Second);

    private void Sweep()
    {
        Table.Sweep(_stack.Now, SweepParts);
        if (Table.Count > 0)
        {
            _stack.Schedule(_timer, _stack.Now + SweepInterval);
        }
    }

    private sealed class SweepTimer(ConnectionTracker owner) : NetTimer
    {
        public override void Fire() => owner.Sweep();
    }
}
