using System;
using System.Collections.Generic;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter;

/// <summary>The chains at the hooks of a stack, between them connection tracking and NAT as far as rules need them. Guarded by the stack's lock.</summary>
/// <remarks>The stack knows of it only while there is a chain, so that packets pay nothing otherwise.</remarks>
internal sealed class PacketFilter : IPacketFilter
{
    private const int Hooks = 5;

    private readonly Dictionary<object, RuleSet> _sets = [];

    // Steps by family and hook, in the order of their priorities.
    private readonly Step[][] _steps = new Step[2 * Hooks][];

    private bool _tracks;

    public PacketFilter(NetworkStack stack)
    {
        Stack = stack;
        Tracker = new ConnectionTracker(stack);
        Nat = new NatEngine(this);
        Array.Fill(_steps, []);
    }

    private enum StepKind
    {
        Chain,
        Track,
        DestinationNat,
        SourceNat,
        Confirm,
    }

    public NetworkStack Stack { get; }

    public ConnectionTracker Tracker { get; }

    public NatEngine Nat { get; }

    public SetBudget Budget { get; } = new();

    /// <summary>Replaces the chains of an owner (a table, or all of nftables); none: it is forgotten. Precondition: the stack's lock is held.</summary>
    /// <param name="owner">Whose chains they are.</param>
    /// <param name="chains">All chains at hooks of this owner.</param>
    /// <param name="tracks">Rules look at connections.</param>
    public void SetChains(object owner, IReadOnlyCollection<BaseChain> chains, bool tracks)
    {
        if (chains.Count == 0)
        {
            _sets.Remove(owner);
        }
        else
        {
            _sets[owner] = new RuleSet([.. chains], tracks);
        }

        for (int i = 0; i < _steps.Length; i++)
        {
            _steps[i] = MakeSteps(i < Hooks, (FilterHook)(i % Hooks));
        }

        Stack.Filter = _sets.Count > 0 ? this : null;
        bool tracked = _tracks;
        _tracks = Array.Exists(_steps, steps => Array.Exists(steps, step => step.Kind == StepKind.Track));
        if (_tracks && !tracked)
        {
            Tracker.Resume();
        }
    }

    public bool Accept(FilterHook hook, PacketBuffer packet, NetworkInterface? input, NetworkInterface? output)
    {
        if (packet.LinearLength < Wire.Ipv4Header.MinSize)
        {
            return true;
        }

        FilterContext context = new(this, hook, packet, input, output);
        foreach (Step step in _steps[context.IsV4 ? (int)hook : Hooks + (int)hook])
        {
            Verdict verdict = step.Kind switch
            {
                StepKind.Chain => RuleWalker.Run(step.Chain!, ref context),
                StepKind.Track => Tracker.Track(ref context),
                StepKind.DestinationNat => Nat.Run(ref context, step.NatChains, isSource: false),
                StepKind.SourceNat => Nat.Run(ref context, step.NatChains, isSource: true),
                _ => Tracker.Confirm(ref context),
            };
            if (verdict == Verdict.Drop)
            {
                return false;
            }
        }

        return true;
    }

    public object? Relate(object? tracking) => tracking is FlowSide { Connection: { } connection } flow ? connection.Related(!flow.IsReply) : null;

    private Step[] MakeSteps(bool v4, FilterHook hook)
    {
        List<Step> steps = [];
        List<BaseChain> nat = [];
        bool tracks = false, translates = false;
        foreach (RuleSet set in _sets.Values)
        {
            tracks |= set.Tracks;
            foreach (BaseChain chain in set.Chains)
            {
                bool isHere = chain.Hook == hook && (v4 ? chain.ForV4 : chain.ForV6);
                translates |= chain.IsNat;
                if (isHere && chain.IsNat)
                {
                    nat.Add(chain);
                }
                else if (isHere)
                {
                    steps.Add(new Step(StepKind.Chain, chain.Priority, chain));
                }
            }
        }

        if (tracks || translates)
        {
            if (hook is FilterHook.PreRouting or FilterHook.Output)
            {
                steps.Add(new Step(StepKind.Track, BaseChain.PriorityTracking));
            }
            else if (hook is FilterHook.Input or FilterHook.PostRouting)
            {
                steps.Add(new Step(StepKind.Confirm, int.MaxValue));
            }
        }

        if (translates && hook != FilterHook.Forward)
        {
            nat.Sort((a, b) => a.Priority.CompareTo(b.Priority));
            bool isSource = hook is FilterHook.Input or FilterHook.PostRouting;
            steps.Add(new Step(isSource ? StepKind.SourceNat : StepKind.DestinationNat,
                isSource ? BaseChain.PrioritySourceNat : BaseChain.PriorityDestinationNat, null, [.. nat]));
        }

        // Chains of one priority stay in the order in which they were made.
        Step[] sorted = [.. steps];
        Array.Sort(ToKeys(sorted), sorted);
        return sorted;
    }

    private static long[] ToKeys(Step[] steps)
    {
        long[] keys = new long[steps.Length];
        for (int i = 0; i < steps.Length; i++)
        {
            keys[i] = ((long)steps[i].Priority << 16) + i;
        }

        return keys;
    }

    private readonly record struct RuleSet(BaseChain[] Chains, bool Tracks);

    private sealed class Step(StepKind kind, int priority, BaseChain? chain = null, BaseChain[]? natChains = null)
    {
        public StepKind Kind { get; } = kind;

        public int Priority { get; } = priority;

        public BaseChain? Chain { get; } = chain;

        public BaseChain[] NatChains { get; } = natChains ?? [];
    }
}
