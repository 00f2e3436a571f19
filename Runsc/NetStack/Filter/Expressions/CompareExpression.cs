using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Compares a register with a constant, byte by byte.</summary>
internal sealed class CompareExpression(int register, CompareOperation operation, byte[] data) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        int order = context.Register(register, data.Length).SequenceCompareTo(data);
        bool holds = operation switch
        {
            CompareOperation.Equal => order == 0,
            CompareOperation.NotEqual => order != 0,
            CompareOperation.Less => order < 0,
            CompareOperation.LessOrEqual => order <= 0,
            CompareOperation.Greater => order > 0,
            _ => order >= 0,
        };
        if (!holds)
        {
            context.Verdict = Verdict.Break;
        }
    }
}
