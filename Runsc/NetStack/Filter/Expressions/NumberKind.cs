namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Where <see cref="NumberExpression"/> has its numbers from.</summary>
internal enum NumberKind
{
    Incremental,
    Random,
    Hash,
}
