using Runsc.NetStack.Core;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>What kinds of addresses the source and the destination are to this host: a bit for each RTN_* (xt_addrtype).</summary>
internal sealed class AddressTypeMatch(ushort source, bool notSource, ushort destination, bool notDestination) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        bool matches = (source == 0 || (source >> (int)TypeOf(context.Stack, context.Source) & 1) != 0 != notSource)
            && (destination == 0 || (destination >> (int)TypeOf(context.Stack, context.Destination) & 1) != 0 != notDestination);
        if (!matches)
        {
            context.Verdict = Verdict.Break;
        }
    }

    internal static RouteKind TypeOf(NetworkStack stack, in IpAddress address)
    {
        if (address.IsMulticast)
        {
            return RouteKind.Multicast;
        }

        if (address.IsV4)
        {
            return address.IsLimitedBroadcast || address.V4 >> 24 == 0 ? RouteKind.Broadcast : stack.Routes4.FindLocal(address)?.Kind ?? RouteKind.Unicast;
        }

        return address.IsUnspecified ? RouteKind.None
            : stack.FindAddress(address) is not null ? RouteKind.Local
            : stack.Routes6.Find(new RouteQuery { Destination = address }) is { Kind: not RouteKind.Throw } route ? route.Kind : RouteKind.Unreachable;
    }
}
