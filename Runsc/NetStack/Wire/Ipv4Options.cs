using System;
using System.Buffers.Binary;

namespace Runsc.NetStack.Wire;

/// <summary>The options of an IPv4 header (RFC 791, 3.1; RFC 2113).</summary>
internal static class Ipv4Options
{
    public const byte End = 0;
    public const byte NoOperation = 1;
    public const byte RecordRoute = 7;
    public const byte Timestamp = 68;
    public const byte LooseSourceRoute = 131;
    public const byte StrictSourceRoute = 137;
    public const byte RouterAlert = 148;

    /// <summary>The most that a header has room for.</summary>
    public const int MaxSize = 40;

    private const byte Copied = 0x80;
    private const long MillisecondsOfDay = 86_400_000;

    /// <summary>Milliseconds since midnight UTC.</summary>
    /// <param name="realTime">Nanoseconds since 1970.</param>
    public static uint Milliseconds(long realTime) => (uint)(realTime / 1_000_000 % MillisecondsOfDay);

    /// <summary>Checks all options and does what a host does with them on the way in: records its address and time.</summary>
    /// <param name="options">Changed in place.</param>
    /// <param name="local">The address to record.</param>
    /// <param name="milliseconds">Since midnight UTC, for the timestamp option.</param>
    /// <param name="bad">The offset of the byte that is wrong, for the parameter problem.</param>
    /// <returns>False when an option is malformed. Source routes parse, and the caller decides on them.</returns>
    public static bool Process(Span<byte> options, in IpAddress local, uint milliseconds, out int bad)
    {
        bad = 0;
        for (int at = 0; at < options.Length;)
        {
            byte kind = options[at];
            if (kind == End)
            {
                return true;
            }

            if (kind == NoOperation)
            {
                at++;
                continue;
            }

            bad = at;
            if (at + 1 >= options.Length || options[at + 1] < 2 || at + options[at + 1] > options.Length)
            {
                return false;
            }

            Span<byte> option = options.Slice(at, options[at + 1]);
            int wrong = kind switch
            {
                RecordRoute => Record(option, local),
                Timestamp => Stamp(option, local, milliseconds),
                LooseSourceRoute or StrictSourceRoute => option.Length < 3 ? 1 : option[2] < 4 ? 2 : 0,
                RouterAlert => option.Length == 4 ? 0 : 1,
                _ => 0,
            };
            if (wrong != 0)
            {
                bad = at + wrong;
                return false;
            }

            at += option.Length;
        }

        return true;
    }

    /// <summary>True if there is a source route, which hosts drop (accept_source_route is 0).</summary>
    public static bool HasSourceRoute(ReadOnlySpan<byte> options) => Find(options, LooseSourceRoute) >= 0 || Find(options, StrictSourceRoute) >= 0;

    /// <summary>The options of an answer to a packet with these: what was recorded, padded (Linux: ip_options_echo). Precondition: they were checked, and have no source route.</summary>
    /// <returns>Bytes written.</returns>
    public static int Echo(ReadOnlySpan<byte> options, Span<byte> answer)
    {
        int length = 0;
        foreach (byte kind in (ReadOnlySpan<byte>)[RecordRoute, Timestamp])
        {
            int at = Find(options, kind);
            if (at >= 0)
            {
                ReadOnlySpan<byte> option = options.Slice(at, options[at + 1]);
                option.CopyTo(answer[length..]);
                length += option.Length;
            }
        }

        int padded = (length + 3) & ~3;
        answer[length..padded].Clear();
        return padded;
    }

    /// <summary>Where the option is, or -1.</summary>
    public static int Find(ReadOnlySpan<byte> options, byte kind)
    {
        for (int at = 0; at < options.Length && options[at] != End;)
        {
            if (options[at] == kind)
            {
                return at;
            }

            if (options[at] == NoOperation)
            {
                at++;
                continue;
            }

            if (at + 1 >= options.Length || options[at + 1] < 2)
            {
                return -1;
            }

            at += options[at + 1];
        }

        return -1;
    }

    /// <summary>Makes the options of a later fragment: those without the copied flag become no-operations. Precondition: they were checked.</summary>
    public static void KeepCopied(Span<byte> options)
    {
        for (int at = 0; at < options.Length && options[at] != End;)
        {
            int length = options[at] == NoOperation ? 1 : at + 1 < options.Length ? Math.Max((int)options[at + 1], 1) : 1;
            length = Math.Min(length, options.Length - at);
            if ((options[at] & Copied) == 0)
            {
                options.Slice(at, length).Fill(NoOperation);
            }

            at += length;
        }
    }

    /// <summary>Checks options that an application wants to send; any of a known form may go.</summary>
    public static bool AreValid(ReadOnlySpan<byte> options)
    {
        Span<byte> copy = stackalloc byte[MaxSize];
        if (options.Length > copy.Length)
        {
            return false;
        }

        options.CopyTo(copy);
        return Process(copy[..options.Length], IpAddress.AnyV4, 0, out _);
    }

    private static int Record(Span<byte> option, in IpAddress local)
    {
        if (option.Length < 3)
        {
            return 1;
        }

        int pointer = option[2];
        if (pointer < 4)
        {
            return 2;
        }

        if (pointer > option.Length)
        {
            return 0;
        }

        if (pointer + 3 > option.Length)
        {
            return 2;
        }

        local.Write(option[(pointer - 1)..]);
        option[2] += 4;
        return 0;
    }

    private static int Stamp(Span<byte> option, in IpAddress local, uint milliseconds)
    {
        if (option.Length < 4)
        {
            return 1;
        }

        int pointer = option[2];
        if (pointer < 5)
        {
            return 2;
        }

        if (pointer > option.Length)
        {
            // Full: the overflow count goes up, and 15 is the last value.
            if (option[3] >> 4 == 15)
            {
                return 3;
            }

            option[3] += 16;
            return 0;
        }

        int flag = option[3] & 0xf;
        int need = flag == 0 ? 4 : 8;
        if (flag is not (0 or 1 or 3))
        {
            return 3;
        }

        if (pointer - 1 + need > option.Length)
        {
            return 2;
        }

        Span<byte> entry = option.Slice(pointer - 1, need);
        if (flag == 3 && IpAddress.ReadV4(entry) != local)
        {
            return 0;
        }

        if (flag == 1)
        {
            local.Write(entry);
        }

        BinaryPrimitives.WriteUInt32BigEndian(entry[(need - 4)..], milliseconds);
        option[2] += (byte)need;
        return 0;
    }
}
