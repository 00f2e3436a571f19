using System.Collections.Generic;
using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>A table of nftables. A transaction works on copies.</summary>
internal sealed class NftTable(int family, string name, ulong handle)
{
    /// <summary>NFPROTO_*.</summary>
    public int Family { get; } = family;

    public string Name { get; } = name;

    public ulong Handle { get; } = handle;

    public uint Flags { get; set; }

    public byte[]? UserData { get; set; }

    public List<NftChain> Chains { get; } = [];

    public List<NftSet> Sets { get; } = [];

    public List<NftObject> Objects { get; } = [];

    /// <summary>The last handle of a chain, rule or set.</summary>
    public ulong LastHandle { get; private set; }

    /// <summary>The number of the next anonymous set.</summary>
    public int NextAnonymous { get; set; }

    public ulong TakeHandle() => ++LastHandle;

    public NftTable Copy()
    {
        NftTable copy = new(Family, Name, Handle) { Flags = Flags, UserData = UserData, NextAnonymous = NextAnonymous, LastHandle = LastHandle };
        foreach (NftChain chain in Chains)
        {
            copy.Chains.Add(chain.Copy());
        }

        foreach (NftSet set in Sets)
        {
            copy.Sets.Add(set.Copy());
        }

        copy.Objects.AddRange(Objects);
        return copy;
    }

    public NftObject? FindObject(string name, uint type) => Objects.Find(one => one.Name == name && one.Type == type);

    /// <summary>How often rules and maps refer to an object.</summary>
    public int CountUses(NftObject target)
    {
        int uses = 0;
        foreach (NftChain from in Chains)
        {
            foreach (NftRule rule in from.Rules)
            {
                foreach (NftExpression expression in rule.Expressions)
                {
                    uses += expression.Object == target ? 1 : 0;
                }
            }
        }

        foreach (NftSet set in Sets)
        {
            foreach (SetElement element in set.IsObjectMap ? set.Elements : [])
            {
                uses += element.Object == target.Live ? 1 : 0;
            }
        }

        return uses;
    }

    public NftChain? FindChain(string name)
    {
        foreach (NftChain chain in Chains)
        {
            if (chain.Name == name)
            {
                return chain;
            }
        }

        return null;
    }

    public NftChain? FindChain(RuleChain rules)
    {
        foreach (NftChain chain in Chains)
        {
            if (chain.Live == rules)
            {
                return chain;
            }
        }

        return null;
    }

    public NftSet? FindSet(string name)
    {
        foreach (NftSet set in Sets)
        {
            if (set.Name == name)
            {
                return set;
            }
        }

        return null;
    }

    public NftSet? FindSet(FilterSet elements)
    {
        foreach (NftSet set in Sets)
        {
            if (set.Live == elements)
            {
                return set;
            }
        }

        return null;
    }

    /// <summary>How often rules and maps lead to a chain.</summary>
    public int CountUses(NftChain chain)
    {
        int uses = 0;
        foreach (NftChain from in Chains)
        {
            foreach (NftRule rule in from.Rules)
            {
                foreach (NftExpression expression in rule.Expressions)
                {
                    uses += expression.Jump == chain.Live ? 1 : 0;
                }
            }
        }

        foreach (NftSet set in Sets)
        {
            foreach (SetElement element in set.Elements)
            {
                uses += element.Verdict?.Target == chain.Live ? 1 : 0;
            }
        }

        return uses;
    }

    /// <summary>How many rules look something up in a set.</summary>
    public int CountUses(NftSet set)
    {
        int uses = 0;
        foreach (NftChain from in Chains)
        {
            foreach (NftRule rule in from.Rules)
            {
                foreach (NftExpression expression in rule.Expressions)
                {
                    uses += expression.Set == set.Live ? 1 : 0;
                }
            }
        }

        return uses;
    }
}
