using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Ranges of ports that are in registers.</summary>
internal static class Ports
{
    /// <summary>The range with the ports of the registers, or as it is when there are none (−1).</summary>
    public static NatRange Read(ref FilterContext context, in NatRange range, int min, int max) => min < 0 ? range : range with
    {
        HasPorts = true,
        MinPort = RegisterNatExpression.ReadPort(ref context, min),
        MaxPort = RegisterNatExpression.ReadPort(ref context, max >= 0 ? max : min),
    };
}
