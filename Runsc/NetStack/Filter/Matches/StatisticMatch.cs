namespace Runsc.NetStack.Filter.Matches;

/// <summary>Some packets (xt_statistic): by chance, or each n-th.</summary>
/// <param name="probability">Of 2^31; or −1.</param>
/// <param name="every">One of so many, and one more.</param>
/// <param name="first">How many were seen before.</param>
/// <param name="isInverted">The others.</param>
internal sealed class StatisticMatch(long probability, uint every, uint first, bool isInverted) : Expression
{
    private uint _seen = first;

    public override void Evaluate(ref FilterContext context)
    {
        bool matches;
        if (probability >= 0)
        {
            matches = (context.Stack.Random.Next() & int.MaxValue) < (ulong)probability;
        }
        else
        {
            _seen = _seen == every ? 0 : unchecked(_seen + 1);
            matches = _seen == 0;
        }

        if (matches == isInverted)
        {
            context.Verdict = Verdict.Break;
        }
    }
}
