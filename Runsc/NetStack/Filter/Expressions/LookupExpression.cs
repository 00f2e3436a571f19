namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Looks a register up in a set: matches, loads the data of a map (target −1: it is no map), or takes its verdict.</summary>
internal sealed class LookupExpression(FilterSet set, int register, int length, int target, bool isVerdict, bool isInverted) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        SetElement? found = set.Find(context.Register(register, length), set.IsDynamic ? context.Stack.Now : 0);
        if (found is null != isInverted)
        {
            context.Verdict = Verdict.Break;
            return;
        }

        if (found is null)
        {
            return;
        }

        if (isVerdict)
        {
            found.Verdict?.Evaluate(ref context);
        }
        else if (target >= 0)
        {
            Registers.Store(ref context, target, found.Data);
        }

        if (found.Stateful.Length > 0 && context.Verdict == Verdict.Continue)
        {
            _ = found.Count(ref context);
        }
    }
}
