using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using Runsc.NetStack.Filter.Tracking;
using static Runsc.Linux.NfTables;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Makes expressions of what a rule says (linux/netfilter/nf_tables.h).</summary>
/// <param name="table">The table, as it is within the transaction.</param>
/// <param name="chain">The rule's chain.</param>
/// <param name="protocol">What NFTA_RULE_COMPAT says, or 0.</param>
/// <param name="chains">Chains that the transaction has made, by number.</param>
/// <param name="sets">And sets.</param>
internal readonly struct NftCompiler(NftTable table, NftChain chain, byte protocol, Dictionary<uint, NftChain> chains, Dictionary<uint, NftSet> sets)
{
    private const int MaximumExpression = 256;
    private const int MaximumData = FilterContext.RegisterBytes;

    /// <summary>ENOENT for expressions that are not there, EINVAL for broken ones.</summary>
    public Errno TryMake(string name, ReadOnlySpan<byte> data, out NftExpression expression)
    {
        expression = new NftExpression(name, data.ToArray());
        NftAttributes a = new(data);
        Errno error = name switch
        {
            "immediate" => Immediate(a, expression),
            "cmp" => Compare(a, expression),
            "range" => Range(a, expression),
            "bitwise" => Bitwise(a, expression),
            "byteorder" => ByteOrder(a, expression),
            "payload" => Payload(a, expression),
            "meta" => Meta(a, expression),
            "ct" => Connection(a, expression),
            "lookup" => Lookup(a, expression),
            "counter" => Counter(a, expression),
            "limit" => Limit(a, expression),
            "quota" => Quota(a, expression),
            "connlimit" => ConnectionLimit(a, expression),
            "dynset" => ChangeSet(a, expression),
            "objref" => ObjectReference(a, expression),
            "log" => Log(a, expression),
            "reject" => Reject(a, expression),
            "nat" => Nat(a, expression),
            "masq" => Masquerade(a, expression),
            "redir" => Redirect(a, expression),
            "numgen" => Number(a, expression),
            "hash" => Hash(a, expression),
            "fib" => Fib(a, expression),
            "notrack" => NoTrack(expression),
            "match" or "target" => Compatible(a, name == "target", expression),
            _ => Errno.ENOENT,
        };
        if (expression.Live is StatefulExpression stateful && expression.Object is null)
        {
            stateful.Origin = expression;
        }

        return error;
    }

    /// <summary>An expression of an element of a set: one that remembers something.</summary>
    public Errno TryMakeStateful(NftAttributes a, out NftExpression? made)
    {
        made = null;
        a.TryGet(NFTA_EXPR_DATA, out ReadOnlySpan<byte> data);
        if (data.Length > MaximumExpression)
        {
            return Errno.EINVAL;
        }

        Errno error = TryMake(a.Text(NFTA_EXPR_NAME), data, out made);
        return error == Errno.None && made!.Live is not StatefulExpression ? Errno.EOPNOTSUPP : error;
    }

    /// <summary>A verdict of NFTA_DATA_VERDICT.</summary>
    public Errno TryMakeVerdict(NftAttributes verdict, out VerdictExpression? made)
    {
        made = null;
        if (!verdict.TryGetU32(NFTA_VERDICT_CODE, out uint code))
        {
            return Errno.EINVAL;
        }

        Verdict? kind = unchecked((int)code) switch
        {
            Linux.Netfilter.NF_DROP => Verdict.Drop,
            Linux.Netfilter.NF_ACCEPT => Verdict.Accept,
            NFT_CONTINUE => Verdict.Continue,
            NFT_BREAK => Verdict.Break,
            NFT_JUMP => Verdict.Jump,
            NFT_GOTO => Verdict.Goto,
            NFT_RETURN => Verdict.Return,
            _ => null,
        };
        if (kind is not { } known)
        {
            return Errno.EINVAL;
        }

        NftChain? target = null;
        if (known is Verdict.Jump or Verdict.Goto)
        {
            target = verdict.TryGetU32(NFTA_VERDICT_CHAIN_ID, out uint id) ? chains.GetValueOrDefault(id) : table.FindChain(verdict.Text(NFTA_VERDICT_CHAIN));
            if (target is null)
            {
                return Errno.ENOENT;
            }

            if (target.IsBase)
            {
                return Errno.EOPNOTSUPP;
            }
        }

        made = new VerdictExpression(known, target?.Live);
        return Errno.None;
    }

    private Errno Immediate(NftAttributes a, NftExpression expression)
    {
        const int dreg = 1, data = 2;
        NftAttributes value = a.Nest(data);
        if (a.U32(dreg, uint.MaxValue) == 0)
        {
            Errno error = TryMakeVerdict(value.Nest(NFTA_DATA_VERDICT), out VerdictExpression? verdict);
            expression.Live = verdict;
            expression.Jump = verdict?.Target;
            return error;
        }

        if (!value.TryGet(NFTA_DATA_VALUE, out ReadOnlySpan<byte> bytes) || bytes.Length is 0 or > 16 || !TryRegister(a, dreg, bytes.Length, out int register))
        {
            return Errno.EINVAL;
        }

        expression.Live = new ImmediateExpression(register, bytes.ToArray());
        return Errno.None;
    }

    private static Errno Compare(NftAttributes a, NftExpression expression)
    {
        const int sreg = 1, op = 2, data = 3;
        uint operation = a.U32(op, uint.MaxValue);
        if (operation > (uint)CompareOperation.GreaterOrEqual || !TryValue(a, data, out byte[] value) || !TryRegister(a, sreg, value.Length, out int register))
        {
            return Errno.EINVAL;
        }

        expression.Live = new CompareExpression(register, (CompareOperation)operation, value);
        return Errno.None;
    }

    private static Errno Range(NftAttributes a, NftExpression expression)
    {
        const int sreg = 1, op = 2, from = 3, to = 4;
        uint operation = a.U32(op, uint.MaxValue);
        if (operation > 1 || !TryValue(a, from, out byte[] first) || !TryValue(a, to, out byte[] last) || first.Length != last.Length || !TryRegister(a, sreg, first.Length, out int register))
        {
            return Errno.EINVAL;
        }

        expression.Live = new RangeExpression(register, operation == 0, first, last);
        return Errno.None;
    }

    private static Errno Bitwise(NftAttributes a, NftExpression expression)
    {
        const int sreg = 1, dreg = 2, len = 3, mask = 4, xor = 5, op = 6;
        if (a.U32(op) != 0)
        {
            return Errno.EOPNOTSUPP;
        }

        int length = (int)Math.Min(a.U32(len), MaximumData + 1u);
        if (length is 0 or > MaximumData || !TryRegister(a, sreg, length, out int source) || !TryRegister(a, dreg, length, out int target)
            || !TryValue(a, mask, out byte[] and) || !TryValue(a, xor, out byte[] other) || and.Length != length || other.Length != length)
        {
            return Errno.EINVAL;
        }

        expression.Live = new BitwiseExpression(source, target, and, other);
        return Errno.None;
    }

    private static Errno ByteOrder(NftAttributes a, NftExpression expression)
    {
        const int sreg = 1, dreg = 2, op = 3, len = 4, sizeAttribute = 5;
        int length = (int)Math.Min(a.U32(len), MaximumData + 1u);
        uint size = a.U32(sizeAttribute);
        if (a.U32(op, uint.MaxValue) > 1 || size is not (2 or 4 or 8) || length is 0 or > MaximumData || !TryRegister(a, sreg, length, out int source) || !TryRegister(a, dreg, length, out int target))
        {
            return Errno.EINVAL;
        }

        expression.Live = new ByteOrderExpression(source, target, length, (int)size);
        return Errno.None;
    }

    private static Errno Payload(NftAttributes a, NftExpression expression)
    {
        const int dreg = 1, baseAttribute = 2, offsetAttribute = 3, len = 4, sreg = 5, csumType = 6, csumOffset = 7, csumFlags = 8;
        const uint pseudo = 1, inet = 1;
        uint from = a.U32(baseAttribute, uint.MaxValue), offset = a.U32(offsetAttribute, uint.MaxValue), length = a.U32(len);
        if (from > (uint)PayloadBase.Transport || offset > byte.MaxValue || length is 0 or > MaximumData)
        {
            return from is > (uint)PayloadBase.Transport and <= 4 ? Errno.EOPNOTSUPP : from == uint.MaxValue ? Errno.EINVAL : Errno.ERANGE;
        }

        if (a.Has(sreg))
        {
            uint checksum = a.U32(csumOffset), type = a.U32(csumType);
            if (!TryRegister(a, sreg, (int)length, out int source) || type > inet || checksum > byte.MaxValue)
            {
                return Errno.EINVAL;
            }

            expression.Live = new PayloadWriteExpression((PayloadBase)from, (int)offset, (int)length, source, type == inet ? (int)checksum : -1, (a.U32(csumFlags) & pseudo) != 0);
            return Errno.None;
        }

        if (!TryRegister(a, dreg, (int)length, out int target))
        {
            return Errno.EINVAL;
        }

        expression.Live = new PayloadExpression((PayloadBase)from, (int)offset, (int)length, target);
        return Errno.None;
    }

    private static Errno Meta(NftAttributes a, NftExpression expression)
    {
        const int dreg = 1, keyAttribute = 2, sreg = 3;
        MetaKey key = (MetaKey)Math.Min(a.U32(keyAttribute, int.MaxValue), int.MaxValue);
        int size = MetaExpression.SizeOf(key);
        if (a.Has(sreg))
        {
            if (key is not (MetaKey.Mark or MetaKey.Priority))
            {
                return Errno.EOPNOTSUPP;
            }

            if (!TryRegister(a, sreg, size, out int source))
            {
                return Errno.EINVAL;
            }

            expression.Live = new MetaWriteExpression(key, source);
            return Errno.None;
        }

        if (size == 0)
        {
            return Errno.EOPNOTSUPP;
        }

        if (!TryRegister(a, dreg, size, out int target))
        {
            return Errno.EINVAL;
        }

        expression.Live = new MetaExpression(key, target);
        return Errno.None;
    }

    private Errno Connection(NftAttributes a, NftExpression expression)
    {
        const int dreg = 1, keyAttribute = 2, direction = 3, sreg = 4;
        const int wholeAddress = 16;
        ConnectionKey key = (ConnectionKey)Math.Min(a.U32(keyAttribute, int.MaxValue), int.MaxValue);
        expression.Tracks = true;
        if (a.Has(sreg))
        {
            if (key != ConnectionKey.Mark)
            {
                return Errno.EOPNOTSUPP;
            }

            if (!TryRegister(a, sreg, sizeof(uint), out int source))
            {
                return Errno.EINVAL;
            }

            expression.Live = new ConnectionMarkExpression(source);
            return Errno.None;
        }

        int size = key switch
        {
            ConnectionKey.State or ConnectionKey.Status or ConnectionKey.Mark or ConnectionKey.Expiration or ConnectionKey.SourceV4 or ConnectionKey.DestinationV4 => 4,
            ConnectionKey.Direction or ConnectionKey.Family or ConnectionKey.Protocol => 1,
            ConnectionKey.Source or ConnectionKey.Destination => table.Family == NFPROTO_IPV4 ? 4 : wholeAddress,
            ConnectionKey.SourcePort or ConnectionKey.DestinationPort => 2,
            ConnectionKey.SourceV6 or ConnectionKey.DestinationV6 => wholeAddress,
            _ => 0,
        };
        if (size == 0)
        {
            return Errno.EOPNOTSUPP;
        }

        a.TryGet(direction, out ReadOnlySpan<byte> side);
        if (!TryRegister(a, dreg, size, out int target) || side is [> 1, ..])
        {
            return Errno.EINVAL;
        }

        expression.Live = new ConnectionExpression(key, side is [1, ..], target);
        return Errno.None;
    }

    private Errno Lookup(NftAttributes a, NftExpression expression)
    {
        const int setAttribute = 1, sreg = 2, dreg = 3, setId = 4, flagsAttribute = 5;
        const uint inverted = 1;
        if (FindSet(a, setAttribute, setId) is not { } set)
        {
            return Errno.ENOENT;
        }

        uint flags = a.U32(flagsAttribute);
        bool hasTarget = a.Has(dreg);
        int target = -1;
        if (!TryRegister(a, sreg, set.KeyLength, out int register) || (flags & ~inverted) != 0 || (hasTarget && (!set.IsMap || flags != 0)) || (!hasTarget && set.IsMap))
        {
            return Errno.EINVAL;
        }

        if (hasTarget && !set.IsVerdictMap && !TryRegister(a, dreg, set.DataLength, out target))
        {
            return Errno.EINVAL;
        }

        if (hasTarget && set.IsVerdictMap != (a.U32(dreg) == 0))
        {
            return Errno.EINVAL;
        }

        expression.Set = set.Live;
        expression.Live = new LookupExpression(set.Live, register, set.KeyLength, target, set.IsVerdictMap, flags != 0);
        return Errno.None;
    }

    private static Errno Counter(NftAttributes a, NftExpression expression)
    {
        a.TryGetU64(NFTA_COUNTER_BYTES, out ulong bytes);
        a.TryGetU64(NFTA_COUNTER_PACKETS, out ulong packets);
        expression.Live = new CounterExpression { Bytes = bytes, Packets = packets };
        return Errno.None;
    }

    private static Errno Limit(NftAttributes a, NftExpression expression)
    {
        const int rateAttribute = 1, unit = 2, burstAttribute = 3, type = 4, flags = 5;
        const ulong second = 1_000_000_000, longest = 7 * 24 * 3600;
        const uint defaultBurst = 5;
        uint burst = a.U32(burstAttribute);
        bool countsBytes = a.U32(type) == 1;
        if (!a.TryGetU64(rateAttribute, out ulong rate) || !a.TryGetU64(unit, out ulong seconds) || rate == 0 || seconds is 0 or > longest || a.U32(type) > 1)
        {
            return Errno.EINVAL;
        }

        expression.Live = new LimitExpression(rate, seconds * second, burst == 0 && !countsBytes ? defaultBurst : burst, countsBytes, (a.U32(flags) & 1) != 0);
        return Errno.None;
    }

    private static Errno Quota(NftAttributes a, NftExpression expression)
    {
        const uint inverted = 1, depleted = 2;
        uint flags = a.U32(NFTA_QUOTA_FLAGS);
        a.TryGetU64(NFTA_QUOTA_CONSUMED, out ulong consumed);
        if (!a.TryGetU64(NFTA_QUOTA_BYTES, out ulong bytes) || bytes > long.MaxValue || consumed > bytes || (flags & ~(inverted | depleted)) != 0)
        {
            return (flags & ~(inverted | depleted)) != 0 ? Errno.EOPNOTSUPP : Errno.EINVAL;
        }

        expression.Live = new QuotaExpression(bytes, consumed, (flags & inverted) != 0);
        return Errno.None;
    }

    private static Errno ConnectionLimit(NftAttributes a, NftExpression expression)
    {
        const int count = 1, flagsAttribute = 2;
        const uint inverted = 1, most = 65536;
        uint limit = a.U32(count), flags = a.U32(flagsAttribute);
        if (!a.Has(count) || limit > most || (flags & ~inverted) != 0)
        {
            return (flags & ~inverted) != 0 ? Errno.EOPNOTSUPP : Errno.EINVAL;
        }

        expression.Tracks = true;
        expression.Live = new ConnectionLimitExpression(limit, flags != 0);
        return Errno.None;
    }

    /// <summary>The set that an expression names, or that the transaction has made; null if it is not there.</summary>
    private NftSet? FindSet(NftAttributes a, int name, int number)
    {
        NftSet? set = table.FindSet(a.Text(name));
        if (set is null && a.TryGetU32(number, out uint id))
        {
            set = sets.GetValueOrDefault(id);
        }

        return set is null || table.FindSet(set.Live) is null ? null : set;
    }

    private Errno ChangeSet(NftAttributes a, NftExpression expression)
    {
        const int name = 1, id = 2, op = 3, key = 4, data = 5, timeoutAttribute = 6, single = 7, flagsAttribute = 9, list = 10;
        const uint inverted = 1, hasExpressions = 2;
        const ulong longest = 100UL * 365 * 24 * 3600 * 1000;
        if (FindSet(a, name, id) is not { } set)
        {
            return Errno.ENOENT;
        }

        uint operation = a.U32(op, uint.MaxValue), flags = a.U32(flagsAttribute);
        bool hasTimeout = a.TryGetU64(timeoutAttribute, out ulong timeout);
        int target = -1;
        if ((set.Flags & NFT_SET_EVAL) == 0 || set.HasIntervals || operation > (uint)SetOperation.Delete || (flags & ~(inverted | hasExpressions)) != 0)
        {
            return (set.Flags & NFT_SET_CONSTANT) != 0 ? Errno.EBUSY : Errno.EOPNOTSUPP;
        }

        if (!TryRegister(a, key, set.KeyLength, out int register) || (hasTimeout && (set.Flags & NFT_SET_TIMEOUT) == 0) || timeout > longest
            || a.Has(data) != (set.IsMap && operation != (uint)SetOperation.Delete) || set.IsVerdictMap || (a.Has(data) && !TryRegister(a, data, set.DataLength, out target)))
        {
            return set.IsVerdictMap ? Errno.EOPNOTSUPP : Errno.EINVAL;
        }

        Errno error = NftTransaction.TryReadStateful(this, a, single, list, out NftExpression[] given);
        if (error != Errno.None)
        {
            return error;
        }

        NftExpression[] own = given.Length > 0 ? given : set.Expressions;
        expression.Tracks = Array.Exists(own, one => one.Tracks);
        expression.Set = set.Live;
        expression.Live = new SetChangeExpression(
            set.Live, (SetOperation)operation, register, set.KeyLength, target, set.DataLength, (long)(hasTimeout ? timeout : set.Timeout) * 1_000_000, (flags & inverted) != 0,
            Array.ConvertAll(own, one => (StatefulExpression)one.Live!));
        return Errno.None;
    }

    private Errno ObjectReference(NftAttributes a, NftExpression expression)
    {
        const int type = 1, name = 2, key = 3, setName = 4, setId = 5;
        if (!a.Has(key))
        {
            if (table.FindObject(a.Text(name), a.U32(type)) is not { } found)
            {
                return a.Has(name) ? Errno.ENOENT : Errno.EINVAL;
            }

            expression.Object = found;
            expression.Live = found.Live;
            expression.Tracks = found.Expression.Tracks;
            return Errno.None;
        }

        if (FindSet(a, setName, setId) is not { } set)
        {
            return Errno.ENOENT;
        }

        if (!set.IsObjectMap || !TryRegister(a, key, set.KeyLength, out int register))
        {
            return Errno.EINVAL;
        }

        expression.Set = set.Live;
        expression.Live = new ObjectMapExpression(set.Live, register, set.KeyLength);
        expression.Tracks = set.ObjectType == NFT_OBJECT_CONNLIMIT;
        return Errno.None;
    }

    private static Errno Log(NftAttributes a, NftExpression expression)
    {
        const int group = 1, prefix = 2, level = 5;
        const uint levels = 9;
        if (a.Has(group))
        {
            // There is nobody to whom packets could be copied (NFLOG).
            return Errno.EOPNOTSUPP;
        }

        expression.Live = new LogExpression(a.Text(prefix));
        return a.U32(level) > levels ? Errno.EINVAL : Errno.None;
    }

    private static Errno Reject(NftAttributes a, NftExpression expression)
    {
        const int typeAttribute = 1, codeAttribute = 2;
        const uint unreachable = 0, reset = 1, both = 2;

        // NFT_REJECT_ICMPX_*: no route, port, host, prohibited.
        byte[] codesV4 = [0, 3, 1, 13], codesV6 = [0, 4, 3, 1];
        uint type = a.U32(typeAttribute, uint.MaxValue);
        a.TryGet(codeAttribute, out ReadOnlySpan<byte> bytes);
        byte code = bytes.Length > 0 ? bytes[0] : (byte)0;
        if (type > both || (type != reset && bytes.Length == 0) || (type == both && code >= codesV4.Length))
        {
            return Errno.EINVAL;
        }

        expression.Live = type == both ? new RejectExpression(codesV4[code], codesV6[code], resets: false) : new RejectExpression(code, code, resets: type != unreachable);
        return Errno.None;
    }

    private bool IsNatAt(params ReadOnlySpan<int> hooks) => !chain.IsBase || (chain.Type == "nat" && hooks.Contains(chain.Hook));

    private Errno Nat(NftAttributes a, NftExpression expression)
    {
        const int type = 1, familyAttribute = 2, minAddress = 3, maxAddress = 4, minPort = 5, maxPort = 6, flags = 7;
        bool isSource = a.U32(type, uint.MaxValue) == 0;
        expression.Tracks = true;
        if (a.U32(type, uint.MaxValue) > 1 || !(isSource ? IsNatAt(Linux.Netfilter.NF_INET_POST_ROUTING, Linux.Netfilter.NF_INET_LOCAL_IN)
            : IsNatAt(Linux.Netfilter.NF_INET_PRE_ROUTING, Linux.Netfilter.NF_INET_LOCAL_OUT)))
        {
            return a.U32(type, uint.MaxValue) > 1 ? Errno.EINVAL : Errno.EOPNOTSUPP;
        }

        uint family = a.U32(familyAttribute);
        if (family is not (NFPROTO_IPV4 or NFPROTO_IPV6))
        {
            return Errno.EAFNOSUPPORT;
        }

        int size = family == NFPROTO_IPV4 ? 4 : 16;
        if (!TryOptionalRegister(a, minAddress, size, out int firstAddress) || !TryOptionalRegister(a, maxAddress, size, out int lastAddress)
            || !TryOptionalRegister(a, minPort, 2, out int firstPort) || !TryOptionalRegister(a, maxPort, 2, out int lastPort) || !TryFlags(a, flags, out NatRange range))
        {
            return Errno.EINVAL;
        }

        expression.Live = new RegisterNatExpression(isSource, family == NFPROTO_IPV4, firstAddress, lastAddress, firstPort, lastPort, range);
        return Errno.None;
    }

    private Errno Masquerade(NftAttributes a, NftExpression expression)
    {
        const int flags = 1, minPort = 2, maxPort = 3;
        expression.Tracks = true;
        if (!IsNatAt(Linux.Netfilter.NF_INET_POST_ROUTING))
        {
            return Errno.EOPNOTSUPP;
        }

        if (!TryOptionalRegister(a, minPort, 2, out int first) || !TryOptionalRegister(a, maxPort, 2, out int last) || !TryFlags(a, flags, out NatRange range))
        {
            return Errno.EINVAL;
        }

        expression.Live = new MasqueradeExpression(range, first, last);
        return Errno.None;
    }

    private Errno Redirect(NftAttributes a, NftExpression expression)
    {
        const int minPort = 1, maxPort = 2, flags = 3;
        expression.Tracks = true;
        if (!IsNatAt(Linux.Netfilter.NF_INET_PRE_ROUTING, Linux.Netfilter.NF_INET_LOCAL_OUT))
        {
            return Errno.EOPNOTSUPP;
        }

        if (!TryOptionalRegister(a, minPort, 2, out int first) || !TryOptionalRegister(a, maxPort, 2, out int last) || !TryFlags(a, flags, out NatRange range))
        {
            return Errno.EINVAL;
        }

        expression.Live = new RedirectExpression(range, first, last);
        return Errno.None;
    }

    private static bool TryFlags(NftAttributes a, int type, out NatRange range)
    {
        const uint known = Linux.Netfilter.NF_NAT_RANGE_MAP_IPS | Linux.Netfilter.NF_NAT_RANGE_PROTO_SPECIFIED | Linux.Netfilter.NF_NAT_RANGE_PROTO_RANDOM
            | Linux.Netfilter.NF_NAT_RANGE_PERSISTENT | Linux.Netfilter.NF_NAT_RANGE_PROTO_RANDOM_FULLY;
        uint flags = a.U32(type);
        range = XtTargets.Range(flags & ~(Linux.Netfilter.NF_NAT_RANGE_MAP_IPS | Linux.Netfilter.NF_NAT_RANGE_PROTO_SPECIFIED), stackalloc byte[4]);
        return (flags & ~known) == 0;
    }

    private static Errno Number(NftAttributes a, NftExpression expression)
    {
        const int dreg = 1, modulus = 2, type = 3, offset = 4;
        uint kind = a.U32(type, uint.MaxValue);
        Errno error = kind > 1 ? Errno.EOPNOTSUPP : CheckRange(a.U32(modulus), a.U32(offset));
        if (error != Errno.None || !TryRegister(a, dreg, sizeof(uint), out int target))
        {
            return error != Errno.None ? error : Errno.EINVAL;
        }

        expression.Live = new NumberExpression((NumberKind)kind, a.U32(modulus), a.U32(offset), target);
        return Errno.None;
    }

    private static Errno CheckRange(uint modulus, uint offset) => modulus == 0 ? Errno.ERANGE : offset > uint.MaxValue - (modulus - 1) ? Errno.EOVERFLOW : Errno.None;

    private static Errno Hash(NftAttributes a, NftExpression expression)
    {
        const int sreg = 1, dreg = 2, len = 3, modulus = 4, seed = 5, offset = 6, type = 7;
        uint length = a.U32(len);
        Errno error = a.U32(type) != 0 ? Errno.EOPNOTSUPP : length is 0 or > MaximumData ? Errno.ERANGE : CheckRange(a.U32(modulus), a.U32(offset));
        if (error != Errno.None || !TryRegister(a, sreg, (int)length, out int source) || !TryRegister(a, dreg, sizeof(uint), out int target))
        {
            return error != Errno.None ? error : Errno.EINVAL;
        }

        // Without a seed, one that nobody knows.
        uint start = a.U32(seed, unchecked((uint)Random.Shared.Next()));
        expression.Live = new NumberExpression(NumberKind.Hash, a.U32(modulus), a.U32(offset), target) { Source = source, Length = (int)length, Seed = start };
        return Errno.None;
    }

    private Errno Fib(NftAttributes a, NftExpression expression)
    {
        const int dreg = 1, resultAttribute = 2, flagsAttribute = 3;
        const int coming = 1 << Linux.Netfilter.NF_INET_PRE_ROUTING | 1 << Linux.Netfilter.NF_INET_LOCAL_IN | 1 << Linux.Netfilter.NF_INET_FORWARD,
            going = 1 << Linux.Netfilter.NF_INET_LOCAL_OUT | 1 << Linux.Netfilter.NF_INET_POST_ROUTING | 1 << Linux.Netfilter.NF_INET_FORWARD;
        const uint from = FibExpression.FromSource | FibExpression.FromDestination, with = FibExpression.WithInput | FibExpression.WithOutput, known = from | with | FibExpression.WithMark | FibExpression.IsPresent;
        uint result = a.U32(resultAttribute), flags = a.U32(flagsAttribute);
        bool ofType = result == FibExpression.ResultType;
        int size = result == FibExpression.ResultName && (flags & FibExpression.IsPresent) == 0 ? 16 : sizeof(uint);
        if ((flags & ~known) != 0 || (flags & from) is 0 or from || (flags & with) == with || result is 0 or > FibExpression.ResultType || (ofType && (flags & FibExpression.IsPresent) != 0)
            || !TryRegister(a, dreg, size, out int target))
        {
            return Errno.EINVAL;
        }

        int hooks = !ofType || (flags & FibExpression.WithInput) != 0 ? coming : (flags & FibExpression.WithOutput) != 0 ? going : coming | going;
        if (chain.IsBase && (hooks & (1 << chain.Hook)) == 0)
        {
            return Errno.EOPNOTSUPP;
        }

        expression.Live = new FibExpression(result, flags, target);
        return Errno.None;
    }

    private static Errno NoTrack(NftExpression expression)
    {
        expression.Live = new UntrackExpression();
        return Errno.None;
    }

    private Errno Compatible(NftAttributes a, bool isTarget, NftExpression expression)
    {
        const int nameAttribute = 1, revision = 2, info = 3;
        const int allHooks = 0x1f;
        if (!a.TryGet(info, out ReadOnlySpan<byte> data) || table.Family is not (NFPROTO_IPV4 or NFPROTO_IPV6))
        {
            return table.Family == NFPROTO_INET ? Errno.EOPNOTSUPP : Errno.EINVAL;
        }

        // A chain that is jumped to may be reached from anywhere that its extensions take.
        byte[] padded = new byte[(data.Length + 7) & ~7];
        data.CopyTo(padded);
        XtPlace place = new(table.Family == NFPROTO_IPV4, chain.Type == "nat" ? "nat" : table.Name, chain.IsBase ? (1 << chain.Hook) & allHooks : 0, protocol);
        Errno error = XtExtensions.TryMake(place, isTarget, a.Text(nameAttribute), (int)Math.Min(a.U32(revision), int.MaxValue), padded, out Expression? made, out bool tracks);
        expression.Live = made;
        expression.Tracks = tracks;
        return error;
    }

    /// <summary>A register by its number, as an offset: four of 16 bytes, or sixteen of 4.</summary>
    private static bool TryRegister(NftAttributes a, int type, int length, out int offset)
    {
        uint register = a.U32(type);
        offset = register is >= 1 and <= 4 ? (int)(register - 1) * 16 : register is >= 8 and <= 23 ? (int)(register - 8) * 4 : -1;
        return offset >= 0 && length > 0 && offset + ((length + 3) & ~3) <= FilterContext.RegisterBytes;
    }

    private static bool TryOptionalRegister(NftAttributes a, int type, int length, out int offset)
    {
        offset = -1;
        return !a.Has(type) || TryRegister(a, type, length, out offset);
    }

    private static bool TryValue(NftAttributes a, int type, out byte[] value)
    {
        a.Nest(type).TryGet(NFTA_DATA_VALUE, out ReadOnlySpan<byte> bytes);
        value = bytes.ToArray();
        return value.Length is > 0 and <= MaximumData;
    }
}
