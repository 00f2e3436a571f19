namespace Runsc.NetStack.Filter;

/// <summary>Elements that the dynamic sets of a stack have together, and the most that they may: packets make them. Guarded by the stack's lock.</summary>
internal sealed class SetBudget
{
    public const int Limit = 1 << 18;

    public int Used { get; set; }
}
