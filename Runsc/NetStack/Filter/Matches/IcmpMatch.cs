using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>A type of ICMP with a range of codes; of IPv4, type 255 is any.</summary>
internal sealed class IcmpMatch(bool v4, byte type, byte minCode, byte maxCode, bool isInverted) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        Span<byte> header = stackalloc byte[2];
        bool matches = context.IsV4 == v4 && context.Protocol == (v4 ? IpProtocol.Icmp : IpProtocol.Icmpv6) && context.TryReadTransport(0, header)
            && ((v4 && type == byte.MaxValue) || (header[0] == type && header[1] >= minCode && header[1] <= maxCode)) != isInverted;
        if (!matches)
        {
            context.Verdict = Verdict.Break;
        }
    }
}
