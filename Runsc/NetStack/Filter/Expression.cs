namespace Runsc.NetStack.Filter;

/// <summary>A part of a rule: a match, an operation on registers, a statement or a verdict. Used by one rule, under the stack's lock.</summary>
internal abstract class Expression
{
    /// <summary>Leaves <see cref="FilterContext.Verdict"/> alone, or sets it: the rest of the rule is then left out.</summary>
    public abstract void Evaluate(ref FilterContext context);
}
