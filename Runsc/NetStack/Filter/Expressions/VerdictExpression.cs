namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Ends the rule: a verdict, and for jumps where they lead.</summary>
internal sealed class VerdictExpression(Verdict verdict, RuleChain? target = null, int index = 0) : Expression
{
    public Verdict Verdict { get; } = verdict;

    public RuleChain? Target { get; } = target;

    public int Index { get; } = index;

    public override void Evaluate(ref FilterContext context)
    {
        context.Verdict = Verdict;
        context.Target = Target;
        context.TargetIndex = Index;
    }
}
