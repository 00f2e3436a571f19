namespace Runsc.NetStack.Filter.Expressions;

/// <summary>NFT_CMP_*, with their values.</summary>
internal enum CompareOperation
{
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
