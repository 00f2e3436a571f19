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

    /// <summary>Where there is no limit there is one.</summary>
    public const int MostConnections = 1 << 20;

    private readonly NetworkStack _stack;
    private readonly SweepTimer _timer;

    // Made with the first connection.
    private ConnectionTable? _table;
    private uint _lastId;

    public ConnectionTracker(NetworkStack stack)
    {
        _stack = stack;
        _timer = new SweepTimer(this);
    }

    public ConnectionTable Table => _table ??= new ConnectionTable(_stack.Hash, connection => Report(connection, ConnectionEvents.Destroy));

    public int Count => _table?.Count ?? 0;

    /// <summary>By <see cref="TrackingSetting"/>.</summary>
    public int[] Settings { get; } =
    [
        0, 2, 65536, 0, 0, 1, 3, 600, 30, 30, 30, 120,
        120, 120, 60, 432000, 120, 60, 30, 120, 10, 120, 300, 300,
    ];

    /// <summary>By <see cref="TrackingCounter"/>.</summary>
    public uint[] Counters { get; } = new uint[(int)TrackingCounter.Count];

    /// <summary>Who wants to hear of connections: with what has happened to them.</summary>
    public Action<Connection, ConnectionEvents>? Observer { get; set; }

    public int Setting(TrackingSetting setting) => Settings[(int)setting];

    /// <summary>A connection that is in no table yet.</summary>
    public Connection Begin(in FlowTuple tuple) => new(tuple)
    {
        Id = ++_lastId,
        Began = _stack.Now,
        IsCounted = Setting(TrackingSetting.Accounting) != 0,
        IsReported = Setting(TrackingSetting.Events) is var events && (events == 1 || (events == 2 && Observer is not null)),
        Segments = tuple.Protocol == IpProtocol.Tcp ? new TcpTracking() : null,
    };

    /// <summary>Makes a connection known, whose deadline is a span until then. False where there is no room, or its tuples are taken.</summary>
    public bool TryAdd(Connection connection)
    {
        int most = Setting(TrackingSetting.Max);
        bool isFull = Count >= (most == 0 ? MostConnections : most);
        bool evicts = isFull && Table.Evict(_stack.Now);
        Counters[(int)TrackingCounter.EarlyDrop] += evicts ? 1u : 0;
        connection.Deadline += _stack.Now;
        if ((isFull && !evicts) || !Table.TryAdd(connection, _stack.Now))
        {
            return false;
        }

        if (!_timer.IsSet)
        {
            _stack.Schedule(_timer, _stack.Now + SweepInterval);
        }

        return true;
    }

    /// <summary>Tells the observer, if it heard of the connection from its beginning.</summary>
    public void Report(Connection connection, ConnectionEvents events)
    {
        connection.Pending = ConnectionEvents.None;
        if (connection.IsReported)
        {
            Observer?.Invoke(connection, events);
        }
    }

    /// <summary>Packets were not looked at for a while, and now they are again.</summary>
    public void Resume() => _table?.ForEach(connection => connection.Segments?.Forget());

    /// <summary>Marks a packet with its connection; packets that were marked before (on the way over the loopback interface) keep theirs.</summary>
    public Verdict Track(ref FilterContext context)
    {
        if (context.Packet.Tracking is not null)
        {
            return Verdict.Continue;
        }

        if (!Find(ref context))
        {
            Counters[(int)TrackingCounter.Invalid]++;
        }

        return Verdict.Continue;
    }

    // False: no connection can be told.
    private bool Find(ref FilterContext context)
    {
        Span<byte> transport = stackalloc byte[8];
        if (!context.TryReadTransport(0, transport))
        {
            return context.FragmentOffset != 0;
        }

        bool isIcmp = context.Protocol == (context.IsV4 ? IpProtocol.Icmp : IpProtocol.Icmpv6);
        if (isIcmp && (context.IsV4 ? IcmpType.IsError(transport[0]) : Icmpv6Type.IsError(transport[0])))
        {
            return TrackError(ref context);
        }

        if (isIcmp && !context.IsV4 && transport[0] is (>= Icmpv6Type.MldQuery and <= Icmpv6Type.Redirect) or Icmpv6Type.MldReportV2)
        {
            // Neighbours and groups: answers to nobody's questions.
            context.Packet.Tracking = FlowSide.Untracked;
            return true;
        }

        if (!FlowTuple.TryMake(context.Source, context.Destination, context.Protocol, transport, out FlowTuple tuple))
        {
            return false;
        }

        FlowSide side = Table.Find(tuple, _stack.Now) ?? Begin(tuple).Original;
        if (context.Protocol == IpProtocol.Tcp ? !TrackTcp(ref context, ref side) : !TrackOther(ref context, side))
        {
            return false;
        }

        Connection connection = side.Connection!;
        if (side.IsReply && (connection.Status & ConnectionStatus.SeenReply) == 0)
        {
            connection.Status |= ConnectionStatus.SeenReply;
            connection.Pending |= ConnectionEvents.Reply;
        }

        context.Packet.Tracking = side;
        return true;
    }

    /// <summary>A packet that gets through makes its connection known; one that meets another with the same addresses is dropped.</summary>
    public Verdict Confirm(ref FilterContext context)
    {
        if (context.Flow is not { IsRelated: false, Connection: { } connection } flow)
        {
            return Verdict.Continue;
        }

        if (!connection.IsConfirmed && !flow.IsReply)
        {
            if (!TryAdd(connection))
            {
                Counters[(int)TrackingCounter.InsertFailed]++;
                Counters[(int)TrackingCounter.Drop]++;
                return Verdict.Drop;
            }

            connection.Pending |= ConnectionEvents.New;
        }

        if (connection.Pending != ConnectionEvents.None && (connection.Status & ConnectionStatus.Dying) == 0)
        {
            Report(connection, connection.Pending);
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

    private bool TrackTcp(ref FilterContext context, ref FlowSide side)
    {
        if (!TcpSegment.TryRead(ref context, out TcpSegment segment))
        {
            return false;
        }

        Connection connection = side.Connection!;
        TcpTracking tcp = connection.Segments!;
        TcpTrackState before = connection.Tcp;
        TcpTrackResult result = tcp.Next(connection, side.IsReply, segment, Settings);
        if (result == TcpTrackResult.Reopen)
        {
            FlowTuple tuple = side.Tuple;
            Table.Remove(connection);
            connection = Begin(tuple);
            (side, tcp, before) = (connection.Original, connection.Segments!, TcpTrackState.None);
            result = tcp.Next(connection, isReply: false, segment, Settings);
        }

        if (result != TcpTrackResult.Accept)
        {
            if (tcp.Seconds != 0 && connection.IsConfirmed && connection.Deadline - _stack.Now > tcp.Seconds * Second)
            {
                Extend(connection, tcp.Seconds);
            }

            return result == TcpTrackResult.Ignore;
        }

        int seconds = tcp.Seconds;
        if ((connection.Status & ConnectionStatus.SeenReply) == 0)
        {
            if (segment.Has(TcpFlags.Rst))
            {
                // Refused: nothing is left of it but this packet.
                Account(ref context, side);
                Table.Remove(connection);
                return true;
            }

            if (before == TcpTrackState.SynSent && segment.Has(TcpFlags.Syn) && !segment.Has(TcpFlags.Ack))
            {
                // Who only repeats a SYN does not keep it.
                return true;
            }

            if (connection.Tcp == TcpTrackState.Established)
            {
                seconds = Math.Min(seconds, Setting(TrackingSetting.TcpUnacknowledgedTimeout));
            }
        }
        else if (before is TcpTrackState.SynReceived or TcpTrackState.Established && connection.Tcp == TcpTrackState.Established)
        {
            Assure(connection);
        }

        Account(ref context, side);
        Extend(connection, seconds);
        return true;
    }

    private bool TrackOther(ref FilterContext context, FlowSide side)
    {
        Connection connection = side.Connection!;
        FlowTuple tuple = connection.Original.Tuple;
        if (tuple.IsIcmp && !connection.IsConfirmed && !tuple.IsIcmpRequest)
        {
            return false;
        }

        TrackingSetting setting = tuple.Protocol switch
        {
            IpProtocol.Icmp => TrackingSetting.IcmpTimeout,
            IpProtocol.Icmpv6 => TrackingSetting.Icmpv6Timeout,
            IpProtocol.Udp or IpProtocol.UdpLite => TrackingSetting.UdpTimeout,
            _ => TrackingSetting.GenericTimeout,
        };
        if (setting == TrackingSetting.UdpTimeout && (connection.Status & ConnectionStatus.SeenReply) != 0 && _stack.Now - connection.Began > 2 * Second)
        {
            // Answered, and still there after two seconds: a stream.
            setting = TrackingSetting.UdpStreamTimeout;
            Assure(connection);
        }

        Account(ref context, side);
        Extend(connection, Setting(setting));
        return true;
    }

    private static void Assure(Connection connection)
    {
        connection.Pending |= (connection.Status & ConnectionStatus.Assured) == 0 ? ConnectionEvents.Assured : ConnectionEvents.None;
        connection.Status |= ConnectionStatus.Assured;
    }

    private static void Account(ref FilterContext context, FlowSide side)
    {
        if (side.Connection!.IsCounted)
        {
            side.Packets++;
            side.Bytes += (uint)context.Packet.Length;
        }
    }

    // An error quotes a packet of the other direction.
    private bool TrackError(ref FilterContext context)
    {
        Span<byte> quoted = stackalloc byte[60];
        int at = context.Transport + IcmpType.HeaderSize;
        Span<byte> fixedPart = quoted[..(context.IsV4 ? Ipv4Header.MinSize : Ipv6Header.Size)];
        if (!context.TryRead(at, fixedPart) || fixedPart[0] >> 4 != (context.IsV4 ? 4 : 6))
        {
            return false;
        }

        int headers = context.IsV4 ? (fixedPart[0] & 0xf) * 4 : Ipv6Header.Size;
        byte protocol = fixedPart[context.IsV4 ? 9 : 6];
        IpAddress source = context.IsV4 ? IpAddress.ReadV4(fixedPart[12..]) : IpAddress.ReadV6(fixedPart[8..]);
        IpAddress destination = context.IsV4 ? IpAddress.ReadV4(fixedPart[16..]) : IpAddress.ReadV6(fixedPart[24..]);
        Span<byte> transport = stackalloc byte[8];
        if (!context.TryRead(at + headers, transport) || !FlowTuple.TryMake(source, destination, protocol, transport, out FlowTuple tuple)
            || Table.Find(tuple.Inverse, _stack.Now) is not { } side)
        {
            return false;
        }

        context.Packet.Tracking = side.Connection!.Related(side.IsReply);
        return true;
    }

    // Until it is confirmed, the deadline is a span.
    private void Extend(Connection connection, int seconds)
    {
        if ((connection.Status & ConnectionStatus.FixedTimeout) == 0)
        {
            connection.Deadline = (connection.IsConfirmed ? _stack.Now : 0) + (seconds * Second);
        }
    }

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
