namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Sets the mark or the priority of a packet from a register.</summary>
internal sealed class MetaWriteExpression(MetaKey key, int register) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        uint value = Registers.Load(ref context, register);
        if (key == MetaKey.Mark)
        {
            context.Packet.Mark = value;
        }
        else
        {
            context.Packet.Priority = value;
        }
    }
}
