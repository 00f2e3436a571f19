using System;
using Runsc.NetStack.Core;

namespace Runsc.NetStack.Filter.Tracking;

/// <summary>Connections by the tuples of both directions: bounded, hashed with the stack's secret. Guarded by the stack's lock.</summary>
/// <param name="hash">Spreads the tuples.</param>
/// <param name="removed">Is told of each connection that has been taken out.</param>
internal sealed class ConnectionTable(FlowHash hash, Action<Connection> removed)
{
    /// <summary>net.netfilter.nf_conntrack_buckets.</summary>
    public const int Buckets = 1 << 14;

    private readonly FlowSide?[] _buckets = new FlowSide?[Buckets];
    private int _sweep;

    public int Count { get; private set; }

    public FlowSide? Find(in FlowTuple tuple, long now)
    {
        for (FlowSide? side = _buckets[Bucket(tuple)]; side is not null; side = side.Next)
        {
            if (side.Tuple == tuple && side.Connection!.Deadline > now)
            {
                return side;
            }
        }

        return null;
    }

    /// <summary>Adds a connection. False when one of its tuples is taken.</summary>
    public bool TryAdd(Connection connection, long now)
    {
        if (Find(connection.Original.Tuple, now) is not null || Find(connection.Reply.Tuple, now) is not null)
        {
            return false;
        }

        Link(connection.Original);
        Link(connection.Reply);
        connection.Status |= ConnectionStatus.Confirmed;
        Count++;
        return true;
    }

    public void Remove(Connection connection)
    {
        if ((connection.Status & ConnectionStatus.Dying) != 0 || !connection.IsConfirmed)
        {
            return;
        }

        Unlink(connection.Original);
        Unlink(connection.Reply);
        connection.Status |= ConnectionStatus.Dying;
        Count--;
        removed(connection);
    }

    /// <summary>Forgets what is due in the next part of the table.</summary>
    public void Sweep(long now, int parts)
    {
        for (int i = 0; i < Buckets / parts; i++)
        {
            _sweep = (_sweep + 1) & (Buckets - 1);
            FlowSide? side = _buckets[_sweep];
            while (side is not null)
            {
                FlowSide? next = side.Next;
                if (side.Connection!.Deadline <= now)
                {
                    // Both sides may be in this bucket: begin again.
                    Remove(side.Connection);
                    next = _buckets[_sweep];
                }

                side = next;
            }
        }
    }

    /// <summary>For showing: calls back for each connection.</summary>
    public void ForEach(Action<Connection> action)
    {
        foreach (FlowSide? first in _buckets)
        {
            for (FlowSide? side = first; side is not null; side = side.Next)
            {
                if (!side.IsReply)
                {
                    action(side.Connection!);
                }
            }
        }
    }

    /// <summary>Makes room: one goes that is due, or that was not answered in both directions, near a place that moves. False: there is none.</summary>
    public bool Evict(long now)
    {
        for (int i = 0; i < Buckets / 64; i++)
        {
            _sweep = (_sweep + 1) & (Buckets - 1);
            for (FlowSide? side = _buckets[_sweep]; side is not null; side = side.Next)
            {
                if (side.Connection!.Deadline <= now || (side.Connection.Status & ConnectionStatus.Assured) == 0)
                {
                    Remove(side.Connection);
                    return true;
                }
            }
        }

        return false;
    }

    private void Link(FlowSide side)
    {
        ref FlowSide? bucket = ref _buckets[Bucket(side.Tuple)];
        side.Next = bucket;
        bucket = side;
    }

    private void Unlink(FlowSide side)
    {
        ref FlowSide? bucket = ref _buckets[Bucket(side.Tuple)];
        if (bucket == side)
        {
            bucket = side.Next;
            side.Next = null;
            return;
        }

        for (FlowSide? at = bucket; at is not null; at = at.Next)
        {
            if (at.Next == side)
            {
                at.Next = side.Next;
                side.Next = null;
                return;
            }
        }
    }

    private int Bucket(in FlowTuple tuple) =>
        (int)(hash.Hash(tuple.Source, tuple.SourcePort, tuple.Destination, tuple.DestinationPort, tuple.Protocol) & (Buckets - 1));
}
