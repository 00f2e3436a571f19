using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Exempts the packet from connection tracking, if that comes later.</summary>
internal sealed class UntrackExpression : Expression
{
    public override void Evaluate(ref FilterContext context) => context.Packet.Tracking ??= FlowSide.Untracked;
}
