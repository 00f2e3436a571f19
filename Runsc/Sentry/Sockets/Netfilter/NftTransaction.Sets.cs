using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using static Runsc.Linux.NfTables;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Sets and their elements.</summary>
internal sealed partial class NftTransaction
{
    // Milliseconds: a century.
    private const ulong MaximumTimeout = 100UL * 365 * 24 * 3600 * 1000;

    private Errno NewSet(int family, int flags, NftAttributes a)
    {
        const uint known = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_CONCAT
            | NFT_SET_TIMEOUT | NFT_SET_EVAL | NFT_SET_OBJECT | NFT_SET_EXPR;
        if (FindTable(family, a, NFTA_SET_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_SET_TABLE);
        }

        string name = a.Text(NFTA_SET_NAME);
        uint kind = a.U32(NFTA_SET_FLAGS);
        if (!IsName(name) || !a.Has(NFTA_SET_KEY_LEN))
        {
            return Errno.EINVAL;
        }

        bool isObjectMap = (kind & NFT_SET_OBJECT) != 0, isChanged = (kind & NFT_SET_EVAL) != 0;
        if ((kind & ~known) != 0 || (isObjectMap && (kind & (NFT_SET_MAP | NFT_SET_EVAL | NFT_SET_TIMEOUT)) != 0) || (isChanged && (kind & NFT_SET_CONSTANT) != 0))
        {
            return Errno.EOPNOTSUPP;
        }

        a.TryGetU64(NFTA_SET_TIMEOUT, out ulong timeout);
        if ((a.Has(NFTA_SET_TIMEOUT) && (kind & NFT_SET_TIMEOUT) == 0) || timeout > MaximumTimeout || isObjectMap != a.Has(NFTA_SET_OBJ_TYPE))
        {
            return Errno.EINVAL;
        }

        uint keyLength = a.U32(NFTA_SET_KEY_LEN), dataType = a.U32(NFTA_SET_DATA_TYPE), dataLength = a.U32(NFTA_SET_DATA_LEN);
        bool isMap = (kind & NFT_SET_MAP) != 0, isVerdictMap = isMap && dataType == NFT_DATA_VERDICT;
        if (keyLength is 0 or > FilterContext.RegisterBytes || (isMap && !isVerdictMap && dataLength is 0 or > FilterContext.RegisterBytes) || (!isMap && a.Has(NFTA_SET_DATA_TYPE)))
        {
            return Errno.EINVAL;
        }

        if (table.FindSet(name) is { } present && (kind & NFT_SET_ANONYMOUS) == 0)
        {
            return (flags & Exclusive) != 0 ? Errno.EEXIST
                : present.Timeout == timeout && present.KeyLength == keyLength && present.Flags == kind && present.DataLength == (isVerdictMap ? 0 : dataLength) ? Errno.None : Errno.EEXIST;
        }

        if (table.Sets.Count >= MaximumObjects)
        {
            return Errno.ENFILE;
        }

        Errno error = TryReadFields(a.Nest(NFTA_SET_DESC), (int)keyLength, out int[] fields);
        if (error != Errno.None)
        {
            return error;
        }

        error = TryReadStateful(new NftCompiler(table, new NftChain("", 0, new RuleChain()), 0, _chains, _sets), a, NFTA_SET_EXPR, NFTA_SET_EXPRESSIONS, out NftExpression[] expressions);
        if (error != Errno.None)
        {
            return error;
        }

        if ((kind & NFT_SET_ANONYMOUS) != 0)
        {
            // The name is a pattern: __set%d, __map%d.
            int place = name.IndexOf("%d", StringComparison.Ordinal);
            if (place < 0 || name.IndexOf('%', place + 1) >= 0)
            {
                return Errno.EINVAL;
            }

            do
            {
                name = $"{name[..place]}{table.NextAnonymous++}";
            }
            while (table.FindSet(name) is not null);
        }

        bool hasRanges = (kind & NFT_SET_CONCAT) != 0 && (kind & NFT_SET_INTERVAL) != 0;
        int[] ranges = hasRanges ? fields : [];
        if (hasRanges && fields.Length == 0)
        {
            return Errno.EINVAL;
        }

        // Those that rules change, and those that time changes, live below.
        bool isDynamic = (kind & (NFT_SET_TIMEOUT | NFT_SET_EVAL)) != 0;
        bool givesSize = a.Nest(NFTA_SET_DESC).TryGetU32(NFTA_SET_DESC_SIZE, out uint size) && size > 0;
        size = isDynamic ? Math.Min(givesSize ? size : MaximumElements, MaximumElements) : size;
        NftSet set = new(name, table.TakeHandle(), new FilterSet((kind & NFT_SET_INTERVAL) != 0, ranges, isDynamic, (int)Math.Min(size, int.MaxValue), isDynamic ? filter.Budget : null))
        {
            Flags = kind,
            KeyType = a.U32(NFTA_SET_KEY_TYPE),
            KeyLength = (int)keyLength,
            DataType = dataType,
            DataLength = isVerdictMap ? 0 : (int)dataLength,
            Policy = a.U32(NFTA_SET_POLICY),
            Size = isDynamic && !givesSize ? 0 : size,
            Timeout = timeout,
            GcInterval = a.U32(NFTA_SET_GC_INTERVAL),
            ObjectType = a.U32(NFTA_SET_OBJ_TYPE),
            Expressions = expressions,
            Fields = fields,
            UserData = UserData(a, NFTA_SET_USERDATA),
        };
        table.Sets.Add(set);
        if (a.TryGetU32(NFTA_SET_ID, out uint id))
        {
            _sets[id] = set;
        }

        return Errno.None;
    }

