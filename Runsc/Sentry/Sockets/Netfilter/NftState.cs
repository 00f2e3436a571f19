using System.Collections.Generic;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>All tables of nftables at one moment.</summary>
internal sealed class NftState
{
    public List<NftTable> Tables { get; } = [];

    /// <summary>Changes with each commit; never 0.</summary>
    public uint Generation { get; set; } = 1;

    public ulong NextHandle { get; set; } = 1;

    public NftState Copy()
    {
        NftState copy = new() { Generation = Generation, NextHandle = NextHandle };
        foreach (NftTable table in Tables)
        {
            copy.Tables.Add(table.Copy());
        }

        return copy;
    }

    public ulong TakeHandle() => NextHandle++;

    public NftTable? FindTable(int family, string name)
    {
        foreach (NftTable table in Tables)
        {
            if (table.Family == family && table.Name == name)
            {
                return table;
            }
        }

        return null;
    }
}
