using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;
using Runsc.NetStack.Core;
using Runsc.NetStack.Filter;
using Runsc.Sentry.Sockets.Netfilter;
using Runsc.Sentry.Sockets.Netlink;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Unit.Sockets;

/// <summary>What applications give as rules: tables that Linux would refuse are refused, and nothing that is given throws.</summary>
public sealed class NetfilterParserTests
{
    private const int Seed = 20261130;

    private static readonly PacketFilter s_filter = new(HostStack.Create());

    private static LegacyTable Table(bool v4) => new("filter", v4, 0xe, [0, 0, 0, 0, 0], isNat: false);

    private static byte[] Blob(LegacyRules rules, bool v4)
    {
        byte[] bytes = new byte[rules.Size];
        rules.CopyTo(bytes, v4);
        return bytes;
    }

    [Theory]
    [InlineData(true, 152 * 3 + 176)]
    [InlineData(false, 208 * 3 + 232)]
    public void DefaultTable_HasThePoliciesAndTheEnd(bool v4, int size)
    {
        LegacyTable table = Table(v4);
        LegacyRules rules = table.MakeDefault();
        Assert.Equal((4, size), (rules.Count, rules.Size));
        Assert.Equal(3, table.MakeChains(rules).Length);
        Assert.Equal(Errno.None, LegacyRules.TryParse(table, Blob(rules, v4), 4, rules.Entries, rules.Underflows, out _));
        Assert.Equal(Errno.EINVAL, LegacyRules.TryParse(table, Blob(rules, v4), 3, rules.Entries, rules.Underflows, out _));
        Assert.Equal(Errno.EINVAL, LegacyRules.TryParse(table, Blob(rules, v4), 4, [0, 8, 0, 0, 0], rules.Underflows, out _));
    }

