using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>A change of a dynamic set that counts with the commit: an element that comes or goes, or with none all that there is goes.</summary>
/// <param name="element">Compared by its key.</param>
/// <param name="isNew">It comes.</param>
/// <param name="left">Nanoseconds that are left of its time, or 0 for all of it.</param>
internal sealed class NftElementChange(SetElement? element, bool isNew, long left)
{
    public SetElement? Element => element;

    public bool IsNew => isNew;

    public long Left => left;
}
