using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Gives a connection another source or destination.</summary>
internal sealed class NatExpression(bool isSource, NatRange range) : Expression
{
    public override void Evaluate(ref FilterContext context) => context.Verdict = context.Filter.Nat.Apply(ref context, range, isSource);
}
