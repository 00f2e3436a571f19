namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Counts packets and their bytes.</summary>
internal sealed class CounterExpression : StatefulExpression
{
    public ulong Packets { get; set; }

    public ulong Bytes { get; set; }

    public override void Evaluate(ref FilterContext context)
    {
        Packets++;
        Bytes += (ulong)(uint)context.Packet.Length;
    }

    public override StatefulExpression Fresh() => new CounterExpression { Origin = Origin };

    public override void Reset() => Packets = Bytes = 0;
}
