using System;
using Runsc.NetStack.Filter.Tracking;

namespace Runsc.NetStack.Filter.Matches;

/// <summary>The state of the packet's connection, and what NAT does to it (xt_state, xt_conntrack).</summary>
internal sealed class ConntrackMatch : Expression
{
    // XT_CONNTRACK_*: bits of what is looked at, and inverted.
    public const int State = 1 << 0, Protocol = 1 << 1, OriginalSource = 1 << 2, OriginalDestination = 1 << 3, ReplySource = 1 << 4, ReplyDestination = 1 << 5,
        Status = 1 << 6, Expires = 1 << 7, OriginalSourcePort = 1 << 8, OriginalDestinationPort = 1 << 9, ReplySourcePort = 1 << 10, ReplyDestinationPort = 1 << 11,
        Direction = 1 << 12;

    private const int StateSourceNat = 1 << 7, StateDestinationNat = 1 << 8;
    private const long Second = 1_000_000_000;

    public int LooksAt { get; init; }

    public int Inverted { get; init; }

    /// <summary>Bits of <see cref="FlowState"/>, and two for NAT.</summary>
    public int States { get; init; }

    public int Statuses { get; init; }

    public byte TransportProtocol { get; init; }

    public uint MinExpires { get; init; }

    public uint MaxExpires { get; init; }

    /// <summary>Address and mask: of the original source and destination, then of the answers'.</summary>
    public (IpAddress Address, IpAddress Mask)[] Addresses { get; init; } = [];

    /// <summary>Ranges in the same order.</summary>
    public (ushort Min, ushort Max)[] Ports { get; init; } = [];

    public override void Evaluate(ref FilterContext context)
    {
        FlowSide? flow = context.Flow;
        bool isInState = (LooksAt & State) == 0 || (States & StateBits(flow)) != 0 != IsInverted(State);
        if (!isInState || (flow?.Connection is { } connection ? !Matches(ref context, flow, connection) : (LooksAt & State) == 0))
        {
            context.Verdict = Verdict.Break;
        }
    }

    private static int StateBits(FlowSide? flow)
    {
        int bits = (int)(flow?.State ?? FlowState.Invalid);
        ConnectionStatus status = flow?.Connection?.Status ?? ConnectionStatus.None;
        bits |= (status & ConnectionStatus.SourceNat) != 0 ? StateSourceNat : 0;
        return bits | ((status & ConnectionStatus.DestinationNat) != 0 ? StateDestinationNat : 0);
    }

    private bool Matches(ref FilterContext context, FlowSide flow, Connection connection)
    {
        FlowTuple original = connection.Original.Tuple, reply = connection.Reply.Tuple;
        long left = connection.IsConfirmed ? Math.Max(connection.Deadline - context.Stack.Now, 0) / Second : 0;
        return Holds(Direction, !flow.IsReply)
            && Holds(Protocol, original.Protocol == TransportProtocol)
            && Holds(OriginalSource, 0, original.Source) && Holds(OriginalDestination, 1, original.Destination)
            && Holds(ReplySource, 2, reply.Source) && Holds(ReplyDestination, 3, reply.Destination)
            && Holds(OriginalSourcePort, 0, original.SourcePort) && Holds(OriginalDestinationPort, 1, original.DestinationPort)
            && Holds(ReplySourcePort, 2, reply.SourcePort) && Holds(ReplyDestinationPort, 3, reply.DestinationPort)
            && Holds(Status, ((int)connection.Status & Statuses) != 0 || ((int)connection.Status == 0 && Statuses == 0))
            && Holds(Expires, left >= MinExpires && left <= MaxExpires);
    }

    private bool IsInverted(int bit) => (Inverted & bit) != 0;

    private bool Holds(int bit, bool condition) => (LooksAt & bit) == 0 || condition != IsInverted(bit);

    private bool Holds(int bit, int index, in IpAddress address) => (LooksAt & bit) == 0
        || ((address.High & Addresses[index].Mask.High) == (Addresses[index].Address.High & Addresses[index].Mask.High)
            && (address.Low & Addresses[index].Mask.Low) == (Addresses[index].Address.Low & Addresses[index].Mask.Low)) != IsInverted(bit);

    private bool Holds(int bit, int index, ushort port) => (LooksAt & bit) == 0 || (port >= Ports[index].Min && port <= Ports[index].Max) != IsInverted(bit);
}
