namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Counts the connections that came here and are still there; matches up to a number of them, or beyond it.</summary>
internal sealed class ConnectionLimitExpression(uint limit, bool isOver) : StatefulExpression
{
    private readonly ConnectionCount _count = new();

    public override void Evaluate(ref FilterContext context)
    {
        if (context.Flow?.Connection is not { } connection || (_count.Add(connection, context.Stack.Now, limit) > limit) != isOver)
        {
            context.Verdict = Verdict.Break;
        }
    }

    public override StatefulExpression Fresh() => new ConnectionLimitExpression(limit, isOver) { Origin = Origin };
}
