using System;
using System.Buffers.Binary;
using Runsc.NetStack.Core;
using Runsc.NetStack.Link;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Filter.Expressions;

/// <summary>Loads what is known of a packet beside its bytes.</summary>
internal sealed class MetaExpression(MetaKey key, int register) : Expression
{
    private const int NameSize = 16;

    // NFPROTO_*, ARPHRD_*.
    private const byte FamilyV4 = 2, FamilyV6 = 10;
    private const int HardwareEthernet = 1, HardwareLoopback = 772, HardwareNone = 0xfffe;

    /// <summary>Bytes of the value; 0 for keys that are not there.</summary>
    public static int SizeOf(MetaKey key) => key switch
    {
        MetaKey.Length or MetaKey.Priority or MetaKey.Mark or MetaKey.InputInterface or MetaKey.OutputInterface or MetaKey.SocketUser or MetaKey.SocketGroup
            or MetaKey.Cpu or MetaKey.Random or MetaKey.InputGroup or MetaKey.OutputGroup => 4,
        MetaKey.Protocol or MetaKey.InputType or MetaKey.OutputType => 2,
        MetaKey.InputName or MetaKey.OutputName => NameSize,
        MetaKey.Family or MetaKey.TransportProtocol or MetaKey.PacketType => 1,
        _ => 0,
    };

    public override void Evaluate(ref FilterContext context)
    {
        switch (key)
        {
            case MetaKey.Length:
                Registers.Store(ref context, register, (uint)context.Packet.Length);
                break;
            case MetaKey.Protocol:
                Span<byte> type = stackalloc byte[2];
                BinaryPrimitives.WriteUInt16BigEndian(type, context.IsV4 ? EtherType.Ipv4 : EtherType.Ipv6);
                Registers.Store(ref context, register, type);
                break;
            case MetaKey.Priority:
                Registers.Store(ref context, register, context.Packet.Priority);
                break;
            case MetaKey.Mark:
                Registers.Store(ref context, register, context.Packet.Mark);
                break;
            case MetaKey.InputInterface or MetaKey.OutputInterface:
                Registers.Store(ref context, register, (uint)((key == MetaKey.InputInterface ? context.Input : context.Output)?.Index ?? 0));
                break;
            case MetaKey.InputName or MetaKey.OutputName:
                StoreName(ref context, register, key == MetaKey.InputName ? context.Input : context.Output);
                break;
            case MetaKey.InputType or MetaKey.OutputType:
                StoreType(ref context, key == MetaKey.InputType ? context.Input : context.Output);
                break;
            case MetaKey.SocketUser or MetaKey.SocketGroup when context.Packet.Owner is { } owner:
                Registers.Store(ref context, register, key == MetaKey.SocketUser ? owner.User : owner.Group);
                break;
            case MetaKey.Family:
                Registers.Store(ref context, register, [context.IsV4 ? FamilyV4 : FamilyV6]);
                break;
            case MetaKey.TransportProtocol:
                Registers.Store(ref context, register, [context.Protocol]);
                break;
            case MetaKey.PacketType:
                Registers.Store(ref context, register, [(byte)context.Packet.Type]);
                break;
            case MetaKey.Cpu or MetaKey.InputGroup or MetaKey.OutputGroup:
                Registers.Store(ref context, register, 0u);
                break;
            case MetaKey.Random:
                Registers.Store(ref context, register, unchecked((uint)context.Stack.Random.Next()));
                break;
            default:
                context.Verdict = Verdict.Break;
                break;
        }
    }

    /// <summary>The name of an interface; empty if there is none.</summary>
    public static void StoreName(ref FilterContext context, int register, NetworkInterface? named)
    {
        Span<byte> name = stackalloc byte[NameSize];
        name.Clear();
        for (int i = 0; named is not null && i < Math.Min(named.Name.Length, NameSize - 1); i++)
        {
            name[i] = (byte)named.Name[i];
        }

        Registers.Store(ref context, register, name);
    }

    private void StoreType(ref FilterContext context, NetworkInterface? of)
    {
        if (of is null)
        {
            context.Verdict = Verdict.Break;
            return;
        }

        int type = of.Device.Kind switch
        {
            LinkKind.Ethernet => HardwareEthernet,
            LinkKind.Loopback => HardwareLoopback,
            _ => HardwareNone,
        };
        Registers.Store(ref context, register, (uint)type);
    }
}
