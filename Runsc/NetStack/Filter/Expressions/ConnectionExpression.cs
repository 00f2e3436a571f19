using System;
using System.Buffers.Binary;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Loads what is known of the packet's connection.</summary>
/// <param name="key">What.</param>
/// <param name="isReply">Of which direction, for addresses, ports and protocol.</param>
/// <param name="register">Where to.</param>
internal sealed class ConnectionExpression(ConnectionKey key, bool isReply, int register) : Expression
{
    public override void Evaluate(ref FilterContext context)
    {
        FlowSide? flow = context.Flow;
        if (key == ConnectionKey.State)
        {
            Registers.Store(ref context, register, (uint)(flow?.State ?? FlowState.Invalid));
            return;
        }

        if (flow?.Connection is not { } connection)
        {
            context.Verdict = Verdict.Break;
            return;
        }

        FlowTuple tuple = connection.Side(isReply).Tuple;
        switch (key)
        {
            case ConnectionKey.Direction:
                Registers.Store(ref context, register, [flow.IsReply ? (byte)1 : (byte)0]);
                break;
            case ConnectionKey.Status:
                Registers.Store(ref context, register, (uint)connection.Status);
                break;
            case ConnectionKey.Mark:
                Registers.Store(ref context, register, connection.Mark);
                break;
            case ConnectionKey.Expiration:
                long left = connection.Deadline - (connection.IsConfirmed ? context.Stack.Now : 0);
                Registers.Store(ref context, register, (uint)Math.Clamp(left / 1_000_000, 0, uint.MaxValue));
                break;
            case ConnectionKey.Family:
                Registers.Store(ref context, register, [tuple.Source.IsV4 ? (byte)2 : (byte)10]);
                break;
            case ConnectionKey.Protocol:
                Registers.Store(ref context, register, [tuple.Protocol]);
                break;
            case ConnectionKey.SourcePort or ConnectionKey.DestinationPort:
                Span<byte> port = stackalloc byte[2];
                BinaryPrimitives.WriteUInt16BigEndian(port, key == ConnectionKey.SourcePort ? tuple.SourcePort : tuple.DestinationPort);
                Registers.Store(ref context, register, port);
                break;
            default:
                IpAddress address = key is ConnectionKey.Source or ConnectionKey.SourceV4 or ConnectionKey.SourceV6 ? tuple.Source : tuple.Destination;
                bool fits = address.IsV4 ? key is not (ConnectionKey.SourceV6 or ConnectionKey.DestinationV6) : key is not (ConnectionKey.SourceV4 or ConnectionKey.DestinationV4);
                if (!fits)
                {
                    context.Verdict = Verdict.Break;
                    return;
                }

                Registers.Store(ref context, register, address);
                break;
        }
    }
}
