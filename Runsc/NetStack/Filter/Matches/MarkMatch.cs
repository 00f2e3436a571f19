namespace Runsc.NetStack.Filter.Matches;

/// <summary>The mark of the packet, or of its connection, under a mask (xt_mark, xt_connmark).</summary>
internal sealed class MarkMatch(uint mark, uint mask, bool isInverted, bool ofConnection) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        uint? value = ofConnection ? context.Flow?.Connection?.Mark : context.Packet.Mark;
        if (value is not { } own || (own & mask) == mark == isInverted)
        {
            context.Verdict = Verdict.Break;
        }
    }
}
