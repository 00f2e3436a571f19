namespace Runsc.NetStack.Filter;

/// <summary>Rules that a verdict may lead to. The array is replaced as a whole, under the stack's lock.</summary>
internal sealed class RuleChain
{
    public FilterRule[] Rules { get; set; } = [];
}
