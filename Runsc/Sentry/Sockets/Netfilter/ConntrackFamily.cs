using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.NetStack;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Tracking;
using Runsc.NetStack.Wire;
using Runsc.Sentry.Sockets.Netlink;
using static Runsc.Linux.ConntrackNetlink;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>ctnetlink (conntrack(8)): the connections that rules look at. There are no helpers, so nothing is ever expected. The stack's lock is held.</summary>
/// <param name="filter">Whose connections.</param>
/// <param name="writer">For answers.</param>
/// <param name="told">Hears of what has happened to connections.</param>
internal sealed class ConntrackFamily(PacketFilter filter, NetlinkWriter writer, Action<Connection, ConnectionEvents> told)
{
    private const int Exclusive = 0x200, Create = 0x400;
    private const long Second = 1_000_000_000;
    private const ConnectionEvents Changed = ConnectionEvents.Reply | ConnectionEvents.Assured | ConnectionEvents.ProtocolInfo | ConnectionEvents.Mark;

    // What an application may change in a status.
    private const ConnectionStatus Changeable = ConnectionStatus.SeenReply | ConnectionStatus.Assured | ConnectionStatus.FixedTimeout;

    private ConnectionTracker Tracker => filter.Tracker;

    private NetworkStack Stack => filter.Stack;

    /// <summary>A message of NFNL_SUBSYS_CTNETLINK.</summary>
    public Errno Answer(int message, int flags, int family, int version, bool isDump, NftAttributes a)
    {
        ConntrackWriter numbers = new(writer, 0);
        switch (message)
        {
            case IPCTNL_MSG_CT_NEW:
                return New(flags, family, a);
            case IPCTNL_MSG_CT_GET:
                return isDump ? List(family, a, resets: false) : Get(family, a, resets: false);
            case IPCTNL_MSG_CT_GET_CTRZERO:
                return isDump ? List(family, a, resets: true) : Get(family, a, resets: true);
            case IPCTNL_MSG_CT_DELETE:
                // Without a version, the family does not say which ones are meant.
                return Delete(family, version != 0 ? family : 0, a);
            case IPCTNL_MSG_CT_GET_STATS_CPU when isDump:
                uint[] counters = Tracker.Counters;
                numbers.Begin(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS_CPU, NetlinkWriter.Multi, 0);
                numbers.U32(CTA_STATS_FOUND, counters[(int)TrackingCounter.Found]);
                numbers.U32(CTA_STATS_INVALID, counters[(int)TrackingCounter.Invalid]);
                for (int i = CTA_STATS_INSERT; i <= CTA_STATS_CHAIN_TOOLONG; i++)
                {
                    numbers.U32(i, i <= CTA_STATS_EARLY_DROP ? counters[(int)TrackingCounter.Insert + i - CTA_STATS_INSERT] : 0);
                }

                writer.End();
                return Errno.None;
            case IPCTNL_MSG_CT_GET_STATS:
                numbers.Begin(NFNL_SUBSYS_CTNETLINK, IPCTNL_MSG_CT_GET_STATS, 0, 0);
                numbers.U32(CTA_STATS_GLOBAL_ENTRIES, (uint)Tracker.Count);
                numbers.U32(CTA_STATS_GLOBAL_MAX_ENTRIES, (uint)Tracker.Setting(TrackingSetting.Max));
                writer.End();
                return Errno.None;
            case IPCTNL_MSG_CT_GET_DYING or IPCTNL_MSG_CT_GET_UNCONFIRMED:
                // A connection is in the table, or nowhere.
                return isDump ? Errno.None : Errno.EOPNOTSUPP;
            default:
                return message == IPCTNL_MSG_CT_GET_STATS_CPU ? Errno.None : Errno.EINVAL;
        }
    }

    /// <summary>A message of NFNL_SUBSYS_CTNETLINK_EXP: there are no helpers, so nothing is expected.</summary>
    public Errno AnswerExpectation(int message, bool isDump, NftAttributes a)
    {
        const int master = 1, tuple = 2;
        switch (message)
        {
            case IPCTNL_MSG_EXP_NEW:
                return Errno.EOPNOTSUPP;
            case IPCTNL_MSG_EXP_GET:
                return isDump ? Errno.None : a.Bytes.Length == 0 ? Errno.EINVAL : Errno.ENOENT;
            case IPCTNL_MSG_EXP_DELETE:
                return a.Has(master) || a.Has(tuple) ? Errno.ENOENT : Errno.None;
            case IPCTNL_MSG_EXP_GET_STATS_CPU when isDump:
                ConntrackWriter numbers = new(writer, 0);
                numbers.Begin(NFNL_SUBSYS_CTNETLINK_EXP, IPCTNL_MSG_EXP_GET_STATS_CPU, NetlinkWriter.Multi, 0);
                for (int i = CTA_STATS_EXP_NEW; i <= CTA_STATS_EXP_DELETE; i++)
                {
                    numbers.U32(i, 0);
                }

                writer.End();
                return Errno.None;
            default:
                return message == IPCTNL_MSG_EXP_GET_STATS_CPU ? Errno.None : Errno.EINVAL;
        }
    }

