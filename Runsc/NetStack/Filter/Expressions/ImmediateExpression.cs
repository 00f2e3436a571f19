namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Puts a constant into a register.</summary>
internal sealed class ImmediateExpression(int register, byte[] data) : Expression
{
    public override void Evaluate(ref FilterContext context) => Registers.Store(ref context, register, data);
}
