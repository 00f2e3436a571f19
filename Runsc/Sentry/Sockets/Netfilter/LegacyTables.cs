using System;
using System.Collections.Generic;
using System.Text;
using System.Threading;
using Runsc.Linux;
using Runsc.NetStack.Filter;
using Runsc.NetStack.Filter.Expressions;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Sockets.Netfilter;

/// <summary>The tables of iptables of one family, as socket options give and take them (linux/netfilter_ipv4/ip_tables.h).</summary>
internal sealed class LegacyTables
{
    // Offsets in struct ipt_getinfo, ipt_get_entries, ipt_replace, xt_counters_info.
    private const int InfoSize = 84, EntriesHeader = 40, ReplaceHeader = 96, CountersHeader = 40;
    private const int MaximumEntries = 1 << 16;

    /// <summary>What of the value of an option is read before it is answered.</summary>
    public const int MaximumInput = InfoSize;

    // NF_IP_PRI_* of the tables.
    private const int Raw = -300, Mangle = -150, DestinationNat = -100, FilterPriority = 0, SourceNat = 100;

    private readonly Lock _mu = new();
    private readonly PacketFilter _filter;
    private readonly UserNamespace _owner;
    private readonly bool _v4;
    private readonly LegacyTable[] _tables;

    public LegacyTables(PacketFilter filter, UserNamespace owner, bool v4)
    {
        const int pre = 1, input = 2, forward = 4, output = 8, post = 16;
        _filter = filter;
        _owner = owner;
        _v4 = v4;
        _tables =
        [
            new("filter", v4, input | forward | output, Same(FilterPriority), isNat: false),
            new("nat", v4, pre | input | output | post, [DestinationNat, SourceNat, 0, DestinationNat, SourceNat], isNat: true),
            new("mangle", v4, pre | input | forward | output | post, Same(Mangle), isNat: false),
            new("raw", v4, pre | output, Same(Raw), isNat: false),
        ];
    }

    private static int[] Same(int priority) => [priority, priority, priority, priority, priority];

    /// <summary>Tables that were asked for, for /proc/net/ip_tables_names.</summary>
    public string[] Names()
    {
        List<string> names = [];
        lock (_mu)
        {
            foreach (LegacyTable table in _tables)
            {
                if (table.Rules is not null)
                {
                    names.Insert(0, table.Name);
                }
            }
        }

        return [.. names];
    }

    public static bool IsGetOption(int name, bool v4) => name is Linux.Netfilter.IPT_SO_GET_INFO or Linux.Netfilter.IPT_SO_GET_ENTRIES
        || (v4 ? name is Linux.Netfilter.IPT_SO_GET_REVISION_MATCH or Linux.Netfilter.IPT_SO_GET_REVISION_TARGET
            : name is Linux.Netfilter.IP6T_SO_GET_REVISION_MATCH or Linux.Netfilter.IP6T_SO_GET_REVISION_TARGET);

    /// <summary>getsockopt(2) with what the application has put into <paramref name="value"/>: bytes written, or −errno.</summary>
    public long Get(ICaller caller, int name, Span<byte> value)
    {
        if (!caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, _owner))
        {
            return -(long)Errno.EPERM;
        }

