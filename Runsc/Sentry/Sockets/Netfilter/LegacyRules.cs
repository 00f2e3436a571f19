using System;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using Runsc.NetStack.Filter.Matches;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Entries of a table that were checked, and the rules made of them.</summary>
internal sealed class LegacyRules
{
    // Inversions (IPT_INV_*) and flags (IPT_F_*, IP6T_F_*).
    private const int ViaIn = 1, ViaOut = 2, Source = 8, Destination = 0x10, Fragment = 0x20, Protocol = 0x40, KnownInverted = 0x7f;
    private const int FlagFragment = 1, FlagGoto = 2, FlagProtocolV6 = 1, FlagGotoV6 = 4;

    private readonly byte[] _blob;
    private readonly int[] _offsets;
    private readonly Dictionary<int, int> _indexes;
    private readonly CounterExpression[] _counters;

    private LegacyRules(byte[] blob, int[] offsets, Dictionary<int, int> indexes, int[] entries, int[] underflows)
    {
        _blob = blob;
        _offsets = offsets;
        _indexes = indexes;
        Entries = entries;
        Underflows = underflows;
        _counters = new CounterExpression[offsets.Length];
        for (int i = 0; i < offsets.Length; i++)
        {
            _counters[i] = new CounterExpression();
        }
    }

    public RuleChain Chain { get; } = new();

    /// <summary>Offsets by hook: where its rules begin, and its policy.</summary>
    public int[] Entries { get; }

    public int[] Underflows { get; }

    public int Count => _offsets.Length;

    public int Size => _blob.Length;

    /// <summary>Rules look at connections.</summary>
    public bool Tracks { get; private set; }

    /// <summary>Counters of all entries. The stack's lock is held.</summary>
    public IReadOnlyList<CounterExpression> Counters => _counters;

    public int IndexOf(int offset) => _indexes[offset];

    public FilterRule PolicyOf(int hook) => Chain.Rules[_indexes[Underflows[hook]]];

    /// <summary>The entries with their counters. The stack's lock is held.</summary>
    public void CopyTo(Span<byte> bytes, bool v4)
    {
        LegacyLayout layout = LegacyLayout.Of(v4);
        _blob.CopyTo(bytes);
        for (int i = 0; i < _offsets.Length; i++)
        {
            Span<byte> counters = bytes[(_offsets[i] + layout.Counters)..];
            BitConverter.TryWriteBytes(counters, _counters[i].Packets);
            BitConverter.TryWriteBytes(counters[8..], _counters[i].Bytes);
        }
    }

    /// <summary>Checks the entries that an application has given. EINVAL, ELOOP, ENOENT for extensions that are not there.</summary>
    public static Errno TryParse(LegacyTable table, byte[] blob, int count, int[] entries, int[] underflows, out LegacyRules? rules)
    {
        rules = null;
        LegacyLayout layout = LegacyLayout.Of(table.IsV4);
        List<int> offsets = [];
        Dictionary<int, int> indexes = [];
        for (int at = 0; at < blob.Length;)
        {
            if (blob.Length - at < layout.EntrySize + LegacyLayout.ExtensionHeader || (at & 7) != 0)
            {
                return Errno.EINVAL;
            }

            int target = XtMatches.U16(blob, at + layout.TargetOffset), next = XtMatches.U16(blob, at + layout.TargetOffset + 2);
            if (target < layout.EntrySize || next > blob.Length - at || target > next - LegacyLayout.ExtensionHeader
                || XtMatches.U16(blob, at + target) is var size && (size < LegacyLayout.ExtensionHeader || target + size != next))
            {
                return Errno.EINVAL;
            }

            indexes.Add(at, offsets.Count);
            offsets.Add(at);
            at += next;
        }

        if (offsets.Count != count)
        {
            return Errno.EINVAL;
        }

        for (int hook = 0; hook < Linux.Netfilter.NF_INET_NUMHOOKS; hook++)
        {
            bool isWanted = (table.Hooks >> hook & 1) != 0;
            if (isWanted && (!indexes.ContainsKey(entries[hook]) || !indexes.ContainsKey(underflows[hook])))
            {
                return Errno.EINVAL;
            }
        }

        LegacyRules made = new(blob, [.. offsets], indexes, entries, underflows);
        Errno error = made.Compile(table, layout);
        rules = error == Errno.None ? made : null;
        return error;
    }

