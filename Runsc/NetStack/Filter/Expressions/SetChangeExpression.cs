using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Puts a register into a set, or takes it out; matches if it is there then (or is gone). A set that is full takes nothing.</summary>
/// <param name="set">A dynamic one.</param>
/// <param name="operation">What is done.</param>
/// <param name="register">The key.</param>
/// <param name="length">Its bytes.</param>
/// <param name="dataRegister">What it is mapped to; −1: the set is no map.</param>
/// <param name="dataLength">Its bytes.</param>
/// <param name="timeout">Nanoseconds for a new element; 0: it stays.</param>
/// <param name="isInverted">Matches if it cannot be put in.</param>
/// <param name="stateful">What a new element gets a fresh copy of.</param>
internal sealed class SetChangeExpression(
    FilterSet set, SetOperation operation, int register, int length, int dataRegister, int dataLength, long timeout, bool isInverted, StatefulExpression[] stateful) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        long now = context.Stack.Now;
        Span<byte> key = context.Register(register, length);
        SetElement? found = set.Find(key, now);
        if (operation == SetOperation.Delete)
        {
            if (found is not null)
            {
                set.Remove(found);
            }
        }
        else if (found is null)
        {
            found = Make(key, dataRegister >= 0 ? context.Register(dataRegister, dataLength) : default, now);
            found = set.TryAdd(found, now) ? found : null;
        }
        else if (operation == SetOperation.Update && timeout != 0)
        {
            found.Expires = now + timeout;
        }

        if (found is not null && operation != SetOperation.Delete && !found.Count(ref context))
        {
            return;
        }

        if (found is null != isInverted)
        {
            context.Verdict = Verdict.Break;
        }
    }

    private SetElement Make(ReadOnlySpan<byte> key, ReadOnlySpan<byte> data, long now)
    {
        StatefulExpression[] own = stateful.Length == 0 ? [] : new StatefulExpression[stateful.Length];
        for (int i = 0; i < own.Length; i++)
        {
            own[i] = stateful[i].Fresh();
        }

        return new SetElement(key.ToArray()) { Data = data.ToArray(), Timeout = timeout, Expires = timeout == 0 ? long.MaxValue : now + timeout, Stateful = own };
    }
}
