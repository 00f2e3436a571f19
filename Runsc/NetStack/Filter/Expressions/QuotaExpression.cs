namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Matches until so many bytes were seen, or from then on.</summary>
internal sealed class QuotaExpression(ulong bytes, ulong consumed, bool isOver) : StatefulExpression
{
    public ulong Bytes => bytes;

    public bool IsOver => isOver;

    public ulong Consumed { get; private set; } = consumed;

    /// <summary>It was seen to be used up.</summary>
    public bool IsDepleted { get; private set; }

    public override void Evaluate(ref FilterContext context)
    {
        Consumed += (ulong)(uint)context.Packet.Length;
        bool isUsed = Consumed >= bytes;
        IsDepleted |= isUsed;
        if (isUsed != isOver)
        {
            context.Verdict = Verdict.Break;
        }
    }

    public override StatefulExpression Fresh() => new QuotaExpression(bytes, 0, isOver) { Origin = Origin };

    public override void Reset() => (Consumed, IsDepleted) = (0, false);
}
