namespace Runsc.NetStack.Filter;

/// <summary>What an expression says of a packet.</summary>
internal enum Verdict
{
    /// <summary>The rule's next expression.</summary>
    Continue,

    /// <summary>The rule does not match: the next rule.</summary>
    Break,

    Accept,
    Drop,

    /// <summary>Back to the rule behind the jump; in a base chain, its policy.</summary>
    Return,

    Jump,

    /// <summary>A jump without a way back: the chain's end leads to where this one would have returned.</summary>
    Goto,
}