    /// <summary>Expressions that elements have one of each: one alone, or a list.</summary>
    internal static Errno TryReadStateful(NftCompiler compiler, NftAttributes a, int single, int list, out NftExpression[] expressions)
    {
        const int most = 2;
        expressions = [];
        List<NftExpression> found = [];
        if (a.TryGet(single, out ReadOnlySpan<byte> one))
        {
            Errno error = compiler.TryMakeStateful(new NftAttributes(one), out NftExpression? made);
            if (error != Errno.None)
            {
                return error;
            }

            found.Add(made!);
        }

        a.TryGet(list, out ReadOnlySpan<byte> rest);
        while (NftAttributes.TryNext(ref rest, out _, out ReadOnlySpan<byte> data))
        {
            if (found.Count == most)
            {
                return Errno.E2BIG;
            }

            Errno error = compiler.TryMakeStateful(new NftAttributes(data), out NftExpression? made);
            if (error != Errno.None)
            {
                return error;
            }

            found.Add(made!);
        }

        expressions = [.. found];
        return Errno.None;
    }

    private static Errno TryReadFields(NftAttributes description, int keyLength, out int[] fields)
    {
        fields = [];
        if (!description.TryGet(NFTA_SET_DESC_CONCAT, out ReadOnlySpan<byte> rest))
        {
            return Errno.None;
        }

        List<int> lengths = [];
        int sum = 0;
        while (NftAttributes.TryNext(ref rest, out _, out ReadOnlySpan<byte> data))
        {
            uint length = new NftAttributes(data).U32(NFTA_SET_FIELD_LEN);
            if (length is 0 or > FilterContext.RegisterBytes)
            {
                return Errno.EINVAL;
            }

            lengths.Add((int)length);
            sum += ((int)length + 3) & ~3;
        }

        fields = [.. lengths];
        return sum == keyLength ? Errno.None : Errno.EINVAL;
    }

    private Errno DeleteSet(int family, NftAttributes a)
    {
        if (FindTable(family, a, NFTA_SET_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_SET_TABLE);
        }

        NftSet? set = a.TryGetU64(NFTA_SET_HANDLE, out ulong handle) ? table.Sets.Find(one => one.Handle == handle) : table.FindSet(a.Text(NFTA_SET_NAME));
        int named = a.Has(NFTA_SET_HANDLE) ? NFTA_SET_HANDLE : NFTA_SET_NAME;
        if (set is null)
        {
            return Fail(Errno.ENOENT, named);
        }

        if (table.CountUses(set) > 0)
        {
            return Fail(Errno.EBUSY, named);
        }

        table.Sets.Remove(set);
        return Errno.None;
    }

