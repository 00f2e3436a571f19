using Runsc.NetStack.Core;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Gives a connection the address of the interface it leaves by as its source. Registers of ports: −1 is none.</summary>
internal sealed class MasqueradeExpression(NatRange ports, int minPort = -1, int maxPort = -1) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        IpAddress destination = context.Destination;
        IpAddress own = context.Output is not { } output ? default
            : context.IsV4 ? output.SelectV4(destination, NetworkStack.ScopeUniverse) : output.SelectV6(destination);
        if (own.IsUnspecified || own.IsV4 != context.IsV4)
        {
            context.Verdict = Verdict.Drop;
            return;
        }

        NatRange range = Ports.Read(ref context, ports, minPort, maxPort) with { HasAddresses = true, MinAddress = own, MaxAddress = own };
        context.Verdict = range.MaxPort < range.MinPort ? Verdict.Drop : context.Filter.Nat.Apply(ref context, range, isSource: true);
    }
}
