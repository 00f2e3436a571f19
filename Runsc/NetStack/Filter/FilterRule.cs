namespace Runsc.NetStack.Filter;

/// <summary>Expressions that are evaluated one after the other until one sets a verdict.</summary>
internal sealed class FilterRule(Expression[] expressions)
{
    public Expression[] Expressions { get; } = expressions;
}