    private Errno ChangeElements(int family, int flags, NftAttributes a, bool isNew)
    {
        if (FindTable(family, a, NFTA_SET_ELEM_LIST_TABLE) is not { } table)
        {
            return Fail(Errno.ENOENT, NFTA_SET_ELEM_LIST_TABLE);
        }

        NftSet? set = table.FindSet(a.Text(NFTA_SET_ELEM_LIST_SET));
        if (set is null && a.TryGetU32(NFTA_SET_ELEM_LIST_SET_ID, out uint id) && _sets.TryGetValue(id, out NftSet? made))
        {
            set = table.FindSet(made.Live);
        }

        if (set is null)
        {
            return Fail(Errno.ENOENT, NFTA_SET_ELEM_LIST_SET);
        }

        if (!a.TryGet(NFTA_SET_ELEM_LIST_ELEMENTS, out ReadOnlySpan<byte> rest))
        {
            if (isNew)
            {
                return Errno.EINVAL;
            }

            set.Elements.Clear();
            set.Changes.Add(new NftElementChange(null, isNew: false, 0));
            return Errno.None;
        }

        // The elements in the order of their keys, so that each is found by halving.
        NftCompiler compiler = new(table, new NftChain("", 0, new RuleChain()), 0, _chains, _sets);
        while (NftAttributes.TryNext(ref rest, out _, out ReadOnlySpan<byte> data))
        {
            Errno error = TryMakeElement(compiler, table, set, new NftAttributes(data), isNew, out SetElement? element, out long left);
            if (error == Errno.None && set.Live.IsDynamic)
            {
                error = ChangeDynamic(set, element!, flags, isNew, left);
                element = null;
            }

            if (error != Errno.None)
            {
                return error;
            }

            if (element is null)
            {
                continue;
            }

            int at = set.Elements.BinarySearch(element, s_order);
            if (isNew && at >= 0)
            {
                if ((flags & Exclusive) != 0 || ((set.IsMap || set.IsObjectMap) && !IsSame(set.Elements[at], element)))
                {
                    return Errno.EEXIST;
                }

                continue;
            }

            if (!isNew)
            {
                if (at < 0)
                {
                    return Errno.ENOENT;
                }

                set.Elements.RemoveAt(at);
                continue;
            }

            if (set.Elements.Count >= MaximumElements || (set.Size > 0 && set.Elements.Count >= set.Size && !set.HasIntervals))
            {
                return Errno.ENFILE;
            }

            set.Elements.Insert(~at, element);
        }

        return Errno.None;
    }

    private static readonly IComparer<SetElement> s_order = Comparer<SetElement>.Create(FilterSet.CompareWhole);

    /// <summary>Notes a change of a set that rules or time change, too: whether an element is there is as it looks now.</summary>
    private Errno ChangeDynamic(NftSet set, SetElement element, int flags, bool isNew, long left)
    {
        int added = 0;
        bool? isThere = null;
        foreach (NftElementChange change in set.Changes)
        {
            added = change.Element is null ? 0 : added + (change.IsNew ? 1 : -1);
            isThere = change.Element is null ? false : FilterSet.CompareWhole(change.Element, element) == 0 ? change.IsNew : isThere;
        }

        using (filter.Stack.Enter())
        {
            long now = filter.Stack.Now;
            if (isThere is null)
            {
                isThere = set.Live.FindEqual(element, now) is not null;
            }

            if (isNew && set.Size > 0 && isThere == false)
            {
                set.Live.Purge(now);
                if (set.Live.Elements.Length + added >= set.Size)
                {
                    return Errno.ENFILE;
                }
            }
        }

        bool isDone = isThere == true == isNew;
        if (isDone)
        {
            return !isNew ? Errno.ENOENT : (flags & Exclusive) != 0 ? Errno.EEXIST : Errno.None;
        }

        set.Changes.Add(new NftElementChange(element, isNew, left));
        return Errno.None;
    }

    private static bool IsSame(SetElement a, SetElement b) => a.Data.AsSpan().SequenceEqual(b.Data) && a.Verdict?.Verdict == b.Verdict?.Verdict && a.Verdict?.Target == b.Verdict?.Target && a.Object == b.Object;