    private Errno Compile(LegacyTable table, LegacyLayout layout)
    {
        Steps steps = new(Count);
        for (int i = 0; i < Count; i++)
        {
            Errno error = ReadFlow(layout, i, ref steps);
            if (error != Errno.None)
            {
                return error;
            }
        }

        for (int hook = 0; hook < Linux.Netfilter.NF_INET_NUMHOOKS; hook++)
        {
            if ((table.Hooks >> hook & 1) == 0)
            {
                continue;
            }

            int policy = _indexes[Underflows[hook]];
            if (steps.Verdicts[policy] is not (Verdict.Accept or Verdict.Drop) || !steps.IsUnconditional[policy])
            {
                return Errno.EINVAL;
            }

            if (!steps.Reach(_indexes[Entries[hook]], hook))
            {
                return Errno.ELOOP;
            }
        }

        FilterRule[] rules = new FilterRule[Count];
        for (int i = 0; i < Count; i++)
        {
            Errno error = MakeRule(table, layout, i, steps, out FilterRule? rule);
            if (error != Errno.None)
            {
                return error;
            }

            rules[i] = rule!;
        }

        Chain.Rules = rules;
        return Errno.None;
    }

    // Where an entry leads: what is needed to find loops and from which hooks it is reached.
    private Errno ReadFlow(LegacyLayout layout, int index, ref Steps steps)
    {
        ReadOnlySpan<byte> entry = _blob.AsSpan(_offsets[index]);
        ReadOnlySpan<byte> target = entry[XtMatches.U16(entry, layout.TargetOffset)..];
        string name = NameOf(target);
        steps.IsUnconditional[index] = XtMatches.U16(entry, layout.TargetOffset) == layout.EntrySize && entry[..(layout.Inverted + 1)].IndexOfAnyExcept((byte)0) < 0;
        if (name == "ERROR")
        {
            steps.Verdicts[index] = Verdict.Drop;
            return XtMatches.U16(target, 0) == LegacyLayout.ExtensionHeader + 32 ? Errno.None : Errno.EINVAL;
        }

        if (name.Length > 0)
        {
            steps.Verdicts[index] = Verdict.Continue;
            return Errno.None;
        }

        if (XtMatches.U16(target, 0) != LegacyLayout.ExtensionHeader + 8)
        {
            return Errno.EINVAL;
        }

        int verdict = BitConverter.ToInt32(target[LegacyLayout.ExtensionHeader..]);
        if (verdict >= 0)
        {
            if (!_indexes.TryGetValue(verdict, out int to))
            {
                return Errno.EINVAL;
            }

            // A jump to the next entry is none: the rule counts and goes on.
            bool isGoto = (entry[layout.Flags] & (layout.AddressSize == 4 ? FlagGoto : FlagGotoV6)) != 0;
            steps.Verdicts[index] = isGoto ? Verdict.Goto : to == index + 1 ? Verdict.Continue : Verdict.Jump;
            steps.Targets[index] = to;
            return Errno.None;
        }

        steps.Verdicts[index] = verdict switch
        {
            -Linux.Netfilter.NF_ACCEPT - 1 => Verdict.Accept,
            -Linux.Netfilter.NF_DROP - 1 => Verdict.Drop,
            Linux.Netfilter.XT_RETURN => Verdict.Return,
            _ => Verdict.Break,
        };
        return steps.Verdicts[index] == Verdict.Break ? Errno.EINVAL : Errno.None;
    }

    private Errno MakeRule(LegacyTable table, LegacyLayout layout, int index, Steps steps, out FilterRule? rule)
    {
        rule = null;
        ReadOnlySpan<byte> entry = _blob.AsSpan(_offsets[index]);
        int targetAt = XtMatches.U16(entry, layout.TargetOffset);
        Errno error = TryMakeIp(entry, layout, out IpMatch ip);
        List<Expression> expressions = steps.IsUnconditional[index] ? [] : [ip];
        XtPlace place = new(table.IsV4, table.Name, steps.Hooks[index], ip.NotProtocol ? (byte)0 : ip.Protocol);
        for (int at = layout.EntrySize; at < targetAt && error == Errno.None;)
        {
            int size = targetAt - at >= LegacyLayout.ExtensionHeader ? XtMatches.U16(entry, at) : 0;
            if (size < LegacyLayout.ExtensionHeader || size > targetAt - at)
            {
                return Errno.EINVAL;
            }

            error = TryAdd(place, isTarget: false, entry.Slice(at, size), expressions);
            at += size;
        }

        expressions.Add(_counters[index]);
        ReadOnlySpan<byte> target = entry.Slice(targetAt, XtMatches.U16(entry, targetAt));
        if (error == Errno.None && NameOf(target) is { Length: > 0 } name && name != "ERROR")
        {
            error = TryAdd(place, isTarget: true, target, expressions);
        }
        else if (steps.Verdicts[index] != Verdict.Continue)
        {
            expressions.Add(new VerdictExpression(steps.Verdicts[index], Chain, steps.Targets[index]));
        }

        rule = new FilterRule([.. expressions]);
        return error;
    }

    private Errno TryAdd(in XtPlace place, bool isTarget, ReadOnlySpan<byte> extension, List<Expression> expressions)
    {
        Errno error = XtExtensions.TryMake(place, isTarget, NameOf(extension), extension[LegacyLayout.ExtensionHeader - 1], extension[LegacyLayout.ExtensionHeader..], out Expression? made, out bool tracks);
        Tracks |= tracks;
        if (made is not null && error == Errno.None)
        {
            expressions.Add(made);
        }

        return error;
    }

