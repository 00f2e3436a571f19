namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Looks a register up in a set: matches, loads the data of a map (target −1: it is no map), or takes its verdict.</summary>
internal sealed class LookupExpression(FilterSet set, int register, int length, int target, bool isVerdict, bool isInverted) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        SetElement? found = set.Find(context.Register(register, length));
        if (found is null != isInverted)
        {
            context.Verdict = Verdict.Break;
        }
        else if (found is not null && isVerdict)
        {
            found.Verdict?.Evaluate(ref context);
        }
        else if (found is not null && target >= 0)
        {
            Registers.Store(ref context, target, found.Data);
        }
    }
}
