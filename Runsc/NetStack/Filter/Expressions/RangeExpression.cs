using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Is a register between two constants, or not?</summary>
internal sealed class RangeExpression(int register, bool isInside, byte[] from, byte[] to) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        Span<byte> value = context.Register(register, from.Length);
        bool inside = value.SequenceCompareTo(from) >= 0 && value.SequenceCompareTo(to) <= 0;
        if (inside != isInside)
        {
            context.Verdict = Verdict.Break;
        }
    }
}
