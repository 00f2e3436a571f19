namespace Runsc.NetStack.Filter.Matches;

/// <summary>Mark = (mark AND NOT mask) XOR value (xt_MARK).</summary>
internal sealed class MarkTarget(uint value, uint mask) : Expression
{
    public override void Evaluate(ref FilterContext context) => context.Packet.Mark = (context.Packet.Mark & ~mask) ^ value;
}
