namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Sets the mark of the packet's connection from a register.</summary>
internal sealed class ConnectionMarkExpression(int register) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        if (context.Flow?.Connection is { } connection)
        {
            connection.Mark = Registers.Load(ref context, register);
        }
    }
}
