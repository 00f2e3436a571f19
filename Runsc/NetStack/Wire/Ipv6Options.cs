using System;

namespace Runsc.NetStack.Wire;

/// <summary>The options of hop-by-hop and destination headers.</summary>
internal static class Ipv6Options
{
    public const byte Pad1 = 0;
    public const byte PadN = 1;
    public const byte RouterAlert = 5;

    /// <summary>A header of options: length in bytes of the extension header at the front, or 0 if it is cut short.</summary>
    public static int HeaderLength(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length < 2)
        {
            return 0;
        }

        return (bytes[1] + 1) * 8;
    }

    /// <summary>Looks at all options of a whole extension header.</summary>
    /// <param name="header">The header with its first two bytes.</param>
    /// <param name="offset">Where in the header the unwelcome option is.</param>
    public static Ipv6OptionAction Check(ReadOnlySpan<byte> header, out int offset)
    {
        offset = 0;
        int padding = 0;
        for (int at = 2; at < header.Length;)
        {
            byte kind = header[at];
            offset = at;
            if (kind == Pad1)
            {
                // More than 7 bytes of padding in a row are nonsense, and Linux drops them.
                at++;
                if (++padding > 7)
                {
                    return Ipv6OptionAction.Discard;
                }

                continue;
            }

            if (at + 1 >= header.Length || at + 2 + header[at + 1] > header.Length)
            {
                return Ipv6OptionAction.Discard;
            }

            int length = 2 + header[at + 1];
            if (kind == PadN)
            {
                padding += length;
                if (padding > 7 || header.Slice(at + 2, length - 2).ContainsAnyExcept((byte)0))
                {
                    return Ipv6OptionAction.Discard;
                }
            }
            else
            {
                padding = 0;
                if (kind != RouterAlert && kind >> 6 != 0)
                {
                    return (kind >> 6) switch
                    {
                        1 => Ipv6OptionAction.Discard,
                        2 => Ipv6OptionAction.Report,
                        _ => Ipv6OptionAction.ReportUnlessGroup,
                    };
                }
            }

            at += length;
        }

        return Ipv6OptionAction.Accept;
    }
}
