using Runsc.NetStack.Transport;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>Who sent the packet from a socket of this host (xt_owner).</summary>
internal sealed class OwnerMatch : Expression
{
    public bool LooksAtUser { get; init; }

    public uint MinUser { get; init; }

    public uint MaxUser { get; init; }

    public bool NotUser { get; init; }

    public bool LooksAtGroup { get; init; }

    public uint MinGroup { get; init; }

    public uint MaxGroup { get; init; }

    public bool NotGroup { get; init; }

    public bool LooksAtSocket { get; init; }

    public bool NotSocket { get; init; }

    public override void Evaluate(ref FilterContext context)
    {
        bool matches = context.Packet.Owner is { } owner ? Matches(owner)
            : (!LooksAtSocket || NotSocket) && (!LooksAtUser || NotUser) && (!LooksAtGroup || NotGroup);
        if (!matches)
        {
            context.Verdict = Verdict.Break;
        }
    }

    private bool Matches(SocketOwner owner) => !(LooksAtSocket && NotSocket)
        && (!LooksAtUser || (owner.User >= MinUser && owner.User <= MaxUser) != NotUser)
        && (!LooksAtGroup || (owner.Group >= MinGroup && owner.Group <= MaxGroup) != NotGroup);
}
