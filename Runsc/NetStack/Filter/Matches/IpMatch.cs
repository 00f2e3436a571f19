using Runsc.NetStack.Core;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>What every rule of iptables says: addresses, interfaces, protocol, fragments, each of them perhaps inverted.</summary>
internal sealed class IpMatch : Expression
{
    public IpAddress Source { get; init; }

    public IpAddress SourceMask { get; init; }

    public bool NotSource { get; init; }

    public IpAddress Destination { get; init; }

    public IpAddress DestinationMask { get; init; }

    public bool NotDestination { get; init; }

    /// <summary>Name and mask of its bytes (IFNAMSIZ), or null.</summary>
    public byte[]? Input { get; init; }

    public byte[]? InputMask { get; init; }

    public bool NotInput { get; init; }

    public byte[]? Output { get; init; }

    public byte[]? OutputMask { get; init; }

    public bool NotOutput { get; init; }

    /// <summary>0: any.</summary>
    public byte Protocol { get; init; }

    public bool NotProtocol { get; init; }

    /// <summary>Fragments behind the first one only, or (inverted) none of them.</summary>
    public bool Fragments { get; init; }

    public bool NotFragments { get; init; }

    public override void Evaluate(ref FilterContext context)
    {
        bool matches = IsIn(context.Source, Source, SourceMask) != NotSource
            && IsIn(context.Destination, Destination, DestinationMask) != NotDestination
            && (Input is null || IsNamed(context.Input, Input, InputMask!) != NotInput)
            && (Output is null || IsNamed(context.Output, Output, OutputMask!) != NotOutput)
            && (Protocol == 0 || (context.Protocol == Protocol) != NotProtocol)
            && (!Fragments || (context.FragmentOffset != 0) != NotFragments);
        if (!matches)
        {
            context.Verdict = Verdict.Break;
        }
    }

    private static bool IsIn(in IpAddress address, in IpAddress network, in IpAddress mask) =>
        (address.High & mask.High) == network.High && (address.Low & mask.Low) == (network.Low & mask.Low);

    private static bool IsNamed(NetworkInterface? named, byte[] name, byte[] mask)
    {
        string own = named?.Name ?? "";
        int difference = 0;
        for (int i = 0; i < name.Length; i++)
        {
            int letter = i < own.Length ? own[i] : 0;
            difference |= (letter ^ name[i]) & mask[i];
        }

        return difference == 0;
    }
}
