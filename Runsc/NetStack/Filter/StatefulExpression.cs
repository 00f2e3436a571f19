namespace Runsc.NetStack.Filter;

/// <summary>An expression that remembers something of the packets that it saw: of a rule, an element of a set, or a named object.</summary>
internal abstract class StatefulExpression : Expression
{
    /// <summary>What the application has made it of; the stack does not look.</summary>
    public object? Origin { get; set; }

    /// <summary>Another one like it that has seen nothing.</summary>
    public abstract StatefulExpression Fresh();

    /// <summary>Forgets what was counted.</summary>
    public virtual void Reset()
    {
    }
}
