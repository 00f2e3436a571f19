using System;
using System.Globalization;
using Runsc.Linux;

namespace Runsc.Sentry.FileSystems.Tmpfs;

/// <summary>Mount options of tmpfs(5).</summary>
internal readonly record struct TmpfsOptions(long Size, long Inodes, uint Mode, uint? Uid, uint? Gid)
{
    /// <summary>EINVAL for options that tmpfs does not know, or values that it cannot read.</summary>
    public static Errno TryParse(string options, ulong memory, out TmpfsOptions result)
    {
        result = new TmpfsOptions(0, 0, 0x3ff, null, null);
        foreach (string option in options.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = option.IndexOf('=');
            string key = equals < 0 ? option : option[..equals], value = equals < 0 ? "" : option[(equals + 1)..];
            bool ok = true;
            switch (key)
            {
                case "size":
                    ok = TryParseSize(value, memory, out long size);
                    result = result with { Size = size };
                    break;
                case "nr_blocks":
                    ok = TryParseSize(value, memory, out long blocks);
                    result = result with { Size = blocks * 4096 };
                    break;
                case "nr_inodes":
                    ok = TryParseSize(value, memory, out long inodes);
                    result = result with { Inodes = inodes };
                    break;
                case "mode":
                    uint mode = 0;
                    ok = value.Length is > 0 and < 6;
                    foreach (char c in value)
                    {
                        ok &= c is >= '0' and <= '7';
                        mode = (mode << 3) | (uint)(c & 7);
                    }

                    result = result with { Mode = mode & 0xfff };
                    break;
                case "uid":
                    ok = uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out uint uid);
                    result = result with { Uid = uid };
                    break;
                case "gid":
                    ok = uint.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out uint gid);
                    result = result with { Gid = gid };
                    break;
                case "huge" or "mpol" or "inode32" or "inode64":
                    break;
                default:
                    ok = false;
                    break;
            }

            if (!ok)
            {
                return Errno.EINVAL;
            }
        }

        return Errno.None;
    }

    /// <summary>A number with a suffix k, m, g, or a share of the memory in percent.</summary>
    private static bool TryParseSize(string text, ulong memory, out long size)
    {
        size = 0;
        if (text.Length == 0)
        {
            return false;
        }

        int shift = char.ToLowerInvariant(text[^1]) switch { 'k' => 10, 'm' => 20, 'g' => 30, _ => 0 };
        bool percent = text[^1] == '%';
        string digits = shift > 0 || percent ? text[..^1] : text;
        if (!long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out long number) || number > long.MaxValue >> shift)
        {
            return false;
        }

        size = percent ? (long)Math.Min((double)memory / 100 * number, long.MaxValue / 2) : number << shift;
        return true;
    }
}
