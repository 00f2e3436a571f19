using System;
using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using static Runsc.Linux.NfTables;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>nftables of a network namespace: the tables that are in force, and how a transaction replaces them.</summary>
internal sealed class NftTables(PacketFilter filter)
{
    /// <summary>Jumps within each other (NFT_JUMP_STACK_SIZE).</summary>
    private const int MaximumJumps = 16;

    /// <summary>Rules, elements and the rest of a namespace together: they are in the Sentry's own memory.</summary>
    private const int MaximumObjects = 1 << 18;

    // Held while a transaction runs, so that none is lost.
    private readonly Lock _mu = new();
    private NftState _state = new();

    /// <summary>The tables now; not to be changed.</summary>
    public NftState State => Volatile.Read(ref _state);

    public PacketFilter Filter => filter;

    /// <summary>Runs a transaction: <paramref name="apply"/> changes a copy, which counts if it returns true and the rules make sense. EMLINK.</summary>
    /// <param name="apply">Works on the copy.</param>
    /// <param name="before">What was in force before; null if nothing has changed.</param>
    /// <param name="after">What is now.</param>
    public Errno Run(Func<NftTransaction, bool> apply, out NftState? before, out NftState after)
    {
        before = null;
        lock (_mu)
        {
            after = _state;
            NftTransaction transaction = new(_state.Copy(), filter);
            if (!apply(transaction))
            {
                return Errno.None;
            }

            NftState next = transaction.State;
            int objects = 0;
            foreach (NftTable table in next.Tables)
            {
                objects += 1 + table.Chains.Count + table.Sets.Count + table.Objects.Count;
                table.Chains.ForEach(chain => objects += chain.Rules.Count);
                table.Sets.ForEach(set => objects += set.Live.IsDynamic ? set.Changes.Count : set.Elements.Count);
                Errno error = objects > MaximumObjects ? Errno.ENOMEM : Check(table);
                if (error != Errno.None)
                {
                    return error;
                }
            }

            next.Generation = unchecked(next.Generation + 1) == 0 ? 1 : next.Generation + 1;
            using (filter.Stack.Enter())
            {
                Publish(next);
                foreach (NftTable table in _state.Tables)
                {
                    NftTable? now = next.Tables.Find(one => one.Handle == table.Handle);
                    table.Sets.FindAll(set => set.Live.IsDynamic && now?.FindSet(set.Live) is null).ForEach(set => set.Live.Clear());
                }
            }

            (before, after) = (_state, next);
            Volatile.Write(ref _state, next);
            return Errno.None;
        }
    }

    private void Publish(NftState state)
    {
        List<BaseChain> hooks = [];
        bool tracks = false;
        foreach (NftTable table in state.Tables)
        {
            foreach (NftSet set in table.Sets)
            {
                if (!set.Live.IsDynamic)
                {
                    set.Live.Replace([.. set.Elements]);
                    continue;
                }

                foreach (NftElementChange change in set.Changes)
                {
                    Apply(set.Live, change);
                }
            }

            foreach (NftChain chain in table.Chains)
            {
                FilterRule[] rules = new FilterRule[chain.Rules.Count];
                for (int i = 0; i < rules.Length; i++)
                {
                    rules[i] = chain.Rules[i].Live;
                    foreach (NftExpression expression in chain.Rules[i].Expressions)
                    {
                        tracks |= expression.Tracks;
                    }
                }

                chain.Live.Rules = rules;
                if (chain.IsBase && (table.Flags & NFT_TABLE_F_DORMANT) == 0)
                {
                    hooks.Add(MakeHook(table, chain));
                }
            }
        }

        filter.SetChains(this, hooks, tracks);
    }

    private void Apply(FilterSet set, NftElementChange change)
    {
        if (change.Element is not { } element)
        {
            set.Clear();
        }
        else if (!change.IsNew)
        {
            set.Remove(element);
        }
        else
        {
            long stays = change.Left != 0 ? change.Left : element.Timeout;
            element.Expires = stays == 0 ? long.MaxValue : filter.Stack.Now + stays;
            _ = set.TryAdd(element, filter.Stack.Now);
        }
    }

    private static BaseChain MakeHook(NftTable table, NftChain chain) => new()
    {
        Hook = (FilterHook)chain.Hook,
        Priority = chain.Priority,
        ForV4 = table.Family is NFPROTO_INET or NFPROTO_IPV4,
        ForV6 = table.Family is NFPROTO_INET or NFPROTO_IPV6,
        IsNat = chain.Type == "nat",
        Chain = chain.Live,
        Policy = new FilterRule([new VerdictExpression(chain.Policy == Linux.Netfilter.NF_ACCEPT ? Verdict.Accept : Verdict.Drop)]),
    };

    // From the hooks, no chain leads to itself, and none too deep: the depth of each, found once.
    private static Errno Check(NftTable table)
    {
        const int under = -1;
        Dictionary<RuleChain, int> depths = [];
        foreach (NftChain chain in table.Chains.FindAll(one => one.IsBase))
        {
            Errno error = Visit(chain, 0);
            if (error != Errno.None)
            {
                return error;
            }
        }

        return Errno.None;

        Errno Visit(NftChain chain, int level)
        {
            if (depths.TryGetValue(chain.Live, out int known))
            {
                return known == under || known + level >= MaximumJumps ? Errno.EMLINK : Errno.None;
            }

            if (level >= MaximumJumps)
            {
                return Errno.EMLINK;
            }

            depths[chain.Live] = under;
            int depth = 0;
            foreach (RuleChain target in TargetsOf(table, chain))
            {
                if (table.FindChain(target) is not { } to)
                {
                    continue;
                }

                Errno error = Visit(to, level + 1);
                if (error != Errno.None)
                {
                    return error;
                }

                depth = Math.Max(depth, depths[target] + 1);
            }

            depths[chain.Live] = depth;
            return Errno.None;
        }
    }

    private static HashSet<RuleChain> TargetsOf(NftTable table, NftChain chain)
    {
        HashSet<RuleChain> targets = [];
        foreach (NftRule rule in chain.Rules)
        {
            foreach (NftExpression expression in rule.Expressions)
            {
                if (expression.Jump is { } jump)
                {
                    targets.Add(jump);
                }

                if (expression.Set is { } set && table.FindSet(set) is { IsVerdictMap: true } map)
                {
                    foreach (SetElement element in map.Elements)
                    {
                        if (element.Verdict?.Target is { } target)
                        {
                            targets.Add(target);
                        }
                    }
                }
            }
        }

        return targets;
    }
}
