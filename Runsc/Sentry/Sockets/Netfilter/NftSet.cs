using System.Collections.Generic;
using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>A set or map of nftables.</summary>
internal sealed class NftSet(string name, ulong handle, FilterSet live)
{
    public string Name { get; } = name;

    public ulong Handle { get; } = handle;

    /// <summary>What rules look into: the same for all copies, changed by commits.</summary>
    public FilterSet Live { get; } = live;

    /// <summary>NFT_SET_*.</summary>
    public uint Flags { get; init; }

    public uint KeyType { get; init; }

    public int KeyLength { get; init; }

    public uint DataType { get; init; }

    public int DataLength { get; init; }

    public uint Policy { get; init; }

    public uint Size { get; init; }

    /// <summary>Lengths of the fields of keys that are ranges of several fields; else empty.</summary>
    public int[] Fields { get; init; } = [];

    public byte[]? UserData { get; init; }

    /// <summary>Milliseconds that elements stay, unless they say otherwise; 0: for ever.</summary>
    public ulong Timeout { get; init; }

    public uint GcInterval { get; init; }

    /// <summary>NFT_OBJECT_* of what a map of objects maps to.</summary>
    public uint ObjectType { get; init; }

    /// <summary>What each element gets one of.</summary>
    public NftExpression[] Expressions { get; init; } = [];

    /// <summary>Of a set that is not dynamic.</summary>
    public List<SetElement> Elements { get; } = [];

    /// <summary>Of one that is: what the transaction does to it.</summary>
    public List<NftElementChange> Changes { get; } = [];

    public bool IsObjectMap => (Flags & Linux.NfTables.NFT_SET_OBJECT) != 0;

    public bool IsAnonymous => (Flags & Linux.NfTables.NFT_SET_ANONYMOUS) != 0;

    public bool IsMap => (Flags & Linux.NfTables.NFT_SET_MAP) != 0;

    public bool IsVerdictMap => IsMap && DataType == Linux.NfTables.NFT_DATA_VERDICT;

    public bool HasIntervals => (Flags & Linux.NfTables.NFT_SET_INTERVAL) != 0;

    public NftSet Copy()
    {
        NftSet copy = new(Name, Handle, Live)
        {
            Flags = Flags, KeyType = KeyType, KeyLength = KeyLength, DataType = DataType, DataLength = DataLength, Policy = Policy, Size = Size, Fields = Fields, UserData = UserData,
            Timeout = Timeout, GcInterval = GcInterval, ObjectType = ObjectType, Expressions = Expressions,
        };
        copy.Elements.AddRange(Elements);
        return copy;
    }
}
