using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>A rule of nftables. Immutable, but for what its expressions count.</summary>
internal sealed record NftRule(ulong Handle, NftExpression[] Expressions, FilterRule Live, byte[]? UserData);
