namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Uses the object that a register is mapped to; none: the rule does not match.</summary>
internal sealed class ObjectMapExpression(FilterSet set, int register, int length) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        if (set.Find(context.Register(register, length), set.IsDynamic ? context.Stack.Now : 0)?.Object is { } found)
        {
            found.Evaluate(ref context);
        }
        else
        {
            context.Verdict = Verdict.Break;
        }
    }
}
