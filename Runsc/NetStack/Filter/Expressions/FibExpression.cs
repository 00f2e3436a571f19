using Runsc.NetStack.Core;
using Runsc.NetStack.Filter.Matches;
using Runsc.NetStack.Network;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Loads what the routes say of an address of the packet: its type, or over which interface it is reached (nft_fib).</summary>
/// <param name="result">NFT_FIB_RESULT_*.</param>
/// <param name="flags">NFTA_FIB_F_*.</param>
/// <param name="register">Where to.</param>
internal sealed class FibExpression(uint result, uint flags, int register) : Expression
{
    public const uint ResultInterface = 1, ResultName = 2, ResultType = 3;
    public const uint FromSource = 1, FromDestination = 2, WithMark = 4, WithInput = 8, WithOutput = 16, IsPresent = 32;

    public override void Evaluate(ref FilterContext context)
    {
        IpAddress address = (flags & FromSource) != 0 ? context.Source : context.Destination;
        NetworkInterface? limit = (flags & WithInput) != 0 ? context.Input : (flags & WithOutput) != 0 ? context.Output : null;
        if (result == ResultType)
        {
            RouteKind kind = AddressTypeMatch.TypeOf(context.Stack, address);
            bool isLimited = limit is not null && kind is RouteKind.Local or RouteKind.Broadcast;
            bool isThere = !isLimited || (address.IsV4 ? context.Stack.Routes4.FindLocal(address)?.Interface == limit : context.Stack.FindAddress(address, limit!.Index) is not null);
            kind = isThere ? kind : RouteKind.Unicast;
            Registers.Store(ref context, register, (uint)kind);
            return;
        }

        NetworkInterface? found = FindInterface(ref context, address, limit);
        if ((flags & IsPresent) != 0 || result == ResultInterface)
        {
            Registers.Store(ref context, register, (flags & IsPresent) != 0 ? found is null ? 0u : 1 : (uint)(found?.Index ?? 0));
        }
        else
        {
            MetaExpression.StoreName(ref context, register, found);
        }
    }

    private NetworkInterface? FindInterface(ref FilterContext context, in IpAddress address, NetworkInterface? limit)
    {
        // What goes over the loopback interface has come from there.
        if (context.Hook is FilterHook.PreRouting or FilterHook.Input && context.Input is { Device.Kind: Link.LinkKind.Loopback } loopback)
        {
            return loopback;
        }

        if (address.IsUnspecified || address.IsMulticast)
        {
            return context.Destination.IsMulticast || context.Destination.IsLimitedBroadcast ? context.Input : null;
        }

        RouteQuery query = new() { Destination = address, Interface = limit?.Index ?? 0, Mark = (flags & WithMark) != 0 ? context.Packet.Mark : 0 };
        RouteEntry? route = address.IsV4 ? context.Stack.Routes4.Find(query) : context.Stack.Routes6.Find(query);
        return route is { Kind: RouteKind.Unicast } ? route.Interface : null;
    }
}
