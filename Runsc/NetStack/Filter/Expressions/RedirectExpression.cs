using Runsc.NetStack.Core;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Sends a connection to this host. Registers of ports: −1 is none.</summary>
internal sealed class RedirectExpression(NatRange ports, int minPort = -1, int maxPort = -1) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        IpAddress own;
        if (context.Hook == FilterHook.Output)
        {
            own = context.IsV4 ? IpAddress.LoopbackV4 : IpAddress.LoopbackV6;
        }
        else
        {
            own = context.Input is not { } input ? default
                : context.IsV4 ? input.SelectV4(IpAddress.AnyV4, NetworkStack.ScopeHost) : input.SelectV6(context.Source);
        }

        if (own.IsUnspecified || own.IsV4 != context.IsV4)
        {
            context.Verdict = Verdict.Drop;
            return;
        }

        NatRange range = Ports.Read(ref context, ports, minPort, maxPort) with { HasAddresses = true, MinAddress = own, MaxAddress = own };
        context.Verdict = range.MaxPort < range.MinPort ? Verdict.Drop : context.Filter.Nat.Apply(ref context, range, isSource: false);
    }
}