    private Errno List(int family, NftAttributes a, bool resets)
    {
        Errno error = Select(family, a, out List<Connection> found);
        foreach (Connection connection in found)
        {
            Write(connection, NetlinkWriter.Multi, resets);
        }

        return error;
    }

    private Errno Get(int family, NftAttributes a, bool resets)
    {
        Errno error = Find(family, a, out Connection? connection);
        if (error == Errno.None && connection is not null)
        {
            Write(connection, 0, resets);
        }

        return connection is null && error == Errno.None ? Errno.EINVAL : error;
    }

    private void Write(Connection connection, int flags, bool resets)
    {
        new ConntrackWriter(writer, Stack.Now).Connection(connection, flags, ConnectionEvents.None);
        if (resets)
        {
            connection.Original.Packets = connection.Original.Bytes = connection.Reply.Packets = connection.Reply.Bytes = 0;
        }
    }

    private Errno Delete(int family, int filtered, NftAttributes a)
    {
        Errno error = Find(family, a, out Connection? one);
        List<Connection> gone = [];
        if (error == Errno.None && one is null)
        {
            error = Select(filtered, a, out gone);
        }
        else if (one is not null)
        {
            error = a.TryGetU32(CTA_ID, out uint id) && id != one.Id ? Errno.ENOENT : Errno.None;
            gone.Add(one);
        }

        Action<Connection, ConnectionEvents>? observer = Tracker.Observer;
        Tracker.Observer = observer is null ? null : Tell;
        foreach (Connection connection in error == Errno.None ? gone : [])
        {
            Tracker.Table.Remove(connection);
        }

        Tracker.Observer = observer;
        return error;
    }

    // The connection of a tuple that is asked for, of either direction; null and None where none is.
    private Errno Find(int family, NftAttributes a, out Connection? connection)
    {
        connection = null;
        int type = a.Has(CTA_TUPLE_ORIG) ? CTA_TUPLE_ORIG : CTA_TUPLE_REPLY;
        if (!a.Has(type))
        {
            return Errno.None;
        }

        Errno error = Tuple(family, a.Nest(type), out FlowTuple tuple);
        if (error == Errno.None)
        {
            connection = Tracker.Table.Find(tuple, Stack.Now)?.Connection;
            error = connection is null ? Errno.ENOENT : Errno.None;
        }

        return error;
    }

    // Those of a family (0: any) with the mark and the status that are asked for.
    private Errno Select(int family, NftAttributes a, out List<Connection> found)
    {
        List<Connection> list = found = [];
        uint mark = a.U32(CTA_MARK), markMask = a.Has(CTA_MARK) ? a.U32(CTA_MARK_MASK, uint.MaxValue) : 0;
        uint status = a.U32(CTA_STATUS), statusMask = a.Has(CTA_STATUS) ? a.U32(CTA_STATUS_MASK, status) : 0;
        if (a.Has(CTA_FILTER) || IsZoned(a))
        {
            return Errno.EOPNOTSUPP;
        }

        if (a.Has(CTA_STATUS) && (statusMask == 0 || (status & ~statusMask) != 0))
        {
            return Errno.EINVAL;
        }

        long now = Stack.Now;
        Action<Connection> take = connection =>
        {
            bool isOf = family == 0 || family == (connection.Original.Tuple.Source.IsV4 ? NfTables.NFPROTO_IPV4 : NfTables.NFPROTO_IPV6);
            if (isOf && connection.Deadline > now && (connection.Mark & markMask) == mark && ((uint)connection.Status & statusMask) == status)
            {
                list.Add(connection);
            }
        };
        if (Tracker.Count > 0)
        {
            Tracker.Table.ForEach(take);
        }

        return Errno.None;
    }

