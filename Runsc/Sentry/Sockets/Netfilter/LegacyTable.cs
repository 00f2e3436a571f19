using System;
using System.Collections.Generic;
using System.Text;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>A table of iptables: its entries as an application has given them, and what was made of them. Guarded by the lock of <see cref="LegacyTables"/>.</summary>
internal sealed class LegacyTable(string name, bool v4, int hooks, int[] priorities, bool isNat)
{
    public string Name { get; } = name;

    public bool IsV4 { get; } = v4;

    /// <summary>A bit for each hook where it has a chain.</summary>
    public int Hooks { get; } = hooks;

    /// <summary>Null until it is first asked for.</summary>
    public LegacyRules? Rules { get; set; }

    /// <summary>The rules of a table that nobody has changed: everything is accepted.</summary>
    public LegacyRules MakeDefault()
    {
        LegacyLayout layout = LegacyLayout.Of(IsV4);
        List<byte> blob = [];
        int[] entries = new int[Linux.Netfilter.NF_INET_NUMHOOKS];
        int count = 0;
        Span<byte> verdict = stackalloc byte[8];
        verdict.Clear();
        BitConverter.TryWriteBytes(verdict, -Linux.Netfilter.NF_ACCEPT - 1);
        for (int hook = 0; hook < entries.Length; hook++)
        {
            if ((Hooks >> hook & 1) != 0)
            {
                entries[hook] = blob.Count;
                Append(blob, layout, "", verdict);
                count++;
            }
        }

        Span<byte> error = stackalloc byte[32];
        error.Clear();
        Encoding.ASCII.GetBytes("ERROR", error);
        Append(blob, layout, "ERROR", error);
        _ = LegacyRules.TryParse(this, [.. blob], count + 1, entries, entries, out LegacyRules? rules);
        return rules!;
    }

    /// <summary>The chains at the hooks.</summary>
    public BaseChain[] MakeChains(LegacyRules rules)
    {
        List<BaseChain> chains = [];
        for (int hook = 0; hook < Linux.Netfilter.NF_INET_NUMHOOKS; hook++)
        {
            if ((Hooks >> hook & 1) != 0)
            {
                chains.Add(new BaseChain
                {
                    Hook = (FilterHook)hook,
                    Priority = priorities[hook],
                    ForV4 = IsV4,
                    ForV6 = !IsV4,
                    IsNat = isNat,
                    Chain = rules.Chain,
                    Start = rules.IndexOf(rules.Entries[hook]),
                    Policy = rules.PolicyOf(hook),
                });
            }
        }

        return [.. chains];
    }

    private static void Append(List<byte> blob, LegacyLayout layout, string target, ReadOnlySpan<byte> data)
    {
        byte[] entry = new byte[layout.EntrySize + LegacyLayout.ExtensionHeader + data.Length];
        BitConverter.TryWriteBytes(entry.AsSpan(layout.TargetOffset), (ushort)layout.EntrySize);
        BitConverter.TryWriteBytes(entry.AsSpan(layout.TargetOffset + 2), (ushort)entry.Length);
        BitConverter.TryWriteBytes(entry.AsSpan(layout.EntrySize), (ushort)(entry.Length - layout.EntrySize));
        Encoding.ASCII.GetBytes(target, entry.AsSpan(layout.EntrySize + 2));
        data.CopyTo(entry.AsSpan(layout.EntrySize + LegacyLayout.ExtensionHeader));
        blob.AddRange(entry);
    }
}
