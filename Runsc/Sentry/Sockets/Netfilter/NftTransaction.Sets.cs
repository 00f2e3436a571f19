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
    private Errno NewSet(int family, int flags, NftAttributes a)
    {
        const uint known = NFT_SET_ANONYMOUS | NFT_SET_CONSTANT | NFT_SET_INTERVAL | NFT_SET_MAP | NFT_SET_CONCAT;
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

        if ((kind & ~known) != 0)
        {
            // Time-outs, elements that rules add, objects.
            return Errno.EOPNOTSUPP;
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
                : present.KeyLength == keyLength && present.Flags == kind && present.DataLength == (isVerdictMap ? 0 : dataLength) ? Errno.None : Errno.EEXIST;
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

        NftSet set = new(name, table.TakeHandle(), new FilterSet((kind & NFT_SET_INTERVAL) != 0, ranges))
        {
            Flags = kind,
            KeyType = a.U32(NFTA_SET_KEY_TYPE),
            KeyLength = (int)keyLength,
            DataType = dataType,
            DataLength = isVerdictMap ? 0 : (int)dataLength,
            Policy = a.U32(NFTA_SET_POLICY),
            Size = a.Nest(NFTA_SET_DESC).U32(NFTA_SET_DESC_SIZE),
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
            return Errno.None;
        }

        // The elements in the order of their keys, so that each is found by halving.
        NftCompiler compiler = new(table, new NftChain("", 0, new RuleChain()), 0, _chains, _sets);
        while (NftAttributes.TryNext(ref rest, out _, out ReadOnlySpan<byte> data))
        {
            Errno error = TryMakeElement(compiler, set, new NftAttributes(data), isNew, out NftElement? element);
            if (error != Errno.None)
            {
                return error;
            }

            int at = set.Elements.BinarySearch(element!, s_order);
            if (isNew && at >= 0)
            {
                if ((flags & Exclusive) != 0 || (set.IsMap && !IsSame(set.Elements[at].Live, element!.Live)))
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

            set.Elements.Insert(~at, element!);
        }

        return Errno.None;
    }

    private static readonly IComparer<NftElement> s_order = Comparer<NftElement>.Create((a, b) =>
    {
        int order = FilterSet.Compare(a.Live, b.Live);
        return order != 0 ? order : (a.Live.KeyEnd ?? a.Live.Key).AsSpan().SequenceCompareTo(b.Live.KeyEnd ?? b.Live.Key);
    });

    private static bool IsSame(SetElement a, SetElement b) => a.Data.AsSpan().SequenceEqual(b.Data) && a.Verdict?.Verdict == b.Verdict?.Verdict && a.Verdict?.Target == b.Verdict?.Target;

    private static Errno TryMakeElement(NftCompiler compiler, NftSet set, NftAttributes a, bool isNew, out NftElement? element)
    {
        element = null;
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

        element = new NftElement(new SetElement(key.ToArray()) { KeyEnd = hasEnd ? end.ToArray() : null, IsEnd = isEnd, Data = data, Verdict = verdict }, UserData(a, NFTA_SET_ELEM_USERDATA));
        return Errno.None;
    }
}
