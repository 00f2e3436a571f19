using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.NetStack.Filter;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>Makes an expression of an extension's data, whose size was checked. EINVAL for data that Linux refuses.</summary>
internal delegate Errno XtMaker(in XtPlace place, ReadOnlySpan<byte> data, out Expression? expression);

/// <summary>The matches and targets of iptables (xtables), by name and revision: for the legacy interface and for the compatible expressions of nftables.</summary>
internal static class XtExtensions
{
    // Families of an extension.
    private const int V4 = 1, V6 = 2, Both = V4 | V6;

    private const int In = 1 << Linux.Netfilter.NF_INET_LOCAL_IN, Forward = 1 << Linux.Netfilter.NF_INET_FORWARD, Out = 1 << Linux.Netfilter.NF_INET_LOCAL_OUT,
        Pre = 1 << Linux.Netfilter.NF_INET_PRE_ROUTING, Post = 1 << Linux.Netfilter.NF_INET_POST_ROUTING, All = In | Forward | Out | Pre | Post;

    private static readonly Extension[] s_matches =
    [
        new("tcp", 0, Both, 12, XtMatches.Tcp) { Protocols = [6] },
        new("udp", 0, Both, 10, XtMatches.Udp) { Protocols = [17] },
        new("icmp", 0, V4, 4, XtMatches.Icmp) { Protocols = [1] },
        new("icmp6", 0, V6, 4, XtMatches.Icmp) { Protocols = [58] },
        new("state", 0, Both, 4, XtMatches.State) { Tracks = true },
        new("conntrack", 1, Both, 152, XtMatches.Conntrack1) { Tracks = true },
        new("conntrack", 2, Both, 156, XtMatches.Conntrack2) { Tracks = true },
        new("conntrack", 3, Both, 164, XtMatches.Conntrack3) { Tracks = true },
        new("owner", 1, Both, 20, XtMatches.Owner) { Hooks = Out | Post },
        new("multiport", 1, Both, 48, XtMatches.Multiport) { Protocols = [6, 17, 33, 132, 136] },
        new("mark", 1, Both, 12, XtMatches.Mark),
        new("connmark", 1, Both, 12, XtMatches.ConnectionMark) { Tracks = true },
        new("addrtype", 0, V4, 12, XtMatches.AddressType0),
        new("addrtype", 1, Both, 8, XtMatches.AddressType1),
        new("comment", 0, Both, 256, XtMatches.Comment),
        new("limit", 0, Both, 40, XtMatches.Limit),
        new("length", 0, Both, 6, XtFields.Length),
        new("ttl", 0, V4, 2, XtFields.HopLimit),
        new("hl", 0, V6, 2, XtFields.HopLimit),
        new("dscp", 0, Both, 2, XtFields.CodePoint),
        new("tos", 1, Both, 3, XtFields.Service),
        new("pkttype", 0, Both, 8, XtFields.Type),
        new("tcpmss", 0, Both, 6, XtFields.SegmentSize) { Protocols = [6] },
        new("statistic", 0, Both, 24, XtFields.Statistic),
        new("mac", 0, Both, 12, XtFields.Mac) { Hooks = Pre | In | Forward },
        new("connlimit", 1, Both, 32, XtFields.ConnectionCount) { Tracks = true },
    ];

