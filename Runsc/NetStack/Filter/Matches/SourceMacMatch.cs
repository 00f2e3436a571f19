using System;
using Runsc.NetStack.Filter.Expressions;
using Runsc.NetStack.Link;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>The Ethernet address of who sent the packet (xt_mac); one without does not match, inverted or not.</summary>
internal sealed class SourceMacMatch(byte[] address, bool isInverted) : Expression
{
    private const int SourceOffset = 6;

    public override void Evaluate(ref FilterContext context)
    {
        Span<byte> bytes = stackalloc byte[SourceOffset];
        if (context.Input is not { Device.Kind: LinkKind.Ethernet } || !PayloadExpression.TryReadLink(ref context, SourceOffset, bytes) || bytes.SequenceEqual(address) == isInverted)
        {
            context.Verdict = Verdict.Break;
        }
    }
}
