using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>A change of a dynamic set that counts with the commit: an element that comes or goes, or with none all that there is goes.</summary>
/// <param name="Element">Compared by its key.</param>
/// <param name="IsNew">It comes.</param>
/// <param name="Left">Nanoseconds that are left of its time, or 0 for all of it.</param>
internal sealed record NftElementChange(SetElement? Element, bool IsNew, long Left);
