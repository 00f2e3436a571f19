using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Turns numbers of 2, 4 or 8 bytes from one byte order to the other.</summary>
internal sealed class ByteOrderExpression(int source, int target, int length, int size) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        Span<byte> value = stackalloc byte[FilterContext.RegisterBytes];
        value = value[..length];
        context.Register(source, length).CopyTo(value);
        for (int i = 0; i + size <= length; i += size)
        {
            value.Slice(i, size).Reverse();
        }

        Registers.Store(ref context, target, value);
    }
}
