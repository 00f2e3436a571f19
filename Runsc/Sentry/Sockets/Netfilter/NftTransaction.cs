using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.NetStack.Filter;
using static Runsc.Linux.NfTables;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>The messages of one batch, applied to a copy of the tables: all of them count, or none.</summary>
internal sealed partial class NftTransaction(NftState state, PacketFilter filter)
{
    private const int MaximumName = 255;
    private const int MaximumExpressions = 128;
    private const int MaximumElements = 1 << 16;
    private const int MaximumRules = 1 << 16;
    private const int MaximumExpressionData = 1024;
    private const int MaximumUserData = 256;
    private const int MaximumObjects = 4096;

    // Flags of messages that make something.
    private const int Replace = 0x100, Exclusive = 0x200, Append = 0x800;

    private readonly Dictionary<uint, NftChain> _chains = [];
    private readonly Dictionary<uint, NftSet> _sets = [];
    private readonly Dictionary<uint, ulong> _rules = [];

    public NftState State { get; } = state;

    /// <summary>The attribute that the last error is about, or 0.</summary>
    public int BadAttribute { get; private set; }

    /// <summary>Applies a message of the batch.</summary>
    public Errno Apply(int message, int family, int flags, NftAttributes a)
    {
        if (family is not (NFPROTO_UNSPEC or NFPROTO_INET or NFPROTO_IPV4 or NFPROTO_IPV6))
        {
            return Errno.EOPNOTSUPP;
        }

        // NFT_USERDATA_MAXLEN of whatever has some: it is kept.
        int userData = message switch
        {
            NFT_MSG_NEWTABLE => NFTA_TABLE_USERDATA,
            NFT_MSG_NEWCHAIN => NFTA_CHAIN_USERDATA,
            NFT_MSG_NEWRULE => NFTA_RULE_USERDATA,
            NFT_MSG_NEWSET => NFTA_SET_USERDATA,
            NFT_MSG_NEWOBJ => NFTA_OBJ_USERDATA,
            _ => 0,
        };
        if (userData != 0 && a.TryGet(userData, out ReadOnlySpan<byte> kept) && kept.Length > MaximumUserData)
        {
            return Errno.EINVAL;
        }

        BadAttribute = 0;
        Errno error = message switch
        {
            NFT_MSG_NEWTABLE => NewTable(family, flags, a),
            NFT_MSG_DELTABLE or NFT_MSG_DESTROYTABLE => DeleteTable(family, a),
            NFT_MSG_NEWCHAIN => NewChain(family, flags, a),
            NFT_MSG_DELCHAIN or NFT_MSG_DESTROYCHAIN => DeleteChain(family, a),
            NFT_MSG_NEWRULE => NewRule(family, flags, a),
            NFT_MSG_DELRULE or NFT_MSG_DESTROYRULE => DeleteRule(family, a),
            NFT_MSG_NEWSET => NewSet(family, flags, a),
            NFT_MSG_DELSET or NFT_MSG_DESTROYSET => DeleteSet(family, a),
            NFT_MSG_NEWSETELEM => ChangeElements(family, flags, a, isNew: true),
            NFT_MSG_DELSETELEM or NFT_MSG_DESTROYSETELEM => ChangeElements(family, flags, a, isNew: false),
            NFT_MSG_NEWOBJ => NewObject(family, flags, a),
            NFT_MSG_DELOBJ or NFT_MSG_DESTROYOBJ => DeleteObject(family, a),
            _ => Errno.EOPNOTSUPP,
        };
        bool mayBeGone = message is >= NFT_MSG_DESTROYTABLE and <= NFT_MSG_DESTROYOBJ;
        return mayBeGone && error == Errno.ENOENT ? Errno.None : error;
    }

    private Errno Fail(Errno error, int attribute)
    {
        BadAttribute = attribute;
        return error;
    }

    private static bool IsName(string name) => name.Length is > 0 and <= MaximumName;

    private static byte[]? UserData(NftAttributes a, int type) => a.TryGet(type, out ReadOnlySpan<byte> data) ? data.ToArray() : null;

    private NftTable? FindTable(int family, NftAttributes a, int type) => State.FindTable(family, a.Text(type));

