namespace Runsc.NetStack.Filter.Expressions;

/// <summary>NFT_PAYLOAD_*_HEADER, with their values.</summary>
internal enum PayloadBase
{
    Link = 0,
    Network = 1,
    Transport = 2,
}