    [Fact]
    public void Jumps_InARing_AreALoop()
    {
        // Three policies, then two chains: each of them a jump to the other and a return.
        LegacyTable table = Table(true);
        LegacyRules rules = table.MakeDefault();
        byte[] blob = Blob(rules, true);
        const int standard = 152, verdict = 144;
        byte[] ring = [.. blob[..(3 * standard)], .. blob[..standard], .. blob[..standard], .. blob[(3 * standard)..]];
        BitConverter.TryWriteBytes(ring.AsSpan((3 * standard) + verdict), 4 * standard);
        BitConverter.TryWriteBytes(ring.AsSpan((4 * standard) + verdict), 3 * standard);
        Assert.Equal(Errno.None, LegacyRules.TryParse(table, ring, 6, rules.Entries, rules.Underflows, out _));
        BitConverter.TryWriteBytes(ring.AsSpan(verdict), 3 * standard);
        Assert.Equal(Errno.EINVAL, LegacyRules.TryParse(table, ring, 6, rules.Entries, rules.Underflows, out _));
        int[] entries = [0, 3 * standard, standard, 2 * standard, 0];
        BitConverter.TryWriteBytes(ring.AsSpan(verdict), -Linux.Netfilter.NF_ACCEPT - 1);
        Assert.Equal(Errno.ELOOP, LegacyRules.TryParse(table, ring, 6, entries, rules.Underflows, out _));
        BitConverter.TryWriteBytes(ring.AsSpan(verdict), 3 * standard + 8);
        Assert.Equal(Errno.EINVAL, LegacyRules.TryParse(table, ring, 6, entries, rules.Underflows, out _));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void LegacyEntries_Mutated_AreDecidedWithoutATrap(bool v4)
    {
        Random random = new(Seed);
        LegacyTable table = Table(v4);
        LegacyRules rules = table.MakeDefault();
        byte[] good = Blob(rules, v4);
        int taken = 0;
        for (int i = 0; i < 50_000; i++)
        {
            byte[] blob = good[..^(random.Next(4) == 0 ? random.Next(200) : 0)];
            for (int changes = random.Next(6); changes > 0; changes--)
            {
                blob[random.Next(blob.Length)] = random.Next(2) == 0 ? (byte)random.Next(256) : (byte)(random.Next(32) * 8);
            }

            int[] entries = (int[])rules.Entries.Clone();
            entries[random.Next(5)] += random.Next(5) == 0 ? random.Next(-500, 500) : 0;
            taken += LegacyRules.TryParse(table, blob, 4, entries, rules.Underflows, out LegacyRules? made) == Errno.None ? 1 : 0;
            if (made is not null)
            {
                table.MakeChains(made);
            }
        }

        Assert.InRange(taken, 1000, 49_000);
    }

    private static byte[] Attribute(int type, params byte[][] parts)
    {
        List<byte> bytes = [];
        foreach (byte[] part in parts)
        {
            bytes.AddRange(part);
        }

        byte[] padded = new byte[4 + ((bytes.Count + 3) & ~3)];
        BitConverter.TryWriteBytes(padded, (ushort)(4 + bytes.Count));
        BitConverter.TryWriteBytes(padded.AsSpan(2), (ushort)type);
        bytes.CopyTo(padded, 4);
        return padded;
    }

    private static byte[] Number(uint value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteUInt32BigEndian(bytes, value);
        return bytes;
    }

    private static byte[] Text(string text) => Encoding.Latin1.GetBytes(text + "\0");

    private static byte[] Rule(string chain, params (string Name, byte[] Data)[] expressions)
    {
        List<byte[]> list = [];
        foreach ((string name, byte[] data) in expressions)
        {
            list.Add(Attribute(1, Attribute(1, Text(name)), Attribute(2, data)));
        }

        return [.. Attribute(1, Text("t")), .. Attribute(2, Text(chain)), .. Attribute(4, [.. list])];
    }

    private static byte[] Verdict(int code, string? chain = null) =>
        [.. Attribute(1, Number(0)), .. Attribute(2, Attribute(2, Attribute(1, Number(unchecked((uint)code))), chain is null ? [] : Attribute(2, Text(chain))))];

    private static readonly (int Message, byte[] Body)[] s_batch =
    [
        (0, Attribute(1, Text("t"))),
        (3, [.. Attribute(1, Text("t")), .. Attribute(3, Text("in")), .. Attribute(4, Attribute(1, Number(1)), Attribute(2, Number(0))), .. Attribute(5, Number(1)), .. Attribute(7, Text("filter"))]),
        (3, [.. Attribute(1, Text("t")), .. Attribute(3, Text("sub"))]),
        (9, [.. Attribute(1, Text("t")), .. Attribute(2, Text("s")), .. Attribute(3, Number(4)), .. Attribute(5, Number(4))]),
        (12, [.. Attribute(1, Text("t")), .. Attribute(2, Text("s")), .. Attribute(3, Attribute(1, Attribute(1, Attribute(1, [10, 0, 0, 0]))), Attribute(1, Attribute(1, Attribute(1, [11, 0, 0, 0])), Attribute(3, Number(1))))]),
        (9, [.. Attribute(1, Text("t")), .. Attribute(2, Text("m")), .. Attribute(3, Number(8)), .. Attribute(5, Number(2)), .. Attribute(6, Number(0xffffff00)), .. Attribute(7, Number(16))]),
        (12, [.. Attribute(1, Text("t")), .. Attribute(2, Text("m")), .. Attribute(3, Attribute(1, Attribute(1, Attribute(1, [0, 80])), Attribute(2, Attribute(2, Attribute(1, Number(unchecked((uint)-3))), Attribute(2, Text("sub"))))))]),
        (6, Rule("in",
            ("payload", [.. Attribute(1, Number(1)), .. Attribute(2, Number(1)), .. Attribute(3, Number(12)), .. Attribute(4, Number(4))]),
            ("lookup", [.. Attribute(1, Text("s")), .. Attribute(2, Number(1))]),
            ("counter", []),
            ("immediate", Verdict(-3, "sub")))),
        (6, Rule("in",
            ("meta", [.. Attribute(1, Number(1)), .. Attribute(2, Number(16))]),
            ("cmp", [.. Attribute(1, Number(1)), .. Attribute(2, Number(0)), .. Attribute(3, Attribute(1, [6]))]),
            ("ct", [.. Attribute(1, Number(9)), .. Attribute(2, Number(0))]),
            ("bitwise", [.. Attribute(1, Number(9)), .. Attribute(2, Number(9)), .. Attribute(3, Number(4)), .. Attribute(4, Attribute(1, Number(6))), .. Attribute(5, Attribute(1, Number(0)))]),
            ("payload", [.. Attribute(1, Number(1)), .. Attribute(2, Number(2)), .. Attribute(3, Number(2)), .. Attribute(4, Number(2))]),
            ("lookup", [.. Attribute(1, Text("m")), .. Attribute(2, Number(1)), .. Attribute(3, Number(0))]),
            ("log", Attribute(2, Text("x"))),
            ("reject", [.. Attribute(1, Number(0)), .. Attribute(2, [3])]))),
        (6, Rule("in", ("limit", [.. Attribute(1, [0, 0, 0, 0, 0, 0, 0, 9]), .. Attribute(2, [0, 0, 0, 0, 0, 0, 0, 1])]), ("immediate", Verdict(0)))),
        (6, Rule("sub", ("range", [.. Attribute(1, Number(8)), .. Attribute(2, Number(1)), .. Attribute(3, Attribute(1, [1])), .. Attribute(4, Attribute(1, [9]))]),
            ("match", [.. Attribute(1, Text("mark")), .. Attribute(2, Number(1)), .. Attribute(3, new byte[16])]))),
        (8, [.. Attribute(1, Text("t")), .. Attribute(2, Text("in")), .. Attribute(3, [0, 0, 0, 0, 0, 0, 0, 77])]),
        (5, [.. Attribute(1, Text("t")), .. Attribute(3, Text("sub"))]),
        (11, [.. Attribute(1, Text("t")), .. Attribute(2, Text("s"))]),
        (2, Attribute(1, Text("t"))),
    ];

    [Fact]
    public void Batch_InOrder_ObjectsInUseStay()
    {
        NftTransaction transaction = new(new NftState(), s_filter);
        List<Errno> results = [];
        foreach ((int message, byte[] body) in s_batch)
        {
            results.Add(transaction.Apply(message, 2, 0x800, new NftAttributes(body)));
        }

        Assert.Equal([.. new Errno[11], Errno.ENOENT, Errno.EBUSY, Errno.EBUSY, Errno.None], results);
        Assert.Empty(transaction.State.Tables);
    }

    private static byte[] Tuple(int type, byte protocol, byte last) => Attribute(
        type,
        Attribute(1, Attribute(1, [10, 0, 0, last]), Attribute(2, [10, 0, 0, 9])),
        Attribute(2, Attribute(1, [protocol]), Attribute(2, [0, 1]), Attribute(3, [0, 2]), Attribute(4, [0, 3]), Attribute(5, [8]), Attribute(6, [0])));

    private static readonly (int Message, byte[] Body)[] s_connections =
    [
        (0, [.. Tuple(1, 6, 1), .. Tuple(2, 6, 9), .. Attribute(7, Number(100)), .. Attribute(3, Number(14)), .. Attribute(8, Number(5)),
            .. Attribute(4, Attribute(1, Attribute(1, [3]), Attribute(2, [7]), Attribute(3, [7]), Attribute(4, [1, 1]), Attribute(5, [8, 8])))]),
        (0, [.. Tuple(1, 17, 2), .. Tuple(2, 17, 8), .. Attribute(7, Number(100)), .. Attribute(6, Attribute(1, [1, 1, 1, 1]), Attribute(3, Attribute(1, [0, 9]), Attribute(2, [0, 90]))),
            .. Attribute(13, Attribute(1, [2, 2, 2, 2]))]),
        (0, [.. Tuple(1, 1, 3), .. Tuple(2, 1, 7), .. Attribute(7, Number(100)), .. Attribute(5, Attribute(1, Text("ftp")))]),
        (0, [.. Tuple(1, 6, 1), .. Attribute(8, Number(3)), .. Attribute(21, Number(1)), .. Attribute(18, [0, 0])]),
        (1, Tuple(1, 6, 1)),
        (1, [.. Attribute(8, Number(3)), .. Attribute(21, Number(7)), .. Attribute(3, Number(8)), .. Attribute(26, Number(8))]),
        (2, [.. Tuple(1, 6, 1), .. Attribute(12, Number(1))]),
        (2, []),
    ];

    [Fact]
    public void Connections_Mutated_AreDecidedWithoutATrap()
    {
        Random random = new(Seed);
        PacketFilter filter = new(HostStack.Create());
        int good = 0, told = 0, written = 0;
        using NetworkStack.Hold hold = filter.Stack.Enter();
        filter.Tracker.Observer = (_, _) => told++;
        for (int i = 0; i < 100_000; i++)
        {
            (int message, byte[] body) = s_connections[random.Next(s_connections.Length)];
            byte[] changed = body[..^(random.Next(10) == 0 ? random.Next(body.Length) : 0)];
            for (int changes = random.Next(4); changes > 0 && changed.Length > 0; changes--)
            {
                changed[random.Next(changed.Length)] = (byte)random.Next(random.Next(2) == 0 ? 256 : 28);
            }

            NetlinkWriter writer = new(1, 2);
            ConntrackFamily family = new(filter, writer, (_, _) => told++);
            bool isDump = random.Next(2) == 0;
            int which = random.Next(20) == 0 ? random.Next(9) : message;
            Errno error = random.Next(20) == 0 ? family.AnswerExpectation(which, isDump, new NftAttributes(changed))
                : family.Answer(which, random.Next(8) * 0x100, random.Next(10) == 0 ? 10 : 2, random.Next(2), isDump, new NftAttributes(changed));
            good += error == Errno.None ? 1 : 0;
            writer.Flush();
            written += writer.Datagrams.Count;
        }

        Assert.InRange(good, 1000, 90_000);
        Assert.InRange(told, 1000, 100_000);
        Assert.InRange(written, 1000, 100_000);
    }

    [Fact]
    public void Batches_Mutated_AreDecidedWithoutATrap()
    {
        Random random = new(Seed);
        int good = 0;
        for (int i = 0; i < 20_000; i++)
        {
            NftTransaction transaction = new(new NftState(), s_filter);
            for (int j = 0; j < s_batch.Length; j++)
            {
                (int message, byte[] body) = random.Next(20) == 0 ? s_batch[random.Next(s_batch.Length)] : s_batch[j];
                byte[] changed = body[..^(random.Next(10) == 0 ? random.Next(body.Length) : 0)];
                for (int changes = random.Next(4) == 0 ? random.Next(4) : 0; changes > 0 && changed.Length > 0; changes--)
                {
                    changed[random.Next(changed.Length)] = (byte)random.Next(random.Next(2) == 0 ? 256 : 24);
                }

                good += transaction.Apply(random.Next(30) == 0 ? random.Next(32) : message, random.Next(30) == 0 ? 1 : 2, random.Next(3) * 0x400, new NftAttributes(changed)) == Errno.None ? 1 : 0;
            }

            _ = transaction.State.Copy();
        }

        Assert.InRange(good, 20_000, 20_000 * s_batch.Length - 20_000);
    }
}
