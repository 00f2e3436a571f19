using System;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>Ranges of ports, and of TCP flags and an option (xt_tcp, xt_udp).</summary>
internal sealed class PortMatch : Expression
{
    public required byte Protocol { get; init; }

    public ushort MinSource { get; init; }

    public ushort MaxSource { get; init; } = ushort.MaxValue;

    public bool NotSource { get; init; }

    public ushort MinDestination { get; init; }

    public ushort MaxDestination { get; init; } = ushort.MaxValue;

    public bool NotDestination { get; init; }

    /// <summary>Flags that are looked at, and those of them that must be set.</summary>
    public byte FlagMask { get; init; }

    public byte FlagsSet { get; init; }

    public bool NotFlags { get; init; }

    /// <summary>A TCP option that must be there, or 0.</summary>
    public byte Option { get; init; }

    public bool NotOption { get; init; }

    public override void Evaluate(ref FilterContext context)
    {
        if (context.Protocol != Protocol || !context.TryReadPorts(out ushort source, out ushort destination)
            || (source >= MinSource && source <= MaxSource) == NotSource
            || (destination >= MinDestination && destination <= MaxDestination) == NotDestination
            || (Protocol == IpProtocol.Tcp && !MatchesTcp(ref context)))
        {
            context.Verdict = Verdict.Break;
        }
    }

    private bool MatchesTcp(ref FilterContext context)
    {
        if (FlagMask == 0 && !NotFlags && Option == 0)
        {
            return true;
        }

        Span<byte> header = stackalloc byte[TcpHeader.Size];
        return context.TryReadTransport(0, header) && (header[13] & FlagMask) == FlagsSet != NotFlags
            && (Option == 0 || HasOption(ref context, (header[12] >> 4) * 4) != NotOption);
    }

    private bool HasOption(ref FilterContext context, int length)
    {
        Span<byte> options = stackalloc byte[TcpHeader.MaxOptions];
        options = options[..Math.Max(length - TcpHeader.Size, 0)];
        if (!context.TryReadTransport(TcpHeader.Size, options))
        {
            return false;
        }

        for (int i = 0; i < options.Length; i += options[i] < 2 || i + 1 >= options.Length ? 1 : Math.Max((int)options[i + 1], 1))
        {
            if (options[i] == Option)
            {
                return true;
            }
        }

        return false;
    }
}
