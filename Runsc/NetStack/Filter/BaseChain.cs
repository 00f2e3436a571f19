using Runsc.NetStack.Core;

namespace Runsc.NetStack.Filter;

/// <summary>A chain at a hook.</summary>
internal sealed class BaseChain
{
    // Priorities of Linux's own parts (NF_IP_PRI_*); chains have any.
    public const int PriorityTracking = -200;
    public const int PriorityDestinationNat = -100;
    public const int PrioritySourceNat = 100;

    public required FilterHook Hook { get; init; }

    public required int Priority { get; init; }

    public required bool ForV4 { get; init; }

    public required bool ForV6 { get; init; }

    /// <summary>It sees the first packet of a connection only, and says how its addresses are rewritten.</summary>
    public bool IsNat { get; init; }

    public required RuleChain Chain { get; init; }

    /// <summary>Where in the chain the hook's rules begin.</summary>
    public int Start { get; init; }

    /// <summary>The rule that decides when no other did.</summary>
    public required FilterRule Policy { get; set; }
}
