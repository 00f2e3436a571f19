using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>A named object (counter, quota, limit, limit of connections): what rules and maps refer to by its name.</summary>
internal sealed class NftObject(string name, ulong handle, uint type, NftExpression expression, byte[]? userData)
{
    public string Name => name;

    public ulong Handle => handle;

    /// <summary>NFT_OBJECT_*.</summary>
    public uint Type => type;

    /// <summary>What was given, and what was made of it.</summary>
    public NftExpression Expression => expression;

    public StatefulExpression Live => (StatefulExpression)expression.Live!;

    public byte[]? UserData => userData;
}
