using System;
using Runsc.NetStack.Buffers;
using Runsc.NetStack.Core;
using Runsc.NetStack.Wire;

namespace Runsc.NetStack.Network;

/// <summary>Finds link addresses for IPv4 (RFC 826) and answers who asks for ours. Under the stack's lock.</summary>
internal static class ArpProtocol
{
    /// <summary>Takes a message, its front at the ARP header.</summary>
    public static void Receive(NetworkInterface input, PacketBuffer packet)
    {
        if (packet.EnsureLinear(ArpMessage.Size) && ArpMessage.TryParse(packet.Linear, out ArpMessage message)
            && message.SenderMac.IsUnicast && !message.Sender.IsMulticast && !message.Sender.IsLoopback && !message.Target.IsMulticast)
        {
            Handle(input, message);
        }
        else
        {
            input.Counters.ReceiveErrors++;
        }

        packet.Release();
    }

    /// <summary>Asks who has the address.</summary>
    /// <param name="output">The interface.</param>
    /// <param name="target">The address.</param>
    /// <param name="mac">Broadcast, or the known link address to probe.</param>
    /// <param name="waiting">The packet that waits: its source is the best sender address if it is ours.</param>
    public static void Ask(NetworkInterface output, in IpAddress target, MacAddress mac, PacketBuffer? waiting)
    {
        IpAddress sender = IpAddress.AnyV4;
        if (waiting is not null && Ipv4Header.TryParse(waiting.Linear, out Ipv4Header header) && output.FindOwn(header.Source) is not null)
        {
            sender = header.Source;
        }

        if (sender.IsUnspecified)
        {
            sender = output.SelectV4(target, NetworkStack.ScopeLink);
        }

        Send(output, mac, new ArpMessage { Operation = ArpMessage.Request, SenderMac = output.Mac, Sender = sender, Target = target });
    }

    private static void Handle(NetworkInterface input, in ArpMessage message)
    {
        bool ours = input.Stack.Routes4.FindLocal(message.Target) is { Kind: RouteKind.Local } && !message.Target.IsLoopback;
        bool isRequest = message.Operation == ArpMessage.Request;
        bool answers = ours
            && (Math.Max(input.Parameters[InterfaceSetting.ArpIgnore], input.Stack.Parameters.All[InterfaceSetting.ArpIgnore]) == 0 || input.FindOwn(message.Target) is not null);
        if (isRequest && answers && input.FindOwn(message.Sender) is null)
        {
            Send(input, message.SenderMac, new ArpMessage
            {
                Operation = ArpMessage.Reply,
                SenderMac = input.Mac,
                Sender = message.Target,
                TargetMac = message.SenderMac,
                Target = message.Sender,
            });
        }

        if (message.Sender.IsUnspecified)
        {
            return;
        }

        // Who asks for us is likely to be talked to; what others say is only taken for entries that are there (arp_accept 0).
        Neighbor? neighbor = isRequest && ours ? input.Neighbors.GetOrAdd(message.Sender) : input.Neighbors.Find(message.Sender);
        neighbor?.Heard(message.SenderMac, solicited: !isRequest && ours, overrides: true);
    }

    private static void Send(NetworkInterface output, MacAddress destination, in ArpMessage message)
    {
        PacketBuffer packet = output.Stack.Pool.Allocate(PacketBuffer.Headroom, ArpMessage.Size);
        message.Write(packet.Append(ArpMessage.Size));
        packet.NetworkStart = packet.Position;
        output.SendFrame(packet, destination, EtherType.Arp);
    }
}