    private static string NameOf(ReadOnlySpan<byte> extension)
    {
        ReadOnlySpan<byte> name = extension.Slice(2, Linux.Netfilter.XT_EXTENSION_MAXNAMELEN);
        int end = name.IndexOf((byte)0);
        return Encoding.Latin1.GetString(end < 0 ? name : name[..end]);
    }

    private static Errno TryMakeIp(ReadOnlySpan<byte> entry, LegacyLayout layout, out IpMatch match)
    {
        bool v4 = layout.AddressSize == 4;
        byte flags = entry[layout.Flags], inverted = entry[layout.Inverted];
        int protocol = XtMatches.U16(entry, layout.Protocol);
        bool hasProtocol = v4 ? protocol != 0 : (flags & FlagProtocolV6) != 0;
        ReadOnlySpan<byte> names = entry.Slice(layout.Interfaces, 4 * Linux.Netfilter.IFNAMSIZ);
        byte[]? inputMask = Part(names, 2), outputMask = Part(names, 3);
        match = new IpMatch
        {
            Source = XtMatches.Address(entry, v4),
            Destination = XtMatches.Address(entry[layout.AddressSize..], v4),
            SourceMask = XtMatches.Address(entry[(layout.AddressSize * 2)..], v4),
            DestinationMask = XtMatches.Address(entry[(layout.AddressSize * 3)..], v4),
            NotSource = (inverted & Source) != 0,
            NotDestination = (inverted & Destination) != 0,
            Input = inputMask is null ? null : names[..Linux.Netfilter.IFNAMSIZ].ToArray(),
            InputMask = inputMask,
            NotInput = (inverted & ViaIn) != 0,
            Output = outputMask is null ? null : names.Slice(Linux.Netfilter.IFNAMSIZ, Linux.Netfilter.IFNAMSIZ).ToArray(),
            OutputMask = outputMask,
            NotOutput = (inverted & ViaOut) != 0,
            Protocol = hasProtocol ? unchecked((byte)protocol) : (byte)0,
            NotProtocol = (inverted & Protocol) != 0,
            Fragments = v4 && (flags & FlagFragment) != 0,
            NotFragments = (inverted & Fragment) != 0,
        };
        return (flags & ~(v4 ? 3 : 7)) != 0 || (inverted & ~KnownInverted) != 0 ? Errno.EINVAL : Errno.None;
    }

    // A mask of an interface's name; none if it is empty.
    private static byte[]? Part(ReadOnlySpan<byte> names, int index)
    {
        ReadOnlySpan<byte> part = names.Slice(index * Linux.Netfilter.IFNAMSIZ, Linux.Netfilter.IFNAMSIZ);
        return part.IndexOfAnyExcept((byte)0) < 0 ? null : part.ToArray();
    }

    /// <summary>Entries as the nodes of a graph: each leads to the next one, unless it decides for every packet, and to where it jumps.</summary>
    private readonly struct Steps(int count)
    {
        private const byte Under = 1, Done = 2;

        public readonly Verdict[] Verdicts = new Verdict[count];
        public readonly int[] Targets = new int[count];
        public readonly bool[] IsUnconditional = new bool[count];

        /// <summary>From which hooks an entry is reached: a bit each.</summary>
        public readonly int[] Hooks = new int[count];

        private readonly byte[] _marks = new byte[count];
        private readonly int[] _depths = new int[count];

        /// <summary>Marks what is reached from an entry. False for a loop, for rules that run out of the table, or jumps that are too deep.</summary>
        public bool Reach(int start, int hook)
        {
            Array.Clear(_marks);
            Stack<int> stack = new([start]);
            while (stack.TryPeek(out int at))
            {
                if (at >= count)
                {
                    return false;
                }

                bool jumps = Verdicts[at] is Verdict.Jump or Verdict.Goto;
                bool goesOn = !IsUnconditional[at] || Verdicts[at] is Verdict.Continue or Verdict.Jump;
                if (_marks[at] == Under)
                {
                    int depth = goesOn ? _depths[at + 1] : 0;
                    depth = jumps ? Math.Max(depth, _depths[Targets[at]] + 1) : depth;
                    if (depth > RuleWalker.MaxDepth)
                    {
                        return false;
                    }

                    _depths[at] = depth;
                    _marks[at] = Done;
                    stack.Pop();
                    continue;
                }

                if (_marks[at] == Done)
                {
                    stack.Pop();
                    continue;
                }

                _marks[at] = Under;
                Hooks[at] |= 1 << hook;
                if ((goesOn && !Push(stack, at + 1)) || (jumps && !Push(stack, Targets[at])))
                {
                    return false;
                }
            }

            return true;
        }

        private bool Push(Stack<int> stack, int to)
        {
            if (to >= count || _marks[to] == Under)
            {
                return false;
            }

            if (_marks[to] != Done)
            {
                stack.Push(to);
            }

            return true;
        }
    }
}
