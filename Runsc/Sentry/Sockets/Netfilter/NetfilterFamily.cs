using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack.Filter;
using Runsc.Sentry.Sockets.Netlink;
using Runsc.Sentry.Vfs;
using static Runsc.Linux.NfTables;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>NETLINK_NETFILTER: nftables (libnftnl, nft(8), iptables-nft), connections, and which extensions of iptables it can use.</summary>
internal static class NetfilterFamily
{
    // struct nfgenmsg: family, version, and of a batch which subsystem it is for.
    private const int HeaderSize = 4;
    private const int Request = 1;

    /// <summary>Is the datagram a batch?</summary>
    public static bool IsBatch(ReadOnlySpan<byte> datagram) => NetlinkRequest.TryRead(ref datagram, out NetlinkRequest first) && first.Type == NFNL_MSG_BATCH_BEGIN;

    /// <summary>Answers a message outside of a batch.</summary>
    public static Errno Answer(ICaller caller, NetNamespace network, in NetlinkRequest request, bool isDump, NetlinkWriter writer)
    {
        if (!caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, network.Owner))
        {
            return Errno.EPERM;
        }

        if (request.Body.Length < HeaderSize)
        {
            return Errno.EINVAL;
        }

        int family = request.Body[0], version = request.Body[1];
        NftAttributes a = new(request.Body[HeaderSize..]);
        int message = request.Type & 0xff;
        switch (request.Type >> 8)
        {
            case NFNL_SUBSYS_NFTABLES:
                NftState state = network.Netfilter.Nft.State;
                bool resets = message is NFT_MSG_GETRULE_RESET or NFT_MSG_GETOBJ_RESET or NFT_MSG_GETSETELEM_RESET;
                using (network.Netfilter.Filter.Stack.Enter())
                {
                    // Counters move under the lock.
                    return Get(new NftWriter(writer, state, isDump, network.Netfilter.Filter.Stack.Now, resets), state, caller, message, family, isDump, a);
                }

            case ConntrackNetlink.NFNL_SUBSYS_CTNETLINK or ConntrackNetlink.NFNL_SUBSYS_CTNETLINK_EXP:
                ConntrackFamily connections = new(network.Netfilter.Filter, writer, (connection, events) => ConntrackWriter.Tell(network, connection, events, writer.Port));
                using (network.Netfilter.Filter.Stack.Enter())
                {
                    return request.Type >> 8 == ConntrackNetlink.NFNL_SUBSYS_CTNETLINK ? connections.Answer(message, request.Flags, family, version, isDump, a)
                        : connections.AnswerExpectation(message, isDump, a);
                }

            case NFNL_SUBSYS_NFT_COMPAT:
                return GetExtension(request, family, a, writer);
            default:
                return Errno.EINVAL;
        }
    }

    private static Errno Get(NftWriter writer, NftState state, ICaller caller, int message, int family, bool isDump, NftAttributes a)
    {
        switch (message)
        {
            case NFT_MSG_GETGEN:
                writer.Generation(caller.ProcessId);
                return Errno.None;
            case NFT_MSG_GETTABLE:
                return GetTables(writer, state, family, isDump, a);
            case NFT_MSG_GETCHAIN:
                return GetChains(writer, state, family, isDump, a);
            case NFT_MSG_GETRULE or NFT_MSG_GETRULE_RESET:
                return GetRules(writer, state, family, isDump, a);
            case NFT_MSG_GETSET:
                return GetSets(writer, state, family, isDump, a);
            case NFT_MSG_GETSETELEM or NFT_MSG_GETSETELEM_RESET:
                if (state.FindTable(family, a.Text(NFTA_SET_ELEM_LIST_TABLE)) is not { } table || table.FindSet(a.Text(NFTA_SET_ELEM_LIST_SET)) is not { } set)
                {
                    return Errno.ENOENT;
                }

                if (!isDump)
                {
                    return GetElements(writer, table, set, a);
                }

                writer.Elements(table, set);
                return Errno.None;
            case NFT_MSG_GETOBJ or NFT_MSG_GETOBJ_RESET:
                return GetObjects(writer, state, family, isDump, a);
            case NFT_MSG_GETFLOWTABLE:
                // There are none.
                return isDump ? Errno.None : Errno.ENOENT;
            default:
                return Errno.EINVAL;
        }
    }

    private static bool IsOf(NftTable table, int family, string name) => (family == NFPROTO_UNSPEC || table.Family == family) && (name.Length == 0 || table.Name == name);

    private static Errno GetTables(NftWriter writer, NftState state, int family, bool isDump, NftAttributes a)
    {
        if (!isDump)
        {
            if (state.FindTable(family, a.Text(NFTA_TABLE_NAME)) is not { } one)
            {
                return Errno.ENOENT;
            }

            writer.Table(one);
            return Errno.None;
        }

        foreach (NftTable table in state.Tables)
        {
            if (IsOf(table, family, ""))
            {
                writer.Table(table);
            }
        }

        return Errno.None;
    }

    private static Errno GetChains(NftWriter writer, NftState state, int family, bool isDump, NftAttributes a)
    {
        string name = a.Text(NFTA_CHAIN_TABLE);
        if (!isDump)
        {
            if (state.FindTable(family, name) is not { } one || one.FindChain(a.Text(NFTA_CHAIN_NAME)) is not { } wanted)
            {
                return Errno.ENOENT;
            }

            writer.Chain(one, wanted);
            return Errno.None;
        }

        foreach (NftTable table in state.Tables)
        {
            foreach (NftChain chain in IsOf(table, family, name) ? table.Chains : [])
            {
                writer.Chain(table, chain);
            }
        }

        return Errno.None;
    }

    private static Errno GetRules(NftWriter writer, NftState state, int family, bool isDump, NftAttributes a)
    {
        string name = a.Text(NFTA_RULE_TABLE), of = a.Text(NFTA_RULE_CHAIN);
        a.TryGetU64(NFTA_RULE_HANDLE, out ulong handle);
        bool found = isDump;
        foreach (NftTable table in state.Tables)
        {
            foreach (NftChain chain in IsOf(table, family, name) ? table.Chains : [])
            {
                for (int i = 0; i < chain.Rules.Count && (of.Length == 0 || chain.Name == of); i++)
                {
                    if (isDump || chain.Rules[i].Handle == handle)
                    {
                        found = true;
                        writer.Rule(table, chain, chain.Rules[i], i > 0 ? chain.Rules[i - 1] : null);
                    }
                }
            }
        }

        return found ? Errno.None : Errno.ENOENT;
    }

    private static Errno GetSets(NftWriter writer, NftState state, int family, bool isDump, NftAttributes a)
    {
        string name = a.Text(NFTA_SET_TABLE);
        if (!isDump)
        {
            if (state.FindTable(family, name) is not { } one || one.FindSet(a.Text(NFTA_SET_NAME)) is not { } wanted)
            {
                return Errno.ENOENT;
            }

            writer.Set(one, wanted);
            return Errno.None;
        }

        foreach (NftTable table in state.Tables)
        {
            foreach (NftSet set in IsOf(table, family, name) ? table.Sets : [])
            {
                writer.Set(table, set);
            }
        }

        return Errno.None;
    }

    // Each of the elements that are asked for, by its key.
    private static Errno GetElements(NftWriter writer, NftTable table, NftSet set, NftAttributes a)
    {
        a.TryGet(NFTA_SET_ELEM_LIST_ELEMENTS, out ReadOnlySpan<byte> rest);
        while (NftAttributes.TryNext(ref rest, out _, out ReadOnlySpan<byte> data))
        {
            if (!new NftAttributes(data).Nest(NFTA_SET_ELEM_KEY).TryGet(NFTA_DATA_VALUE, out ReadOnlySpan<byte> key) || key.Length != set.KeyLength)
            {
                return Errno.EINVAL;
            }

            if (set.HasIntervals)
            {
                return Errno.EOPNOTSUPP;
            }

            if (writer.Find(set, key) is not { } found)
            {
                return Errno.ENOENT;
            }

            writer.Elements(table, set, new ReadOnlySpan<SetElement>(ref found));
        }

        return Errno.None;
    }

    private static Errno GetObjects(NftWriter writer, NftState state, int family, bool isDump, NftAttributes a)
    {
        string name = a.Text(NFTA_OBJ_TABLE);
        uint type = a.U32(NFTA_OBJ_TYPE);
        if (!isDump)
        {
            if (state.FindTable(family, name) is not { } one || one.FindObject(a.Text(NFTA_OBJ_NAME), type) is not { } wanted)
            {
                return Errno.ENOENT;
            }

            writer.Object(one, wanted);
            return Errno.None;
        }

        foreach (NftTable table in state.Tables)
        {
            foreach (NftObject target in IsOf(table, family, name) ? table.Objects : [])
            {
                if (type == 0 || target.Type == type)
                {
                    writer.Object(table, target);
                }
            }
        }

        return Errno.None;
    }

    // struct nfgenmsg, then name, revision and kind: the same comes back where the extension is there.
    private static Errno GetExtension(in NetlinkRequest request, int family, NftAttributes a, NetlinkWriter writer)
    {
        const int nameAttribute = 1, revisionAttribute = 2, typeAttribute = 3;
        uint revision = a.U32(revisionAttribute), type = a.U32(typeAttribute);
        string name = a.Text(nameAttribute);
        if ((request.Type & 0xff) != 0 || name.Length == 0 || !a.Has(revisionAttribute) || !a.Has(typeAttribute) || type > 1 || family is not (NFPROTO_IPV4 or NFPROTO_IPV6))
        {
            return Errno.EINVAL;
        }

        Errno error = XtExtensions.FindRevision(family == NFPROTO_IPV4, type == 1, Encoding.Latin1.GetBytes(name), (int)Math.Min(revision, int.MaxValue));
        if (error != Errno.None)
        {
            return error;
        }

        writer.Begin(request.Type, 0);
        writer.Add(request.Body[..HeaderSize]);
        writer.Attribute(nameAttribute, name);
        Span<byte> number = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(number, revision);
        writer.Attribute(revisionAttribute, number);
        BinaryPrimitives.WriteUInt32BigEndian(number, type);
        writer.Attribute(typeAttribute, number);
        writer.End();
        return Errno.None;
    }

    /// <summary>Runs a batch; what became of each message that is to be told, by its offset in the datagram.</summary>
    public static List<NetfilterResult> RunBatch(ICaller caller, NetNamespace network, byte[] datagram)
    {
        List<NetfilterResult> results = [];
        if (!caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, network.Owner))
        {
            return [new NetfilterResult(0, Errno.EPERM, 0)];
        }

        int last = 0;
        Errno error = network.Netfilter.Nft.Run(transaction => Apply(transaction, datagram, results, out last), out NftState? before, out NftState after);
        if (error != Errno.None)
        {
            results.RemoveAll(result => result.Offset == last);
            results.Add(new NetfilterResult(last, error, 0));
        }

        if (before is not null && network.HasNetlinkMembers(Socket.NETLINK_NETFILTER, NftEvents.Group))
        {
            using (network.Netfilter.Filter.Stack.Enter())
            {
                // Counters move under the lock, and who waits is woken when it is free.
                List<byte[]> events = NftEvents.Describe(before, after, caller.ProcessId, network.Netfilter.Filter.Stack.Now);
                network.TellNetlinkMembers(Socket.NETLINK_NETFILTER, NftEvents.Group, events);
            }
        }

        return results;
    }

    private static bool Apply(NftTransaction transaction, byte[] datagram, List<NetfilterResult> results, out int last)
    {
        const int restart = (int)Errno.ERESTART;
        bool good = true, ended = false;
        last = 0;
        ReadOnlySpan<byte> rest = datagram;
        int offset = 0;
        while (!ended && NetlinkRequest.TryRead(ref rest, out NetlinkRequest message))
        {
            Errno error = Errno.None;
            int bad = 0;
            if (message.Body.Length < HeaderSize || (message.Flags & Request) == 0)
            {
                error = Errno.EINVAL;
            }
            else if (message.Type == NFNL_MSG_BATCH_END)
            {
                ended = true;
            }
            else if (message.Type == NFNL_MSG_BATCH_BEGIN)
            {
                bool isStale = new NftAttributes(message.Body[HeaderSize..]).TryGetU32(NFNL_BATCH_GENID, out uint generation) && generation != transaction.State.Generation;
                error = BinaryPrimitives.ReadUInt16BigEndian(message.Body[2..]) != NFNL_SUBSYS_NFTABLES ? Errno.EOPNOTSUPP
                    : isStale ? (Errno)restart : Errno.None;
                ended = error != Errno.None;
            }
            else
            {
                error = message.Type >> 8 != NFNL_SUBSYS_NFTABLES ? Errno.EINVAL
                    : transaction.Apply(message.Type & 0xff, message.Body[0], message.Flags, new NftAttributes(message.Body[HeaderSize..]));
                bad = error == Errno.None ? 0 : OffsetOf(message, transaction.BadAttribute);
                last = offset;
            }

            good &= error == Errno.None;
            results.Add(new NetfilterResult(offset, error, bad));
            offset = datagram.Length - rest.Length;
        }

        return good && ended;
    }

    // Where an attribute of a message is, from its front; 0: nowhere.
    private static int OffsetOf(in NetlinkRequest message, int attribute)
    {
        ReadOnlySpan<byte> rest = message.Body[HeaderSize..];
        int at = message.Whole.Length - rest.Length;
        while (attribute != 0 && NftAttributes.TryNext(ref rest, out int type, out _))
        {
            if (type == attribute)
            {
                return at;
            }

            at = message.Whole.Length - rest.Length;
        }

        return 0;
    }
}
