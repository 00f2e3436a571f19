using System;
using Runsc.NetStack.Core;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>Address translation: rules see the first packet of a connection, all its packets are rewritten alike. Guarded by the stack's lock.</summary>
internal sealed class NatEngine(PacketFilter filter)
{
    private const int MaxAttempts = 128;

    private NetworkStack Stack => filter.Stack;

    /// <summary>A hook of the destination (before routing) or of the source (after it).</summary>
    public Verdict Run(ref FilterContext context, BaseChain[] chains, bool isSource)
    {
        if (context.Flow is not { Connection: { } connection } flow)
        {
            return Verdict.Continue;
        }

        if (flow.State == FlowState.New && !IsSetUp(connection, isSource))
        {
            foreach (BaseChain chain in chains)
            {
                if (RuleWalker.Run(chain, ref context) == Verdict.Drop)
                {
                    return Verdict.Drop;
                }

                if (IsSetUp(connection, isSource))
                {
                    break;
                }
            }

            if (!IsSetUp(connection, isSource) && SetUp(connection, default, isSource) == Verdict.Drop)
            {
                return Verdict.Drop;
            }
        }

        return Translate(ref context, flow, isSource);
    }

    /// <summary>What a rule asks for: Accept, or Drop where no free address and port is left. For packets without a connection nothing happens.</summary>
    public Verdict Apply(ref FilterContext context, in NatRange range, bool isSource)
    {
        if (context.Flow is not { Connection: { } connection } || IsSetUp(connection, isSource) || connection.IsConfirmed)
        {
            return Verdict.Accept;
        }

        return SetUp(connection, range, isSource);
    }

    private static bool IsSetUp(Connection connection, bool isSource) =>
        (connection.Status & (isSource ? ConnectionStatus.SourceNatDone : ConnectionStatus.DestinationNatDone)) != 0;

    /// <summary>Gives a connection that is in no table yet other addresses or ports: Accept, or Drop where none is free.</summary>
    public Verdict SetUp(Connection connection, in NatRange range, bool isSource)
    {
        FlowTuple current = connection.Reply.Tuple.Inverse;
        if (!TryChoose(current, range, isSource, out FlowTuple wanted))
        {
            return Verdict.Drop;
        }

        connection.Status |= isSource ? ConnectionStatus.SourceNatDone : ConnectionStatus.DestinationNatDone;
        if (wanted != current)
        {
            connection.Reply.Tuple = wanted.Inverse;
            connection.Status |= isSource ? ConnectionStatus.SourceNat : ConnectionStatus.DestinationNat;
        }

        return Verdict.Accept;
    }

    private bool TryChoose(in FlowTuple current, in NatRange range, bool isSource, out FlowTuple wanted)
    {
        wanted = current;
        if (range.HasAddresses)
        {
            IpAddress address = PickAddress(current, range);
            if (address.IsV4 != current.Source.IsV4)
            {
                return false;
            }

            wanted = isSource ? current with { Source = address } : current with { Destination = address };
        }

        ushort port = isSource || current.IsIcmp ? wanted.SourcePort : wanted.DestinationPort;
        bool isInRange = !range.HasPorts || (port >= range.MinPort && port <= range.MaxPort);
        if (!range.IsRandom && isInRange && (!isSource || !range.HasPorts || range.MinPort != range.MaxPort) && IsFree(wanted))
        {
            return true;
        }

        if (!(wanted.HasPorts || wanted.IsIcmp) || (!isSource && !range.HasPorts))
        {
            return true;
        }

        (uint first, uint last) = range.HasPorts ? (range.MinPort, range.MaxPort)
            : wanted.IsIcmp ? (0u, 65535u)
            : port < 512 ? (1u, 511u) : port < 1024 ? (600u, 1023u) : (1024u, 65535u);
        uint size = last - first + 1;
        uint offset = range.HasPorts && !range.IsRandom && isSource ? (uint)port % size : range.HasPorts && !range.IsRandom ? 0 : (uint)(Stack.Random.Next() % size);
        for (uint i = 0; i < Math.Min(size, MaxAttempts); i++)
        {
            ushort candidate = (ushort)(first + ((offset + i) % size));
            wanted = isSource || wanted.IsIcmp ? wanted with { SourcePort = candidate } : wanted with { DestinationPort = candidate };
            if (IsFree(wanted))
            {
                return true;
            }
        }

        return false;
    }

    private bool IsFree(in FlowTuple tuple)
    {
        bool isTaken = filter.Tracker.Table.Find(tuple.Inverse, Stack.Now) is not null;
        filter.Tracker.Counters[(int)TrackingCounter.Found] += isTaken ? 1u : 0;
        return !isTaken;
    }

    // One address for a pair of hosts, or for a source.
    private IpAddress PickAddress(in FlowTuple tuple, in NatRange range)
    {
        if (range.MinAddress == range.MaxAddress)
        {
            return range.MinAddress;
        }

        ulong hash = Stack.Hash.Hash(tuple.Source, 0, range.IsPersistent ? default : tuple.Destination, 0);
        if (range.MinAddress.IsV4 || range.MinAddress.High == range.MaxAddress.High)
        {
            ulong size = unchecked(range.MaxAddress.Low - range.MinAddress.Low + 1);
            return new IpAddress(range.MinAddress.High, unchecked(range.MinAddress.Low + (size == 0 ? hash : hash % size)));
        }

        ulong halves = unchecked(range.MaxAddress.High - range.MinAddress.High + 1);
        return new IpAddress(unchecked(range.MinAddress.High + (halves == 0 ? hash : hash % halves)), hash);
    }

    private static Verdict Translate(ref FilterContext context, FlowSide flow, bool isSource)
    {
        Connection connection = flow.Connection!;

        // The answers of a connection whose source was changed get another destination, and the other way round.
        bool changesSource = isSource != flow.IsReply;
        if ((connection.Status & (changesSource ? ConnectionStatus.SourceNat : ConnectionStatus.DestinationNat)) == 0)
        {
            return Verdict.Continue;
        }

        FlowTuple opposite = connection.Side(!flow.IsReply).Tuple;
        bool done = flow.IsRelated
            ? PacketRewriter.RewriteQuoted(ref context, opposite, isSource: !isSource) && PacketRewriter.Rewrite(ref context, opposite.Inverse, isSource, withPorts: false)
            : PacketRewriter.Rewrite(ref context, opposite.Inverse, isSource, withPorts: true);
        return done ? Verdict.Continue : Verdict.Drop;
    }
}
