namespace Runsc.NetStack.Filter.Matches;

/// <summary>A list of ports and ranges, of the source, the destination or either (xt_multiport).</summary>
internal sealed class MultiportMatch(bool source, bool destination, (ushort Min, ushort Max)[] ports, bool isInverted) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        if (!context.TryReadPorts(out ushort from, out ushort to) || ((source && IsIn(from)) || (destination && IsIn(to))) == isInverted)
        {
            context.Verdict = Verdict.Break;
        }
    }

    private bool IsIn(ushort port)
    {
        foreach ((ushort min, ushort max) in ports)
        {
            if (port >= min && port <= max)
            {
                return true;
            }
        }

        return false;
    }
}
