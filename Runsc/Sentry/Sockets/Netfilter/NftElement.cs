using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>An element of a set, with what belongs to the application.</summary>
internal sealed record NftElement(SetElement Live, byte[]? UserData);
