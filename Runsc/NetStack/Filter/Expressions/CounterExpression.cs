namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Counts packets and their bytes.</summary>
internal sealed class CounterExpression : Expression
{
    public ulong Packets { get; set; }

    public ulong Bytes { get; set; }

    public override void Evaluate(ref FilterContext context)
    {
        Packets++;
        Bytes += (ulong)(uint)context.Packet.Length;
    }
}
