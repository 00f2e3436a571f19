using System.Collections.Generic;
using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>A chain of nftables.</summary>
internal sealed class NftChain(string name, ulong handle, RuleChain live)
{
    public string Name { get; set; } = name;

    public ulong Handle { get; } = handle;

    /// <summary>What packets go through: the same for all copies, changed by commits.</summary>
    public RuleChain Live { get; } = live;

    /// <summary>It is at a hook.</summary>
    public bool IsBase { get; init; }

    public int Hook { get; init; }

    public int Priority { get; init; }

    /// <summary>"filter", "nat" or "route".</summary>
    public string Type { get; init; } = "";

    /// <summary>NF_ACCEPT or NF_DROP.</summary>
    public uint Policy { get; set; } = Linux.Netfilter.NF_ACCEPT;

    public uint Flags { get; init; }

    public byte[]? UserData { get; set; }

    public List<NftRule> Rules { get; } = [];

    public NftChain Copy()
    {
        NftChain copy = new(Name, Handle, Live) { IsBase = IsBase, Hook = Hook, Priority = Priority, Type = Type, Policy = Policy, Flags = Flags, UserData = UserData };
        copy.Rules.AddRange(Rules);
        return copy;
    }
}