    private Errno New(int flags, int family, NftAttributes a)
    {
        Errno error = Find(family, a, out Connection? connection);
        if (error == Errno.ENOENT && (flags & Create) != 0 && !IsZoned(a))
        {
            return Add(family, a);
        }

        error = IsZoned(a) ? Errno.EOPNOTSUPP : error;
        if (error != Errno.None || connection is null)
        {
            return error != Errno.None ? error : (flags & Create) != 0 ? Errno.EINVAL : Errno.ENOENT;
        }

        error = (flags & Exclusive) != 0 ? Errno.EEXIST
            : a.Has(CTA_NAT_SRC) || a.Has(CTA_NAT_DST) || a.Has(CTA_TUPLE_MASTER) ? Errno.EOPNOTSUPP
            : Change(connection, a);
        if (error == Errno.None)
        {
            Tell(connection, Changed);
        }

        return error;
    }

    private Errno Add(int family, NftAttributes a)
    {
        FlowTuple answers = default;
        Errno error = Tuple(family, a.Nest(CTA_TUPLE_ORIG), out FlowTuple tuple);
        error = error != Errno.None ? error : Tuple(family, a.Nest(CTA_TUPLE_REPLY), out answers);
        if (error != Errno.None || tuple.Protocol != answers.Protocol || !a.TryGetU32(CTA_TIMEOUT, out uint seconds))
        {
            return error != Errno.None ? error : Errno.EINVAL;
        }

        if (a.Has(CTA_TUPLE_MASTER))
        {
            return Errno.EOPNOTSUPP;
        }

        Connection connection = Tracker.Begin(tuple);
        connection.Reply.Tuple = answers;
        foreach (bool isSource in (ReadOnlySpan<bool>)[false, true])
        {
            if (a.TryGet(isSource ? CTA_NAT_SRC : CTA_NAT_DST, out ReadOnlySpan<byte> nat))
            {
                if (!TryRange(new NftAttributes(nat), tuple.Source.IsV4, out NatRange range) || filter.Nat.SetUp(connection, range, isSource) == Verdict.Drop)
                {
                    return Errno.EINVAL;
                }
            }
        }

        // So that its status may say that it is in the table.
        connection.Status |= ConnectionStatus.Confirmed;
        error = Change(connection, a);
        connection.Status &= ~ConnectionStatus.Confirmed;
        if (error != Errno.None)
        {
            return error;
        }

        connection.Deadline = Math.Min(seconds, int.MaxValue) * Second;
        if (!Tracker.TryAdd(connection))
        {
            return Errno.EEXIST;
        }

        Tracker.Counters[(int)TrackingCounter.Insert]++;
        Tell(connection, ConnectionEvents.New | Changed);
        return Errno.None;
    }

    // Changes what the attributes say, all or nothing.
    private Errno Change(Connection connection, NftAttributes a)
    {
        ConnectionStatus status = unchecked((ConnectionStatus)a.U32(CTA_STATUS, (uint)connection.Status)), different = status ^ connection.Status;
        const ConnectionStatus ours = ConnectionStatus.Expected | ConnectionStatus.Confirmed | ConnectionStatus.Dying, stays = ConnectionStatus.SeenReply | ConnectionStatus.Assured;
        if ((different & ours) != 0 || (different & stays & ~status) != 0)
        {
            return Errno.EBUSY;
        }

        if (a.Has(CTA_HELP) && a.Nest(CTA_HELP).Text(1).Length > 0)
        {
            return Errno.EOPNOTSUPP;
        }

        if (a.Has(CTA_LABELS))
        {
            return Errno.ENOSPC;
        }

        NftAttributes tcp = a.Nest(CTA_PROTOINFO).Nest(CTA_PROTOINFO_TCP);
        bool hasState = tcp.TryGet(CTA_PROTOINFO_TCP_STATE, out ReadOnlySpan<byte> state);
        if (connection.Segments is not null && hasState && (state.Length < 1 || state[0] > (byte)TcpTrackState.SynSent2))
        {
            return Errno.EINVAL;
        }

        if (connection.Segments is { } segments)
        {
            connection.Tcp = hasState ? (TcpTrackState)state[0] : connection.Tcp;
            for (int i = 0; i < 2; i++)
            {
                ref TcpSeen seen = ref segments.Seen(i == 1);
                if (tcp.TryGet(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL + i, out ReadOnlySpan<byte> flags) && flags.Length >= 2)
                {
                    seen.Flags = (seen.Flags & (TcpSeenFlags)(flags[1] ^ 0xff)) | (TcpSeenFlags)(flags[0] & flags[1]);
                }

                if (tcp.TryGet(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL + i, out ReadOnlySpan<byte> scale) && scale.Length >= 1)
                {
                    seen.Scale = Math.Min(scale[0], (byte)14);
                }
            }
        }

        connection.Status = (connection.Status & ~Changeable) | (status & Changeable) | (connection.Status & stays);
        if (a.TryGetU32(CTA_TIMEOUT, out uint seconds))
        {
            connection.Deadline = Stack.Now + (Math.Min(seconds, int.MaxValue) * Second);
        }

        if (a.TryGetU32(CTA_MARK, out uint mark))
        {
            uint mask = a.U32(CTA_MARK_MASK);
            connection.Mark = (connection.Mark & mask) ^ mark;
        }

        return Errno.None;
    }