    private static Errno TryMakeElement(NftCompiler compiler, NftTable table, NftSet set, NftAttributes a, bool isNew, out SetElement? element, out long left)
    {
        const long millisecond = 1_000_000;
        element = null;
        left = 0;
        uint flags = a.U32(NFTA_SET_ELEM_FLAGS);
        if ((flags & ~NFT_SET_ELEM_INTERVAL_END) != 0)
        {
            return Errno.EOPNOTSUPP;
        }

        if (!a.Nest(NFTA_SET_ELEM_KEY).TryGet(NFTA_DATA_VALUE, out ReadOnlySpan<byte> key) || key.Length != set.KeyLength)
        {
            return Errno.EINVAL;
        }

        bool hasEnd = a.Nest(NFTA_SET_ELEM_KEY_END).TryGet(NFTA_DATA_VALUE, out ReadOnlySpan<byte> end);
        if (hasEnd && (end.Length != set.KeyLength || set.Fields.Length == 0))
        {
            return Errno.EINVAL;
        }

        if (a.TryGet(NFTA_SET_ELEM_USERDATA, out ReadOnlySpan<byte> kept) && kept.Length > MaximumUserData)
        {
            return Errno.EINVAL;
        }

        bool isEnd = (flags & NFT_SET_ELEM_INTERVAL_END) != 0;
        byte[] data = [];
        VerdictExpression? verdict = null;
        if (isEnd && !set.HasIntervals)
        {
            return Errno.EINVAL;
        }

        if (set.IsMap && !isEnd && isNew)
        {
            NftAttributes value = a.Nest(NFTA_SET_ELEM_DATA);
            if (set.IsVerdictMap)
            {
                Errno error = compiler.TryMakeVerdict(value.Nest(NFTA_DATA_VERDICT), out verdict);
                if (error != Errno.None)
                {
                    return error;
                }
            }
            else if (!value.TryGet(NFTA_DATA_VALUE, out ReadOnlySpan<byte> bytes) || bytes.Length != set.DataLength)
            {
                return Errno.EINVAL;
            }
            else
            {
                data = bytes.ToArray();
            }
        }
        else if (!set.IsMap && a.Has(NFTA_SET_ELEM_DATA))
        {
            return Errno.EINVAL;
        }

        bool hasTimeout = a.TryGetU64(NFTA_SET_ELEM_TIMEOUT, out ulong timeout);
        a.TryGetU64(NFTA_SET_ELEM_EXPIRATION, out ulong expiration);
        if (((hasTimeout || expiration != 0) && (set.Flags & NFT_SET_TIMEOUT) == 0) || timeout > MaximumTimeout || expiration > MaximumTimeout)
        {
            return Errno.EINVAL;
        }

        NftObject? named = null;
        if (isNew && !isEnd && set.IsObjectMap && (named = table.FindObject(a.Text(NFTA_SET_ELEM_OBJREF), set.ObjectType)) is null)
        {
            return a.Has(NFTA_SET_ELEM_OBJREF) ? Errno.ENOENT : Errno.EINVAL;
        }

        Errno state = TryReadStateful(compiler, a, NFTA_SET_ELEM_EXPR, NFTA_SET_ELEM_EXPRESSIONS, out NftExpression[] given);
        if (state != Errno.None)
        {
            return state;
        }

        // Those of the set; what comes with the element is what was counted before.
        NftExpression[] expressions = given.Length > 0 ? given : isEnd ? [] : set.Expressions;
        StatefulExpression[] stateful = expressions.Length == 0 ? [] : new StatefulExpression[expressions.Length];
        for (int i = 0; i < stateful.Length; i++)
        {
            StatefulExpression one = (StatefulExpression)expressions[i].Live!;
            stateful[i] = given.Length > 0 ? one : one.Fresh();
        }

        left = (long)expiration * millisecond;
        element = new SetElement(key.ToArray())
        {
            KeyEnd = hasEnd ? end.ToArray() : null,
            IsEnd = isEnd,
            Data = data,
            Verdict = verdict,
            Object = named?.Live,
            Stateful = stateful,
            Timeout = isEnd ? 0 : (long)(hasTimeout ? timeout : set.Timeout) * millisecond,
            UserData = UserData(a, NFTA_SET_ELEM_USERDATA),
        };
        return Errno.None;
    }
}
