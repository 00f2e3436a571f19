using System;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Matches so many packets, or bytes, in a time, with a burst: a bucket of time.</summary>
/// <param name="rate">Packets or bytes.</param>
/// <param name="period">In nanoseconds.</param>
/// <param name="burst">Packets, or bytes, at once; at least 1 of packets.</param>
/// <param name="countsBytes">Bytes count, not packets.</param>
/// <param name="isInverted">Matches what goes beyond.</param>
internal sealed class LimitExpression(ulong rate, ulong period, ulong burst, bool countsBytes, bool isInverted) : StatefulExpression
{
    private readonly double _cost = (double)period / rate;
    private readonly double _capacity = countsBytes ? (double)period / rate * (rate + burst) : (double)period / rate * burst;
    private double _tokens = countsBytes ? (double)period / rate * (rate + burst) : (double)period / rate * burst;
    private long _last = -1;

    public override void Evaluate(ref FilterContext context)
    {
        long now = context.Stack.Now;
        _tokens = _last < 0 ? _tokens : Math.Min(_capacity, _tokens + (now - _last));
        _last = now;
        double cost = countsBytes ? _cost * context.Packet.Length : _cost;
        bool isWithin = _tokens >= cost;
        if (isWithin)
        {
            _tokens -= cost;
        }

        if (isWithin == isInverted)
        {
            context.Verdict = Verdict.Break;
        }
    }

    public override StatefulExpression Fresh() => new LimitExpression(rate, period, burst, countsBytes, isInverted) { Origin = Origin };
}