    private Errno NewTable(int family, int flags, NftAttributes a)
    {
        string name = a.Text(NFTA_TABLE_NAME);
        if (family == NFPROTO_UNSPEC)
        {
            return Errno.EAFNOSUPPORT;
        }

        uint wanted = a.U32(NFTA_TABLE_FLAGS);
        if (!IsName(name) || (wanted & ~NFT_TABLE_F_DORMANT) != 0)
        {
            return (wanted & ~NFT_TABLE_F_DORMANT) != 0 && IsName(name) ? Errno.EOPNOTSUPP : Errno.EINVAL;
        }

        if (State.FindTable(family, name) is { } present)
        {
            if ((flags & Exclusive) != 0)
            {
                return Fail(Errno.EEXIST, NFTA_TABLE_NAME);
            }

            present.Flags = a.Has(NFTA_TABLE_FLAGS) ? wanted : present.Flags;
            return Errno.None;
        }

        if (State.Tables.Count >= MaximumObjects)
        {
            return Errno.ENFILE;
        }

        State.Tables.Add(new NftTable(family, name, State.TakeHandle()) { Flags = wanted, UserData = UserData(a, NFTA_TABLE_USERDATA) });
        return Errno.None;
    }

    private Errno DeleteTable(int family, NftAttributes a)
    {
        bool hasHandle = a.TryGetU64(NFTA_TABLE_HANDLE, out ulong handle);
        string name = a.Text(NFTA_TABLE_NAME);
        if (family == NFPROTO_UNSPEC || (!hasHandle && name.Length == 0))
        {
            // All of them, or all of a family or name.
            State.Tables.RemoveAll(table => (family == NFPROTO_UNSPEC || table.Family == family) && (name.Length == 0 || table.Name == name));
            return Errno.None;
        }

        return State.Tables.RemoveAll(table => table.Family == family && (hasHandle ? table.Handle == handle : table.Name == name)) > 0
            ? Errno.None : Fail(Errno.ENOENT, hasHandle ? NFTA_TABLE_HANDLE : NFTA_TABLE_NAME);
    }

    private Errno NewChain(int family, int flags, NftAttributes a)
    {
        if (FindTable(family, a, NFTA_CHAIN_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_CHAIN_TABLE);
        }

        string name = a.Text(NFTA_CHAIN_NAME);
        bool hasHandle = a.TryGetU64(NFTA_CHAIN_HANDLE, out ulong handle);
        bool hasPolicy = a.TryGetU32(NFTA_CHAIN_POLICY, out uint policy);
        uint kind = a.U32(NFTA_CHAIN_FLAGS);
        NftChain? chain = hasHandle ? table.Chains.Find(one => one.Handle == handle) : table.FindChain(name);
        if (hasHandle && chain is null)
        {
            return Fail(Errno.ENOENT, NFTA_CHAIN_HANDLE);
        }

        if (hasPolicy && policy is not (Linux.Netfilter.NF_ACCEPT or Linux.Netfilter.NF_DROP))
        {
            return Errno.EINVAL;
        }

        if (chain is not null)
        {
            return UpdateChain(table, chain, flags, hasHandle ? name : "", hasPolicy ? policy : null, a);
        }

        bool isBinding = (kind & NFT_CHAIN_BINDING) != 0 && name.Length == 0;
        name = isBinding ? $"__chain{table.LastHandle + 1}" : name;
        if (!IsName(name) || table.Chains.Count >= MaximumObjects)
        {
            return IsName(name) ? Errno.ENFILE : Errno.EINVAL;
        }

        Errno error = TryMakeChain(table, name, kind, a, out NftChain? made);
        if (error != Errno.None)
        {
            return error;
        }

        if (hasPolicy && !made!.IsBase)
        {
            return Errno.EOPNOTSUPP;
        }

        made!.Policy = hasPolicy ? policy : Linux.Netfilter.NF_ACCEPT;
        made.UserData = UserData(a, NFTA_CHAIN_USERDATA);
        table.Chains.Add(made);
        if (a.TryGetU32(NFTA_CHAIN_ID, out uint id))
        {
            _chains[id] = made;
        }

        return Errno.None;
    }

    private Errno UpdateChain(NftTable table, NftChain chain, int flags, string name, uint? policy, NftAttributes a)
    {
        if ((flags & Exclusive) != 0)
        {
            return Fail(Errno.EEXIST, NFTA_CHAIN_NAME);
        }

        if ((flags & Replace) != 0)
        {
            return Errno.EOPNOTSUPP;
        }

        // What is at a hook stays there, and the rest does not get there.
        NftAttributes hook = a.Nest(NFTA_CHAIN_HOOK);
        if (a.Has(NFTA_CHAIN_HOOK) && (!chain.IsBase || hook.U32(NFTA_HOOK_HOOKNUM) != chain.Hook || unchecked((int)hook.U32(NFTA_HOOK_PRIORITY)) != chain.Priority))
        {
            return Errno.EEXIST;
        }

        if (name.Length > 0 && name != chain.Name)
        {
            if (!IsName(name) || table.FindChain(name) is not null)
            {
                return IsName(name) ? Errno.EEXIST : Errno.EINVAL;
            }

            chain.Name = name;
        }

        if (policy is { } given)
        {
            if (!chain.IsBase)
            {
                return Errno.EOPNOTSUPP;
            }

            chain.Policy = given;
        }

        return Errno.None;
    }

