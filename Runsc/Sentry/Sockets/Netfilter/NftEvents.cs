using System.Collections.Generic;
using Runsc.NetStack.Filter;
using Runsc.Sentry.Sockets.Netlink;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>What a commit has changed, as the members of NFNLGRP_NFTABLES hear of it: what has gone, then what has come, then the number of the commit.</summary>
internal static class NftEvents
{
    /// <summary>NFNLGRP_NFTABLES.</summary>
    public const int Group = 7;

    public static List<byte[]> Describe(NftState before, NftState after, int process, long now)
    {
        NetlinkWriter messages = new(0, 0);
        NftWriter writer = new(messages, after, isDump: false, now), gone = new(messages, before, isDump: false, now, removes: true);
        foreach (NftTable table in before.Tables)
        {
            NftTable? next = after.Tables.Find(one => one.Handle == table.Handle);
            Parts(gone, table, next);
            if (next is null)
            {
                gone.Table(table);
            }
        }

        foreach (NftTable table in after.Tables)
        {
            NftTable? was = before.Tables.Find(one => one.Handle == table.Handle);
            if (was is null || was.Flags != table.Flags)
            {
                writer.Table(table);
            }

            Parts(writer, table, was);
        }

        writer.Generation(process);
        messages.Flush();
        return messages.Datagrams;
    }

    // What a table has that the other one has not. What is deleted goes in the other order.
    private static void Parts(NftWriter writer, NftTable table, NftTable? other)
    {
        if (writer.Removes)
        {
            Rules(writer, table, other);
        }

        foreach (NftChain chain in table.Chains)
        {
            NftChain? same = other?.Chains.Find(one => one.Handle == chain.Handle);
            if (same is null || (!writer.Removes && (same.Name != chain.Name || same.Policy != chain.Policy)))
            {
                writer.Chain(table, chain);
            }
        }

        foreach (NftObject target in table.Objects)
        {
            if (other is null || !other.Objects.Contains(target))
            {
                writer.Object(table, target);
            }
        }

        foreach (NftSet set in table.Sets)
        {
            NftSet? same = other?.FindSet(set.Live);
            if (writer.Removes)
            {
                Elements(writer, table, set, same);
            }

            if (same is null)
            {
                writer.Set(table, set);
            }

            if (!writer.Removes)
            {
                Elements(writer, table, set, same);
            }
        }

        if (!writer.Removes)
        {
            Rules(writer, table, other);
        }
    }

    private static void Rules(NftWriter writer, NftTable table, NftTable? other)
    {
        foreach (NftChain chain in table.Chains)
        {
            NftChain? same = other?.Chains.Find(one => one.Handle == chain.Handle);
            for (int i = 0; i < chain.Rules.Count; i++)
            {
                if (same is null || !same.Rules.Contains(chain.Rules[i]))
                {
                    writer.Rule(table, chain, chain.Rules[i], i > 0 ? chain.Rules[i - 1] : null);
                }
            }
        }
    }

    private static void Elements(NftWriter writer, NftTable table, NftSet set, NftSet? other)
    {
        List<SetElement> elements = [];
        NftSet changed = writer.Removes ? other ?? set : set;
        foreach (NftElementChange change in set.Live.IsDynamic ? changed.Changes : [])
        {
            if (change.Element is { } element && change.IsNew != writer.Removes && (other is not null || !writer.Removes))
            {
                elements.Add(element);
            }
        }

        // Sorted, both of them. With a set that is gone all its elements are, without a word.
        if (other is not null || !writer.Removes)
        {
            elements.AddRange(set.Elements.FindAll(one => other is null || !other.Elements.Contains(one)));
        }

        writer.Elements(table, set, elements.ToArray());
    }
}
