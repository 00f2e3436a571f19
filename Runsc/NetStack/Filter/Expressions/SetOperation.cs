namespace Runsc.NetStack.Filter.Expressions;

/// <summary>NFT_DYNSET_OP_*.</summary>
internal enum SetOperation
{
    Add = 0,

    /// <summary>One that is there gets its time anew.</summary>
    Update = 1,

    Delete = 2,
}