    private static Errno TryMakeChain(NftTable table, string name, uint flags, NftAttributes a, out NftChain? chain)
    {
        chain = null;
        if (!a.Has(NFTA_CHAIN_HOOK))
        {
            chain = new NftChain(name, table.TakeHandle(), new RuleChain()) { Flags = flags & NFT_CHAIN_BINDING };
            return (flags & ~(NFT_CHAIN_BASE | NFT_CHAIN_BINDING)) != 0 || (flags & NFT_CHAIN_BASE) != 0 ? Errno.EINVAL : Errno.None;
        }

        const int trackingPriority = -200;
        NftAttributes hook = a.Nest(NFTA_CHAIN_HOOK);
        if (!hook.TryGetU32(NFTA_HOOK_HOOKNUM, out uint number) || !hook.TryGetU32(NFTA_HOOK_PRIORITY, out uint priority))
        {
            return Errno.ENOENT;
        }

        string type = a.Text(NFTA_CHAIN_TYPE);
        type = type.Length == 0 ? "filter" : type;
        int hooks = type switch
        {
            "filter" => 0x1f,
            "nat" => 0x1b,
            "route" => 1 << Linux.Netfilter.NF_INET_LOCAL_OUT,
            _ => 0,
        };
        if (hooks == 0 || number >= Linux.Netfilter.NF_INET_NUMHOOKS || (hooks >> (int)number & 1) == 0)
        {
            return hooks == 0 ? Errno.ENOENT : Errno.EOPNOTSUPP;
        }

        if (type == "nat" && unchecked((int)priority) <= trackingPriority)
        {
            return Errno.EOPNOTSUPP;
        }

        if ((flags & ~NFT_CHAIN_BASE) != 0)
        {
            return Errno.EOPNOTSUPP;
        }

        chain = new NftChain(name, table.TakeHandle(), new RuleChain()) { IsBase = true, Hook = (int)number, Priority = unchecked((int)priority), Type = type, Flags = NFT_CHAIN_BASE };
        return Errno.None;
    }

    private Errno DeleteChain(int family, NftAttributes a)
    {
        if (FindTable(family, a, NFTA_CHAIN_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_CHAIN_TABLE);
        }

        NftChain? chain = a.TryGetU64(NFTA_CHAIN_HANDLE, out ulong handle) ? table.Chains.Find(one => one.Handle == handle) : table.FindChain(a.Text(NFTA_CHAIN_NAME));
        int named = a.Has(NFTA_CHAIN_HANDLE) ? NFTA_CHAIN_HANDLE : NFTA_CHAIN_NAME;
        if (chain is null)
        {
            return Fail(Errno.ENOENT, named);
        }

        if (table.CountUses(chain) > 0)
        {
            return Fail(Errno.EBUSY, named);
        }

        foreach (NftRule rule in chain.Rules.ToArray())
        {
            Remove(table, chain, rule);
        }

        table.Chains.Remove(chain);
        return Errno.None;
    }

    private NftChain? FindChainOfRule(NftTable table, NftAttributes a) => a.Has(NFTA_RULE_CHAIN) ? table.FindChain(a.Text(NFTA_RULE_CHAIN))
        : a.TryGetU32(NFTA_RULE_CHAIN_ID, out uint id) && _chains.TryGetValue(id, out NftChain? chain) && table.FindChain(chain.Live) is { } there ? there : null;

    private Errno NewRule(int family, int flags, NftAttributes a)
    {
        if (FindTable(family, a, NFTA_RULE_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_RULE_TABLE);
        }

        if (FindChainOfRule(table, a) is not { } chain)
        {
            return Fail(Errno.ENOENT, NFTA_RULE_CHAIN);
        }

        NftRule? old = null;
        int at = (flags & Append) != 0 ? chain.Rules.Count : 0;
        if (a.TryGetU64(NFTA_RULE_HANDLE, out ulong handle))
        {
            at = chain.Rules.FindIndex(one => one.Handle == handle);
            if (at < 0 || (flags & Exclusive) != 0 || (flags & Replace) == 0)
            {
                return at < 0 ? Fail(Errno.ENOENT, NFTA_RULE_HANDLE) : (flags & Exclusive) != 0 ? Errno.EEXIST : Errno.EOPNOTSUPP;
            }

            old = chain.Rules[at];
        }
        else if (a.TryGetU64(NFTA_RULE_POSITION, out ulong position) || (a.TryGetU32(NFTA_RULE_POSITION_ID, out uint positionId) && _rules.TryGetValue(positionId, out position)))
        {
            at = chain.Rules.FindIndex(one => one.Handle == position);
            if (at < 0)
            {
                return Fail(Errno.ENOENT, NFTA_RULE_POSITION);
            }

            at += (flags & Append) != 0 ? 1 : 0;
        }

        if (chain.Rules.Count >= MaximumRules)
        {
            return Errno.ENFILE;
        }

        Errno error = TryMakeRule(table, chain, a, out NftRule? rule);
        if (error != Errno.None)
        {
            return error;
        }

        if (a.TryGetU32(NFTA_RULE_ID, out uint id))
        {
            _rules[id] = rule!.Handle;
        }

        chain.Rules.Insert(at, rule!);
        if (old is not null)
        {
            Remove(table, chain, old);
        }

        return Errno.None;
    }

