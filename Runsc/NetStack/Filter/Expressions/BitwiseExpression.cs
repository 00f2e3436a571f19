using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Target = (source AND mask) XOR other.</summary>
internal sealed class BitwiseExpression(int source, int target, byte[] mask, byte[] other) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        Span<byte> value = stackalloc byte[FilterContext.RegisterBytes];
        value = value[..mask.Length];
        context.Register(source, mask.Length).CopyTo(value);
        for (int i = 0; i < value.Length; i++)
        {
            value[i] = (byte)((value[i] & mask[i]) ^ other[i]);
        }

        Registers.Store(ref context, target, value);
    }
}
