namespace Runsc.NetStack.Filter.Matches;

/// <summary>Sets the mark of the connection, saves the packet's there, or restores it from there (xt_CONNMARK).</summary>
internal sealed class ConnectionMarkTarget(byte mode, uint value, uint connectionMask, uint packetMask) : Expression
{
    /// <summary>XT_CONNMARK_*.</summary>
    public const byte Set = 0, Save = 1, Restore = 2;

    public override void Evaluate(ref FilterContext context)
    {
        if (context.Flow?.Connection is not { } connection)
        {
            return;
        }

        switch (mode)
        {
            case Set:
                connection.Mark = (connection.Mark & ~connectionMask) ^ value;
                break;
            case Save:
                connection.Mark = (connection.Mark & ~connectionMask) ^ (context.Packet.Mark & packetMask);
                break;
            default:
                context.Packet.Mark = (context.Packet.Mark & ~packetMask) ^ (connection.Mark & connectionMask);
                break;
        }
    }
}
