using System;
using System.Buffers.Binary;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Gives a connection another source or destination, with addresses and ports from registers; −1: there is none.</summary>
internal sealed class RegisterNatExpression(bool isSource, bool v4, int minAddress, int maxAddress, int minPort, int maxPort, NatRange flags) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        if (context.IsV4 != v4 && minAddress >= 0)
        {
            context.Verdict = Verdict.Break;
            return;
        }

        NatRange range = flags;
        if (minAddress >= 0)
        {
            range = range with { HasAddresses = true, MinAddress = ReadAddress(ref context, minAddress), MaxAddress = ReadAddress(ref context, maxAddress >= 0 ? maxAddress : minAddress) };
        }

        if (minPort >= 0)
        {
            range = range with { HasPorts = true, MinPort = ReadPort(ref context, minPort), MaxPort = ReadPort(ref context, maxPort >= 0 ? maxPort : minPort) };
        }

        bool isGood = range.MaxPort >= range.MinPort;
        context.Verdict = isGood ? context.Filter.Nat.Apply(ref context, range, isSource) : Verdict.Drop;
    }

    internal static ushort ReadPort(ref FilterContext context, int register) => BinaryPrimitives.ReadUInt16BigEndian(context.Register(register, 2));

    private IpAddress ReadAddress(ref FilterContext context, int register)
    {
        Span<byte> bytes = context.Register(register, v4 ? 4 : 16);
        return v4 ? IpAddress.ReadV4(bytes) : IpAddress.ReadV6(bytes);
    }
}
