using System;
using System.Buffers.Binary;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using Runsc.Sentry.Sockets.Netlink;
using static Runsc.Linux.NfTables;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Writes tables, chains, rules, sets, elements and objects as messages.</summary>
/// <param name="writer">Where.</param>
/// <param name="state">The tables.</param>
/// <param name="isDump">The messages are parts of a dump.</param>
/// <param name="now">Monotonic nanoseconds: elements whose time is over are left out.</param>
/// <param name="removes">The messages say that what they describe has gone.</param>
/// <param name="resets">What was counted is forgotten once it is written. The stack's lock is held.</param>
internal readonly struct NftWriter(NetlinkWriter writer, NftState state, bool isDump, long now = 0, bool resets = false, bool removes = false)
{
    // What elements of one message take at most, so that it fits into what applications have room for.
    private const int ElementsSize = 2048;

    public bool Removes => removes;

    public void Table(NftTable table)
    {
        Begin(removes ? NFT_MSG_DELTABLE : NFT_MSG_NEWTABLE, table.Family);
        writer.Attribute(NFTA_TABLE_NAME, table.Name);
        U64(NFTA_TABLE_HANDLE, table.Handle);
        U32(NFTA_TABLE_FLAGS, table.Flags);
        U32(NFTA_TABLE_USE, (uint)(table.Chains.Count + table.Sets.Count + table.Objects.Count));
        UserData(NFTA_TABLE_USERDATA, table.UserData);
        writer.End();
    }

    public void Chain(NftTable table, NftChain chain)
    {
        Begin(removes ? NFT_MSG_DELCHAIN : NFT_MSG_NEWCHAIN, table.Family);
        writer.Attribute(NFTA_CHAIN_TABLE, table.Name);
        U64(NFTA_CHAIN_HANDLE, chain.Handle);
        writer.Attribute(NFTA_CHAIN_NAME, chain.Name);
        if (chain.IsBase)
        {
            int hook = writer.BeginNest(NFTA_CHAIN_HOOK);
            U32(NFTA_HOOK_HOOKNUM, (uint)chain.Hook);
            U32(NFTA_HOOK_PRIORITY, unchecked((uint)chain.Priority));
            writer.EndNest(hook);
            U32(NFTA_CHAIN_POLICY, chain.Policy);
            writer.Attribute(NFTA_CHAIN_TYPE, chain.Type);
        }

        if (chain.Flags != 0)
        {
            U32(NFTA_CHAIN_FLAGS, chain.Flags);
        }

        U32(NFTA_CHAIN_USE, (uint)(chain.Rules.Count + table.CountUses(chain)));
        UserData(NFTA_CHAIN_USERDATA, chain.UserData);
        writer.End();
    }

    /// <summary>A rule, and where it is: behind which other one.</summary>
    public void Rule(NftTable table, NftChain chain, NftRule rule, NftRule? before)
    {
        // NLM_F_APPEND: the last one.
        const int appended = 0x800;
        bool isLast = !isDump && chain.Rules.Count > 0 && chain.Rules[^1] == rule;
        Begin(removes ? NFT_MSG_DELRULE : NFT_MSG_NEWRULE, table.Family, isLast ? appended : 0);
        writer.Attribute(NFTA_RULE_TABLE, table.Name);
        writer.Attribute(NFTA_RULE_CHAIN, chain.Name);
        U64(NFTA_RULE_HANDLE, rule.Handle);
        if (before is not null)
        {
            U64(NFTA_RULE_POSITION, before.Handle);
        }

        int expressions = writer.BeginNest(NFTA_RULE_EXPRESSIONS);
        foreach (NftExpression expression in rule.Expressions)
        {
            Expression(NFTA_LIST_ELEM, table, expression, expression.Live);
        }

        writer.EndNest(expressions);
        UserData(NFTA_RULE_USERDATA, rule.UserData);
        writer.End();
    }

    public void Set(NftTable table, NftSet set)
    {
        Begin(removes ? NFT_MSG_DELSET : NFT_MSG_NEWSET, table.Family);
        writer.Attribute(NFTA_SET_TABLE, table.Name);
        writer.Attribute(NFTA_SET_NAME, set.Name);
        U64(NFTA_SET_HANDLE, set.Handle);
        U32(NFTA_SET_FLAGS, set.Flags);
        U32(NFTA_SET_KEY_TYPE, set.KeyType);
        U32(NFTA_SET_KEY_LEN, (uint)set.KeyLength);
        if (set.IsMap)
        {
            U32(NFTA_SET_DATA_TYPE, set.DataType);
            U32(NFTA_SET_DATA_LEN, (uint)set.DataLength);
        }

        if (set.IsObjectMap)
        {
            U32(NFTA_SET_OBJ_TYPE, set.ObjectType);
        }

        if (set.Timeout != 0)
        {
            U64(NFTA_SET_TIMEOUT, set.Timeout);
        }

        if (set.GcInterval != 0)
        {
            U32(NFTA_SET_GC_INTERVAL, set.GcInterval);
        }

        if (set.Policy != 0)
        {
            U32(NFTA_SET_POLICY, set.Policy);
        }

        Expressions(NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS, table, set.Expressions, []);

        UserData(NFTA_SET_USERDATA, set.UserData);
        int description = writer.BeginNest(NFTA_SET_DESC);
        if (set.Size != 0)
        {
            U32(NFTA_SET_DESC_SIZE, set.Size);
        }

        if (set.Fields.Length > 0)
        {
            int fields = writer.BeginNest(NFTA_SET_DESC_CONCAT);
            foreach (int length in set.Fields)
            {
                int field = writer.BeginNest(NFTA_LIST_ELEM);
                U32(NFTA_SET_FIELD_LEN, (uint)length);
                writer.EndNest(field);
            }

            writer.EndNest(fields);
        }

        writer.EndNest(description);
        writer.End();
    }

    /// <summary>All elements of a set, in as many messages as they need.</summary>
    public void Elements(NftTable table, NftSet set)
    {
        if (set.Live.IsDynamic)
        {
            set.Live.Purge(now);
        }

        Elements(table, set, set.Live.Elements);
    }

    public void Elements(NftTable table, NftSet set, ReadOnlySpan<SetElement> elements)
    {
        for (int i = 0; i < elements.Length;)
        {
            Begin(removes ? NFT_MSG_DELSETELEM : NFT_MSG_NEWSETELEM, table.Family);
            writer.Attribute(NFTA_SET_ELEM_LIST_TABLE, table.Name);
            writer.Attribute(NFTA_SET_ELEM_LIST_SET, set.Name);
            int list = writer.BeginNest(NFTA_SET_ELEM_LIST_ELEMENTS);
            int start = writer.Position;
            for (; i < elements.Length && writer.Position - start < ElementsSize; i++)
            {
                Element(table, set, elements[i]);
            }

            writer.EndNest(list);
            writer.End();
        }
    }

    /// <summary>The element of a key, if its time is not over.</summary>
    public SetElement? Find(NftSet set, ReadOnlySpan<byte> key) => set.Live.Find(key, now);

    public void Object(NftTable table, NftObject target)
    {
        Begin(removes ? NFT_MSG_DELOBJ : NFT_MSG_NEWOBJ, table.Family);
        writer.Attribute(NFTA_OBJ_TABLE, table.Name);
        writer.Attribute(NFTA_OBJ_NAME, target.Name);
        U32(NFTA_OBJ_TYPE, target.Type);
        U32(NFTA_OBJ_USE, (uint)table.CountUses(target));
        int data = writer.BeginNest(NFTA_OBJ_DATA);
        State(target.Expression, target.Live);
        writer.EndNest(data);
        U64(NFTA_OBJ_HANDLE, target.Handle);
        UserData(NFTA_OBJ_USERDATA, target.UserData);
        writer.End();
    }

    /// <summary>The number of the commits.</summary>
    public void Generation(int process)
    {
        Begin(NFT_MSG_NEWGEN, NFPROTO_UNSPEC);
        U32(NFTA_GEN_ID, state.Generation);
        U32(NFTA_GEN_PROC_PID, unchecked((uint)process));
        writer.Attribute(NFTA_GEN_PROC_NAME, "nft");
        writer.End();
    }

    private void Begin(int message, int family, int flags = 0)
    {
        writer.Begin((NFNL_SUBSYS_NFTABLES << 8) | message, isDump ? NetlinkWriter.Multi : flags);
        Span<byte> header = stackalloc byte[4];
        header[0] = (byte)family;
        header[1] = 0;
        BinaryPrimitives.WriteUInt16BigEndian(header[2..], unchecked((ushort)state.Generation));
        writer.Add(header);
    }

    private void Expression(int type, NftTable table, NftExpression expression, Expression? live)
    {
        int element = writer.BeginNest(type);
        writer.Attribute(NFTA_EXPR_NAME, expression.Name);
        int data = writer.BeginNest(NFTA_EXPR_DATA);
        Parts(table, expression, live);
        writer.EndNest(data);
        writer.EndNest(element);
    }

    // One has an attribute of its own, several are a list.
    private void Expressions(int single, int list, NftTable table, NftExpression[] expressions, ReadOnlySpan<StatefulExpression> live)
    {
        if (expressions.Length == 1)
        {
            Expression(single, table, expressions[0], live.IsEmpty ? expressions[0].Live : live[0]);
        }
        else if (expressions.Length > 1)
        {
            int nest = writer.BeginNest(list);
            for (int i = 0; i < expressions.Length; i++)
            {
                Expression(NFTA_LIST_ELEM, table, expressions[i], live.IsEmpty ? expressions[i].Live : live[i]);
            }

            writer.EndNest(nest);
        }
    }

    // As it was given, but for what has another name or number now.
    private void Parts(NftTable table, NftExpression expression, Expression? live)
    {
        const int lookupSet = 1, lookupSource = 2, lookupTarget = 3, lookupFlags = 5, immediateTarget = 1, immediateData = 2;
        const int changedSet = 1, changedId = 2, mapSet = 4, mapId = 5;
        NftAttributes given = new(expression.Data);
        if (expression.Set is { } set && expression.Name == "lookup")
        {
            writer.Attribute(lookupSet, table.FindSet(set)?.Name ?? "");
            U32(lookupSource, given.U32(lookupSource));
            if (given.TryGetU32(lookupTarget, out uint target))
            {
                U32(lookupTarget, target);
            }

            U32(lookupFlags, given.U32(lookupFlags));
        }
        else if (expression.Set is { } changed)
        {
            bool isMap = expression.Name == "objref";
            int name = isMap ? mapSet : changedSet, number = isMap ? mapId : changedId;
            writer.Attribute(name, table.FindSet(changed)?.Name ?? "");
            ReadOnlySpan<byte> rest = expression.Data;
            while (NftAttributes.TryNext(ref rest, out int type, out ReadOnlySpan<byte> data))
            {
                if (type != name && type != number)
                {
                    writer.Attribute(type, data);
                }
            }
        }
        else if (expression.Jump is { } jump)
        {
            U32(immediateTarget, 0);
            int data = writer.BeginNest(immediateData);
            Verdict(given.Nest(immediateData).Nest(NFTA_DATA_VERDICT).U32(NFTA_VERDICT_CODE), table.FindChain(jump)?.Name);
            writer.EndNest(data);
        }
        else if (expression.Object is null && live is StatefulExpression stateful)
        {
            State(expression, stateful);
        }
        else
        {
            writer.Padded(expression.Data);
        }
    }

    // What an expression remembers.
    private void State(NftExpression expression, StatefulExpression live)
    {
        const uint inverted = 1, depleted = 2;
        switch (live)
        {
            case CounterExpression counter:
                U64(NFTA_COUNTER_BYTES, counter.Bytes);
                U64(NFTA_COUNTER_PACKETS, counter.Packets);
                break;
            case QuotaExpression quota:
                U64(NFTA_QUOTA_BYTES, quota.Bytes);
                U64(NFTA_QUOTA_CONSUMED, Math.Min(quota.Consumed, quota.Bytes));
                U32(NFTA_QUOTA_FLAGS, (quota.IsOver ? inverted : 0) | (quota.IsDepleted ? depleted : 0));
                break;
            default:
                writer.Padded(expression.Data);
                break;
        }

        if (resets)
        {
            live.Reset();
        }
    }

    private void Verdict(uint code, string? chain)
    {
        int verdict = writer.BeginNest(NFTA_DATA_VERDICT);
        U32(NFTA_VERDICT_CODE, code);
        if (chain is not null)
        {
            writer.Attribute(NFTA_VERDICT_CHAIN, chain);
        }

        writer.EndNest(verdict);
    }

    private void Element(NftTable table, NftSet set, SetElement element)
    {
        const long millisecond = 1_000_000;
        int start = writer.BeginNest(NFTA_LIST_ELEM);
        Value(NFTA_SET_ELEM_KEY, element.Key);
        if (element.KeyEnd is { } end)
        {
            Value(NFTA_SET_ELEM_KEY_END, end);
        }

        if (element.Verdict is { } verdict)
        {
            int data = writer.BeginNest(NFTA_SET_ELEM_DATA);
            Verdict(CodeOf(verdict.Verdict), verdict.Target is { } target ? table.FindChain(target)?.Name : null);
            writer.EndNest(data);
        }
        else if (set.IsMap && !element.IsEnd)
        {
            Value(NFTA_SET_ELEM_DATA, element.Data);
        }

        Expressions(NFTA_SET_ELEM_EXPR, NFTA_SET_ELEM_EXPRESSIONS, table, Array.ConvertAll(element.Stateful, one => (NftExpression)one.Origin!), element.Stateful);
        if (element.Object is { } named && table.Objects.Find(one => one.Live == named) is { } found)
        {
            writer.Attribute(NFTA_SET_ELEM_OBJREF, found.Name);
        }

        if (element.IsEnd)
        {
            U32(NFTA_SET_ELEM_FLAGS, NFT_SET_ELEM_INTERVAL_END);
        }

        if (element.Timeout != 0)
        {
            if ((ulong)(element.Timeout / millisecond) != set.Timeout)
            {
                U64(NFTA_SET_ELEM_TIMEOUT, (ulong)(element.Timeout / millisecond));
            }

            U64(NFTA_SET_ELEM_EXPIRATION, (ulong)Math.Max(0, (element.Expires - now) / millisecond));
        }

        UserData(NFTA_SET_ELEM_USERDATA, element.UserData);
        writer.EndNest(start);
    }

    private static uint CodeOf(NetStack.Filter.Verdict verdict) => unchecked((uint)(verdict switch
    {
        NetStack.Filter.Verdict.Accept => Linux.Netfilter.NF_ACCEPT,
        NetStack.Filter.Verdict.Drop => Linux.Netfilter.NF_DROP,
        NetStack.Filter.Verdict.Break => NFT_BREAK,
        NetStack.Filter.Verdict.Return => NFT_RETURN,
        NetStack.Filter.Verdict.Jump => NFT_JUMP,
        NetStack.Filter.Verdict.Goto => NFT_GOTO,
        _ => NFT_CONTINUE,
    }));

    private void Value(int type, byte[] value)
    {
        int nest = writer.BeginNest(type);
        writer.Attribute(NFTA_DATA_VALUE, value);
        writer.EndNest(nest);
    }

    private void UserData(int type, byte[]? data)
    {
        if (data is not null)
        {
            writer.Attribute(type, data);
        }
    }

    private void U32(int type, uint value) => writer.BigEndian(type, value);

    private void U64(int type, ulong value) => writer.BigEndian(type, value);
}
