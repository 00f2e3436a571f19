using System;
using Runsc.NetStack.Filter.Tracking;
using Runsc.Sentry.Sockets.Netlink;
using static Runsc.Linux.ConntrackNetlink;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Writes connections as messages. The stack's lock is held.</summary>
/// <param name="writer">Where.</param>
/// <param name="now">Monotonic nanoseconds.</param>
internal readonly struct ConntrackWriter(NetlinkWriter writer, long now)
{
    private const int Nested = 0x8000;
    private const long Second = 1_000_000_000;

    /// <summary>Tells the members of a connection's group what has happened to it.</summary>
    /// <param name="network">Of whose members.</param>
    /// <param name="connection">The connection.</param>
    /// <param name="events">What has happened.</param>
    /// <param name="port">The socket through which it was asked for, or 0.</param>
    public static void Tell(NetNamespace network, Connection connection, ConnectionEvents events, uint port)
    {
        const int created = 0x600;
        bool isNew = (events & ConnectionEvents.New) != 0, isGone = (events & ConnectionEvents.Destroy) != 0;
        int group = isGone ? NFNLGRP_CONNTRACK_DESTROY : isNew ? NFNLGRP_CONNTRACK_NEW : NFNLGRP_CONNTRACK_UPDATE;
        if (network.HasNetlinkMembers(Linux.Socket.NETLINK_NETFILTER, group))
        {
            NetlinkWriter messages = new(0, port);
            new ConntrackWriter(messages, network.Netfilter.Filter.Stack.Now).Connection(connection, isNew ? created : 0, events);
            messages.Flush();
            network.TellNetlinkMembers(Linux.Socket.NETLINK_NETFILTER, group, messages.Datagrams);
        }
    }

    /// <summary>A connection: all of it in a listing, where <paramref name="events"/> is None; else what belongs to what has happened.</summary>
    public void Connection(Connection connection, int flags, ConnectionEvents events)
    {
        FlowTuple original = connection.Original.Tuple;
        bool isListed = events == ConnectionEvents.None, isGone = (events & ConnectionEvents.Destroy) != 0;
        Begin(NFNL_SUBSYS_CTNETLINK, isGone ? IPCTNL_MSG_CT_DELETE : IPCTNL_MSG_CT_NEW, flags, original.Source.IsV4 ? Linux.NfTables.NFPROTO_IPV4 : Linux.NfTables.NFPROTO_IPV6);
        Tuple(CTA_TUPLE_ORIG, original);
        Tuple(CTA_TUPLE_REPLY, connection.Reply.Tuple);
        U32(CTA_STATUS, (uint)connection.Status);
        U32(CTA_ID, connection.Id);
        long left = Math.Max(connection.Deadline - now, 0) / Second;
        if (!isGone || left > 0)
        {
            U32(CTA_TIMEOUT, (uint)left);
        }

        if (isListed || connection.Mark != 0 || (events & ConnectionEvents.Mark) != 0)
        {
            U32(CTA_MARK, connection.Mark);
        }

        if (isListed)
        {
            U32(CTA_USE, 1);
        }

        if ((isListed || isGone) && connection.IsCounted)
        {
            Counters(CTA_COUNTERS_ORIG, connection.Original);
            Counters(CTA_COUNTERS_REPLY, connection.Reply);
        }

        if (connection.Segments is { } segments && (isListed || isGone || (events & ConnectionEvents.ProtocolInfo) != 0))
        {
            Segments(connection.Tcp, isGone ? null : segments);
        }

        writer.End();
    }

    public void Begin(int subsystem, int message, int flags, int family)
    {
        writer.Begin((subsystem << 8) | message, flags);
        writer.Add([(byte)family, 0, 0, 0]);
    }

    private void Tuple(int type, in FlowTuple tuple)
    {
        bool v4 = tuple.Source.IsV4;
        int whole = writer.BeginNest(type | Nested), addresses = writer.BeginNest(CTA_TUPLE_IP | Nested);
        writer.Attribute(v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, tuple.Source);
        writer.Attribute(v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, tuple.Destination);
        writer.EndNest(addresses);
        int protocol = writer.BeginNest(CTA_TUPLE_PROTO | Nested);
        writer.Attribute(CTA_PROTO_NUM, [tuple.Protocol]);
        if (tuple.IsIcmp)
        {
            // Identifier, type and code follow each other.
            int first = v4 ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID;
            U16(first, tuple.SourcePort);
            writer.Attribute(first + 1, [(byte)(tuple.DestinationPort >> 8)]);
            writer.Attribute(first + 2, [unchecked((byte)tuple.DestinationPort)]);
        }
        else
        {
            U16(CTA_PROTO_SRC_PORT, tuple.SourcePort);
            U16(CTA_PROTO_DST_PORT, tuple.DestinationPort);
        }

        writer.EndNest(protocol);
        writer.EndNest(whole);
    }

    private void Counters(int type, FlowSide side)
    {
        int nest = writer.BeginNest(type | Nested);
        U64(CTA_COUNTERS_PACKETS, side.Packets);
        U64(CTA_COUNTERS_BYTES, side.Bytes);
        writer.EndNest(nest);
    }

    private void Segments(TcpTrackState state, TcpTracking? segments)
    {
        int nest = writer.BeginNest(CTA_PROTOINFO | Nested), tcp = writer.BeginNest(CTA_PROTOINFO_TCP | Nested);
        writer.Attribute(CTA_PROTOINFO_TCP_STATE, [(byte)state]);
        for (int i = 0; segments is not null && i < 2; i++)
        {
            ref TcpSeen seen = ref segments.Seen(i == 1);
            writer.Attribute(CTA_PROTOINFO_TCP_WSCALE_ORIGINAL + i, [seen.Scale]);
            writer.Attribute(CTA_PROTOINFO_TCP_FLAGS_ORIGINAL + i, [(byte)seen.Flags, 0]);
        }

        writer.EndNest(tcp);
        writer.EndNest(nest);
    }

    private void U16(int type, ushort value) => writer.Attribute(type, [(byte)(value >> 8), unchecked((byte)value)]);

    public void U32(int type, uint value) => writer.BigEndian(type, value);

    private void U64(int type, ulong value) => writer.BigEndian(type, value);
}
