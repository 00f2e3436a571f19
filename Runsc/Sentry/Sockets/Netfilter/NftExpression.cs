using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>An expression as an application has given it, and what was made of it.</summary>
internal sealed class NftExpression(string name, byte[] data)
{
    public string Name { get; } = name;

    /// <summary>Its attributes.</summary>
    public byte[] Data { get; } = data;

    /// <summary>Null where nothing is to be done (a comment).</summary>
    public Expression? Live { get; set; }

    /// <summary>The chain that it leads to.</summary>
    public RuleChain? Jump { get; set; }

    /// <summary>The set that it looks something up in.</summary>
    public FilterSet? Set { get; set; }

    /// <summary>The named object that it refers to.</summary>
    public NftObject? Object { get; set; }

    /// <summary>It looks at connections.</summary>
    public bool Tracks { get; set; }
}
