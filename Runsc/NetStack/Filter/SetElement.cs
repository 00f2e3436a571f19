namespace Runsc.NetStack.Filter;

/// <summary>A key of a set, or a border of an interval, and what it is mapped to.</summary>
internal sealed class SetElement(byte[] key)
{
    public byte[] Key { get; } = key;

    /// <summary>The end of a range of fields, or null.</summary>
    public byte[]? KeyEnd { get; init; }

    /// <summary>The key is the first beyond an interval.</summary>
    public bool IsEnd { get; init; }

    public byte[] Data { get; init; } = [];

    /// <summary>Of maps of verdicts.</summary>
    public Expressions.VerdictExpression? Verdict { get; init; }

    /// <summary>Of maps of objects.</summary>
    public StatefulExpression? Object { get; init; }

    /// <summary>What is evaluated for each packet whose key is found.</summary>
    public StatefulExpression[] Stateful { get; init; } = [];

    /// <summary>Nanoseconds for which it stays; 0 for ever.</summary>
    public long Timeout { get; init; }

    /// <summary>Monotonic nanoseconds after which it is not there any more.</summary>
    public long Expires { get; set; } = long.MaxValue;

    /// <summary>The application's; the stack does not look.</summary>
    public byte[]? UserData { get; init; }

    /// <summary>False if one of them ends the rule.</summary>
    public bool Count(ref FilterContext context)
    {
        foreach (StatefulExpression one in Stateful)
        {
            one.Evaluate(ref context);
            if (context.Verdict != Filter.Verdict.Continue)
            {
                return false;
            }
        }

        return true;
    }
}