    private Errno TryMakeRule(NftTable table, NftChain chain, NftAttributes a, out NftRule? rule)
    {
        const uint inverted = 2;
        rule = null;
        NftAttributes compat = a.Nest(NFTA_RULE_COMPAT);
        byte protocol = (compat.U32(NFTA_RULE_COMPAT_FLAGS) & inverted) != 0 ? (byte)0 : unchecked((byte)compat.U32(NFTA_RULE_COMPAT_PROTO));
        NftCompiler compiler = new(table, chain, protocol, _chains, _sets);
        List<NftExpression> expressions = [];
        List<Expression> live = [];
        a.TryGet(NFTA_RULE_EXPRESSIONS, out ReadOnlySpan<byte> rest);
        while (NftAttributes.TryNext(ref rest, out int type, out ReadOnlySpan<byte> data))
        {
            NftAttributes expression = new(data);
            if (type != NFTA_LIST_ELEM || expressions.Count == MaximumExpressions)
            {
                return Errno.EINVAL;
            }

            if (expression.TryGet(NFTA_EXPR_DATA, out ReadOnlySpan<byte> parts) && parts.Length > MaximumExpressionData)
            {
                return Errno.EINVAL;
            }

            Errno error = compiler.TryMake(expression.Text(NFTA_EXPR_NAME), parts, out NftExpression made);
            if (error != Errno.None)
            {
                return error;
            }

            expressions.Add(made);
            if (made.Live is not null)
            {
                live.Add(made.Live);
            }
        }

        rule = new NftRule(table.TakeHandle(), [.. expressions], new FilterRule([.. live]), UserData(a, NFTA_RULE_USERDATA));
        return Errno.None;
    }

    private Errno DeleteRule(int family, NftAttributes a)
    {
        if (FindTable(family, a, NFTA_RULE_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_RULE_TABLE);
        }

        NftChain? only = null;
        if (a.Has(NFTA_RULE_CHAIN))
        {
            only = table.FindChain(a.Text(NFTA_RULE_CHAIN));
            if (only is null)
            {
                return Fail(Errno.ENOENT, NFTA_RULE_CHAIN);
            }
        }

        bool hasHandle = a.TryGetU64(NFTA_RULE_HANDLE, out ulong handle) || (a.TryGetU32(NFTA_RULE_ID, out uint id) && _rules.TryGetValue(id, out handle));
        if (hasHandle || a.Has(NFTA_RULE_ID))
        {
            if (only?.Rules.Find(one => one.Handle == handle) is not { } rule || !hasHandle)
            {
                return only is null ? Errno.EINVAL : Fail(Errno.ENOENT, NFTA_RULE_HANDLE);
            }

            Remove(table, only, rule);
            return Errno.None;
        }

        foreach (NftChain chain in table.Chains.ToArray())
        {
            if (only is null || chain == only)
            {
                foreach (NftRule rule in chain.Rules.ToArray())
                {
                    Remove(table, chain, rule);
                }
            }
        }

        return Errno.None;
    }

    // With a rule go the sets and chains without a name that only it used.
    private static void Remove(NftTable table, NftChain chain, NftRule rule)
    {
        chain.Rules.Remove(rule);
        foreach (NftExpression expression in rule.Expressions)
        {
            if (expression.Set is { } live && table.FindSet(live) is { IsAnonymous: true } set && table.CountUses(set) == 0)
            {
                table.Sets.Remove(set);
            }

            if (expression.Jump is { } jump && table.FindChain(jump) is { } target && (target.Flags & NFT_CHAIN_BINDING) != 0 && table.CountUses(target) == 0)
            {
                table.Chains.Remove(target);
                foreach (NftRule inner in target.Rules.ToArray())
                {
                    Remove(table, target, inner);
                }
            }
        }
    }
}