        switch (name)
        {
            case Linux.Netfilter.IPT_SO_GET_INFO:
                return GetInfo(value);
            case Linux.Netfilter.IPT_SO_GET_ENTRIES:
                return GetEntries(value);
            default:
                const int revisionSize = 30;
                if (value.Length != revisionSize)
                {
                    return -(long)Errno.EINVAL;
                }

                bool isTarget = name is Linux.Netfilter.IPT_SO_GET_REVISION_TARGET or Linux.Netfilter.IP6T_SO_GET_REVISION_TARGET;
                ReadOnlySpan<byte> text = value[..(revisionSize - 1)];
                int end = text.IndexOf((byte)0);
                Errno error = XtExtensions.FindRevision(_v4, isTarget, end < 0 ? text : text[..end], value[revisionSize - 1]);
                return error == Errno.None ? value.Length : -(long)error;
        }
    }

    /// <summary>setsockopt(2).</summary>
    public Errno Set(ICaller caller, int name, ReadOnlySpan<byte> value)
    {
        if (!caller.Credentials.HasCapability(Capability.CAP_NET_ADMIN, _owner))
        {
            return Errno.EPERM;
        }

        return name switch
        {
            Linux.Netfilter.IPT_SO_SET_REPLACE => Replace(caller, value),
            Linux.Netfilter.IPT_SO_SET_ADD_COUNTERS => AddCounters(value),
            _ => Errno.EINVAL,
        };
    }

    private LegacyTable? FindLocked(ReadOnlySpan<byte> header)
    {
        ReadOnlySpan<byte> text = header[..Linux.Netfilter.XT_TABLE_MAXNAMELEN];
        int end = text.IndexOf((byte)0);
        string name = Encoding.Latin1.GetString(end < 0 ? text : text[..end]);
        foreach (LegacyTable table in _tables)
        {
            if (table.Name == name)
            {
                table.Rules ??= table.MakeDefault();
                return table;
            }
        }

        return null;
    }

    private long GetInfo(Span<byte> value)
    {
        if (value.Length != InfoSize)
        {
            return -(long)Errno.EINVAL;
        }

        lock (_mu)
        {
            if (FindLocked(value) is not { Rules: { } rules } table)
            {
                return -(long)Errno.ENOENT;
            }

            BitConverter.TryWriteBytes(value[32..], table.Hooks);
            for (int hook = 0; hook < Linux.Netfilter.NF_INET_NUMHOOKS; hook++)
            {
                BitConverter.TryWriteBytes(value[(36 + (hook * 4))..], rules.Entries[hook]);
                BitConverter.TryWriteBytes(value[(56 + (hook * 4))..], rules.Underflows[hook]);
            }

            BitConverter.TryWriteBytes(value[76..], rules.Count);
            BitConverter.TryWriteBytes(value[80..], rules.Size);
            return InfoSize;
        }
    }

    private long GetEntries(Span<byte> value)
    {
        if (value.Length < EntriesHeader)
        {
            return -(long)Errno.EINVAL;
        }

        lock (_mu)
        {
            if (FindLocked(value) is not { Rules: { } rules })
            {
                return -(long)Errno.ENOENT;
            }

            uint size = BitConverter.ToUInt32(value[32..]);
            if (size != value.Length - EntriesHeader)
            {
                return -(long)Errno.EINVAL;
            }

            if (size != rules.Size)
            {
                return -(long)Errno.EAGAIN;
            }

            using (_filter.Stack.Enter())
            {
                rules.CopyTo(value[EntriesHeader..], _v4);
            }

            return value.Length;
        }
    }

    private Errno Replace(ICaller caller, ReadOnlySpan<byte> value)
    {
        if (value.Length < ReplaceHeader)
        {
            return Errno.EINVAL;
        }

        uint hooks = BitConverter.ToUInt32(value[32..]), count = BitConverter.ToUInt32(value[36..]), size = BitConverter.ToUInt32(value[40..]);
        uint counters = BitConverter.ToUInt32(value[84..]);
        ulong countersAt = BitConverter.ToUInt64(value[88..]);
        if (size != value.Length - ReplaceHeader || count is 0 or > MaximumEntries || counters is 0 or > MaximumEntries)
        {
            return size > value.Length - ReplaceHeader ? Errno.ENOPROTOOPT : Errno.EINVAL;
        }

        int[] entries = new int[Linux.Netfilter.NF_INET_NUMHOOKS], underflows = new int[Linux.Netfilter.NF_INET_NUMHOOKS];
        for (int hook = 0; hook < entries.Length; hook++)
        {
            entries[hook] = BitConverter.ToInt32(value[(44 + (hook * 4))..]);
            underflows[hook] = BitConverter.ToInt32(value[(64 + (hook * 4))..]);
        }

        byte[] old;
        lock (_mu)
        {
            if (FindLocked(value) is not { Rules: { } before } table)
            {
                return Errno.ENOENT;
            }

            if (hooks != table.Hooks || counters != before.Count)
            {
                return hooks != table.Hooks ? Errno.EINVAL : Errno.EAGAIN;
            }

            Errno error = LegacyRules.TryParse(table, value[ReplaceHeader..].ToArray(), (int)count, entries, underflows, out LegacyRules? after);
            if (error != Errno.None)
            {
                return error;
            }

            table.Rules = after;
            using (_filter.Stack.Enter())
            {
                old = CountersOf(before);
                _filter.SetChains(table, table.MakeChains(after!), after!.Tracks);
            }
        }

        // As in Linux, the rules are in force whatever becomes of the old counters.
        _ = caller.UserMemory.CopyOut(countersAt, old);
        return Errno.None;
    }

    private static byte[] CountersOf(LegacyRules rules)
    {
        byte[] bytes = new byte[rules.Count * LegacyLayout.CountersSize];
        for (int i = 0; i < rules.Count; i++)
        {
            BitConverter.TryWriteBytes(bytes.AsSpan(i * LegacyLayout.CountersSize), rules.Counters[i].Packets);
            BitConverter.TryWriteBytes(bytes.AsSpan((i * LegacyLayout.CountersSize) + 8), rules.Counters[i].Bytes);
        }

        return bytes;
    }

    private Errno AddCounters(ReadOnlySpan<byte> value)
    {
        if (value.Length < CountersHeader)
        {
            return Errno.EINVAL;
        }

        uint count = BitConverter.ToUInt32(value[32..]);
        if (count > MaximumEntries || value.Length != CountersHeader + (count * LegacyLayout.CountersSize))
        {
            return Errno.EINVAL;
        }

        lock (_mu)
        {
            if (FindLocked(value) is not { Rules: { } rules })
            {
                return Errno.ENOENT;
            }

            if (count != rules.Count)
            {
                return Errno.EINVAL;
            }

            using (_filter.Stack.Enter())
            {
                for (int i = 0; i < rules.Count; i++)
                {
                    ReadOnlySpan<byte> added = value[(CountersHeader + (i * LegacyLayout.CountersSize))..];
                    CounterExpression counter = rules.Counters[i];
                    counter.Packets = unchecked(counter.Packets + BitConverter.ToUInt64(added));
                    counter.Bytes = unchecked(counter.Bytes + BitConverter.ToUInt64(added[8..]));
                }
            }
        }

        return Errno.None;
    }
}