    private static readonly Extension[] s_targets =
    [
        new("REJECT", 0, Both, 4, XtTargets.Reject) { Table = "filter", Hooks = In | Forward | Out },
        new("LOG", 0, Both, 32, XtTargets.Log),
        new("DNAT", 0, V4, 20, XtTargets.DestinationNat0) { Table = "nat", Hooks = Pre | Out, Tracks = true },
        new("DNAT", 1, Both, 40, XtTargets.DestinationNat1) { Table = "nat", Hooks = Pre | Out, Tracks = true },
        new("DNAT", 2, Both, 44, XtTargets.DestinationNat1) { Table = "nat", Hooks = Pre | Out, Tracks = true },
        new("SNAT", 0, V4, 20, XtTargets.SourceNat0) { Table = "nat", Hooks = Post | In, Tracks = true },
        new("SNAT", 1, Both, 40, XtTargets.SourceNat1) { Table = "nat", Hooks = Post | In, Tracks = true },
        new("SNAT", 2, Both, 44, XtTargets.SourceNat1) { Table = "nat", Hooks = Post | In, Tracks = true },
        new("REDIRECT", 0, V4, 20, XtTargets.RedirectV4) { Table = "nat", Hooks = Pre | Out, Tracks = true },
        new("REDIRECT", 0, V6, 40, XtTargets.RedirectV6) { Table = "nat", Hooks = Pre | Out, Tracks = true },
        new("MASQUERADE", 0, V4, 20, XtTargets.MasqueradeV4) { Table = "nat", Hooks = Post, Tracks = true },
        new("MASQUERADE", 0, V6, 40, XtTargets.MasqueradeV6) { Table = "nat", Hooks = Post, Tracks = true },
        new("MARK", 2, Both, 8, XtTargets.Mark),
        new("CONNMARK", 1, Both, 16, XtTargets.ConnectionMark) { Tracks = true },
        new("TTL", 0, V4, 2, XtFields.SetHopLimit) { Table = "mangle" },
        new("HL", 0, V6, 2, XtFields.SetHopLimit) { Table = "mangle" },
        new("DSCP", 0, Both, 1, XtFields.SetCodePoint) { Table = "mangle" },
        new("TOS", 1, Both, 2, XtFields.SetService) { Table = "mangle" },
        new("TCPMSS", 0, Both, 2, XtFields.SetSegmentSize) { Protocols = [6] },
        new("NOTRACK", 0, Both, 0, XtTargets.NoTrack) { Table = "raw" },
        new("CT", 0, Both, 40, XtTargets.Ct) { Table = "raw" },
        new("CT", 1, Both, 72, XtTargets.Ct) { Table = "raw" },
        new("CT", 2, Both, 72, XtTargets.Ct) { Table = "raw" },
    ];

    /// <summary>Is the revision there? ENOENT: nothing of that name; EPROTONOSUPPORT: not this revision.</summary>
    public static Errno FindRevision(bool v4, bool isTarget, ReadOnlySpan<byte> name, int revision)
    {
        Errno error = Errno.ENOENT;
        foreach (Extension extension in isTarget ? s_targets : s_matches)
        {
            if ((extension.Families & (v4 ? V4 : V6)) != 0 && name.SequenceEqual(System.Text.Encoding.ASCII.GetBytes(extension.Name)))
            {
                if (extension.Revision == revision)
                {
                    return Errno.None;
                }

                error = Errno.EPROTONOSUPPORT;
            }
        }

        return error;
    }

    /// <summary>Names for /proc/net/ip_tables_matches and its like.</summary>
    public static IReadOnlyCollection<string> Names(bool v4, bool isTarget)
    {
        SortedSet<string> names = new(StringComparer.Ordinal);
        foreach (Extension extension in isTarget ? s_targets : s_matches)
        {
            if ((extension.Families & (v4 ? V4 : V6)) != 0)
            {
                names.Add(extension.Name);
            }
        }

        return names;
    }

    /// <summary>Makes a match or a target. ENOENT for what is not there, EINVAL where it does not belong or is broken.</summary>
    public static Errno TryMake(in XtPlace place, bool isTarget, string name, int revision, ReadOnlySpan<byte> data, out Expression? expression, out bool tracks)
    {
        expression = null;
        tracks = false;
        foreach (Extension extension in isTarget ? s_targets : s_matches)
        {
            if ((extension.Families & (place.IsV4 ? V4 : V6)) == 0 || extension.Name != name || extension.Revision != revision)
            {
                continue;
            }

            bool isPlaced = (extension.Table is null || extension.Table == place.Table)
                && (place.Hooks & ~extension.Hooks) == 0
                && (extension.Protocols.Length == 0 || Array.IndexOf(extension.Protocols, place.Protocol) >= 0);
            if (!isPlaced || data.Length != ((extension.Size + 7) & ~7))
            {
                return Errno.EINVAL;
            }

            tracks = extension.Tracks;
            return extension.Make(place, data[..extension.Size], out expression);
        }

        return Errno.ENOENT;
    }

    private sealed class Extension(string name, int revision, int families, int size, XtMaker make)
    {
        public string Name { get; } = name;

        public int Revision { get; } = revision;

        public int Families { get; } = families;

        /// <summary>Bytes of its structure; what is passed is padded to 8.</summary>
        public int Size { get; } = size;

        public XtMaker Make { get; } = make;

        public string? Table { get; init; }

        public int Hooks { get; init; } = All;

        /// <summary>The rule must be for one of these; empty: any.</summary>
        public byte[] Protocols { get; init; } = [];

        public bool Tracks { get; init; }
    }
}
