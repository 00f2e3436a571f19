using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.DevPts;
using Xunit;

namespace Runsc.Tests.Unit.DevPts;

/// <summary>The same bytes, modes and reads to the project's pseudo-terminal and to the host's: both must answer alike.</summary>
public sealed class LineDisciplineTests
{
    private static readonly int[] s_input =
        [Ioctls.ICRNL, Ioctls.INLCR, Ioctls.IGNCR, Ioctls.IXON, Ioctls.IXANY, Ioctls.ISTRIP, Ioctls.IUCLC, Ioctls.IUTF8, Ioctls.PARMRK, Ioctls.IMAXBEL];

    private static readonly int[] s_output = [Ioctls.OPOST, Ioctls.ONLCR, Ioctls.OCRNL, Ioctls.ONOCR, Ioctls.ONLRET, Ioctls.OLCUC, Ioctls.XTABS];

    private static readonly int[] s_local =
    [
        Ioctls.ICANON, Ioctls.ICANON, Ioctls.ECHO, Ioctls.ECHOE, Ioctls.ECHOK, Ioctls.ECHONL, Ioctls.ECHOCTL, Ioctls.ECHOKE, Ioctls.ECHOPRT, Ioctls.ISIG, Ioctls.NOFLSH,
        Ioctls.IEXTEN, Ioctls.TOSTOP,
    ];

    // Letters, control characters of all kinds, and pieces of UTF-8.
    private static readonly byte[] s_alphabet =
        [.. "abcXYZ  __019;!\t\t\r\n\n\b"u8, 3, 4, 28, 26, 127, 127, 21, 23, 23, 22, 18, 17, 17, 19, 15, 0, 1, 27, 0xff, 0xc3, 0xa9, 0xe2, 0x82, 0xac, 0x80, 0xd8];

    public static TheoryData<int> Seeds()
    {
        TheoryData<int> seeds = [];
        for (int seed = 1; seed <= 24; seed++)
        {
            seeds.Add(seed);
        }

        return seeds;
    }

    [Theory]
    [MemberData(nameof(Seeds))]
    public void RandomUse_IsAnsweredAsByTheHost(int seed)
    {
        Random random = new(seed);
        using SentryPair ours = new();
        using HostPair host = new();
        List<string> history = [];
        for (int step = 0; step < 60; step++)
        {
            byte[] bytes = Enumerable.Range(0, random.Next(1, 24)).Select(_ => s_alphabet[random.Next(s_alphabet.Length)]).ToArray();
            int size = random.Next(4) == 0 ? random.Next(1, 6) : 4096;
            switch (random.Next(10))
            {
                case 0:
                    TerminalAttributes modes = RandomModes(random);
                    bool flush = random.Next(3) == 0;
                    Compare($"modes {modes.Input:x} {modes.Output:x} {modes.Local:x} flush {flush}", pair =>
                    {
                        pair.SetModes(modes, flush);
                        return 0;
                    });
                    break;
                case 1:
                    Compare("count", pair => pair.CountSlaveInput());
                    break;
                case 2 or 3:
                    CompareBytes($"read slave {size}", size, (ITerminalPair pair, Span<byte> room) => pair.ReadSlave(room));
                    break;
                case 4 or 5:
                    Compare($"write slave {Show(bytes)}", pair => pair.WriteSlave(bytes));
                    CompareBytes("read master", 65536, (ITerminalPair pair, Span<byte> room) => ReadAll(pair, room));
                    break;
                default:
                    Compare($"write master {Show(bytes)}", pair => pair.WriteMaster(bytes));
                    CompareBytes("read master", 65536, (ITerminalPair pair, Span<byte> room) => ReadAll(pair, room));
                    break;
            }
        }

        void Compare(string what, Func<ITerminalPair, long> act)
        {
            history.Add(what);
            long mine = act(ours), theirs = act(host);
            Assert.True(mine == theirs, $"seed {seed}: {mine}, the host: {theirs}\n{string.Join('\n', history)}");
        }

        void CompareBytes(string what, int room, ReadAction act)
        {
            history.Add(what);
            byte[] mine = new byte[room], theirs = new byte[room];
            long n = act(ours, mine), m = act(host, theirs);
            string our = n < 0 ? $"{n}" : Show(mine.AsSpan(0, (int)n)), other = m < 0 ? $"{m}" : Show(theirs.AsSpan(0, (int)m));
            Assert.True(our == other, $"seed {seed}: {our}, the host: {other}\n{string.Join('\n', history)}");
            history[^1] += $" = {our}";
        }
    }

    private delegate long ReadAction(ITerminalPair pair, Span<byte> room);

    private static long ReadAll(ITerminalPair pair, Span<byte> room)
    {
        int done = 0;
        long n;
        while ((n = pair.ReadMaster(room[done..])) > 0)
        {
            done += (int)n;
        }

        return done > 0 ? done : n;
    }

    private static string Show(ReadOnlySpan<byte> bytes)
    {
        StringBuilder text = new("\"");
        foreach (byte c in bytes)
        {
            text.Append(c is >= 32 and < 127 ? $"{(char)c}" : $"\\x{c:x2}");
        }

        return text.Append('"').ToString();
    }

    private static unsafe TerminalAttributes RandomModes(Random random)
    {
        TerminalAttributes modes = TerminalModes.Default;
        modes.Input = Pick(s_input);
        modes.Output = Pick(s_output);
        modes.Local = Pick(s_local);
        modes.Characters[Ioctls.VEOL] = random.Next(2) == 0 ? (byte)';' : (byte)0;
        modes.Characters[Ioctls.VEOL2] = random.Next(2) == 0 ? (byte)'!' : (byte)0;
        modes.Characters[Ioctls.VMIN] = (byte)random.Next(4);
        return modes;

        uint Pick(int[] flags) => flags.Aggregate(0u, (set, flag) => random.Next(2) == 0 ? set | (uint)flag : set);
    }

    [Fact]
    public void LongLine_KeepsItsEnd()
    {
        using SentryPair ours = new();
        using HostPair host = new();
        foreach (ITerminalPair pair in new ITerminalPair[] { ours, host })
        {
            TerminalAttributes quiet = TerminalModes.Default;
            quiet.Local &= ~(uint)Ioctls.ECHO;
            pair.SetModes(quiet, flush: false);
            for (int i = 0; i < 50; i++)
            {
                Assert.Equal(100, pair.WriteMaster(Enumerable.Repeat((byte)('a' + (i % 26)), 100).ToArray()));
            }

            Assert.Equal(1, pair.WriteMaster("\n"u8));
            byte[] line = new byte[8192];
            Assert.Equal(4096, pair.ReadSlave(line));
            Assert.Equal((byte)'\n', line[4095]);
            Assert.Equal(-(long)Errno.EAGAIN, pair.ReadSlave(line));
        }
    }
}
