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
}