    private void Tell(Connection connection, ConnectionEvents events)
    {
        connection.Pending = ConnectionEvents.None;
        if (connection.IsReported)
        {
            told(connection, events);
        }
    }

    private static bool IsZoned(NftAttributes a) => a.TryGet(CTA_ZONE, out ReadOnlySpan<byte> zone) && zone.ContainsAnyExcept((byte)0);

    private static Errno Tuple(int family, NftAttributes a, out FlowTuple tuple)
    {
        tuple = default;
        bool v4 = family == NfTables.NFPROTO_IPV4;
        NftAttributes addresses = a.Nest(CTA_TUPLE_IP), protocol = a.Nest(CTA_TUPLE_PROTO);
        if (a.Bytes.Length > 0 && !v4 && family != NfTables.NFPROTO_IPV6)
        {
            return Errno.EOPNOTSUPP;
        }

        if (!TryAddress(addresses, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, v4, out IpAddress source) || !TryAddress(addresses, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, v4, out IpAddress destination)
            || !protocol.TryGet(CTA_PROTO_NUM, out ReadOnlySpan<byte> number) || number.Length < 1)
        {
            return Errno.EINVAL;
        }

        // As the transport header has it.
        tuple = new FlowTuple(source, destination, 0, 0, number[0]);
        Span<byte> transport = stackalloc byte[8];
        transport.Clear();
        bool isWhole = true;
        if (tuple.IsIcmp)
        {
            int first = number[0] == IpProtocol.Icmp ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID;
            isWhole = TryCopy(protocol, first, transport.Slice(4, 2)) && TryCopy(protocol, first + 1, transport[..1]) && TryCopy(protocol, first + 2, transport.Slice(1, 1));
        }
        else if (tuple.HasPorts)
        {
            isWhole = TryCopy(protocol, CTA_PROTO_SRC_PORT, transport[..2]) && TryCopy(protocol, CTA_PROTO_DST_PORT, transport.Slice(2, 2));
        }

        return isWhole && FlowTuple.TryMake(source, destination, number[0], transport, out tuple) ? Errno.None : Errno.EINVAL;
    }

    private static bool TryRange(NftAttributes a, bool v4, out NatRange range)
    {
        range = default;
        int first = v4 ? CTA_NAT_V4_MINIP : CTA_NAT_V6_MINIP;
        bool hasAddresses = TryAddress(a, first, v4, out IpAddress minimum);
        NftAttributes ports = a.Nest(CTA_NAT_PROTO);
        bool hasPorts = TryPort(ports, CTA_PROTONAT_PORT_MIN, out ushort from);
        IpAddress maximum = TryAddress(a, first + 1, v4, out IpAddress last) ? last : minimum;
        ushort to = TryPort(ports, CTA_PROTONAT_PORT_MAX, out ushort highest) ? highest : from;
        range = new NatRange { HasAddresses = hasAddresses, MinAddress = minimum, MaxAddress = maximum, HasPorts = hasPorts, MinPort = from, MaxPort = to };
        return to >= from;
    }

    private static bool TryAddress(NftAttributes a, int type, bool v4, out IpAddress address)
    {
        bool there = a.TryGet(type, out ReadOnlySpan<byte> data) && data.Length == (v4 ? 4 : 16);
        address = !there ? default : v4 ? IpAddress.ReadV4(data) : IpAddress.ReadV6(data);
        return there;
    }

    private static bool TryPort(NftAttributes a, int type, out ushort port)
    {
        Span<byte> bytes = stackalloc byte[2];
        bytes.Clear();
        bool there = TryCopy(a, type, bytes);
        port = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        return there;
    }

    private static bool TryCopy(NftAttributes a, int type, Span<byte> bytes)
    {
        bool there = a.TryGet(type, out ReadOnlySpan<byte> data) && data.Length >= bytes.Length;
        if (there)
        {
            data[..bytes.Length].CopyTo(bytes);
        }

        return there;
    }
}
