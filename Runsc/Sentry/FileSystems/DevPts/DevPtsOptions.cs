using System;
using System.Globalization;
using Runsc.Linux;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>Mount options of devpts (Linux, Documentation/filesystems/devpts). Every mount is an instance of its own, so `newinstance` changes nothing.</summary>
internal readonly record struct DevPtsOptions(uint Mode, uint PtmxMode, uint? Uid, uint? Gid, int Maximum)
{
    /// <summary>kernel.pty.max.</summary>
    private const int DefaultMaximum = 4096;

    /// <summary>EINVAL for options that devpts does not know, or values that it cannot read.</summary>
    public static Errno TryParse(string options, out DevPtsOptions result)
    {
        result = new DevPtsOptions(0x180, 0, null, null, DefaultMaximum);
        foreach (string option in options.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            int equals = option.IndexOf('=');
            string key = equals < 0 ? option : option[..equals], value = equals < 0 ? "" : option[(equals + 1)..];
            bool ok = true;
            uint number = 0;
            switch (key)
            {
                case "newinstance":
                    break;
                case "mode":
                    ok = TryParseMode(value, out number);
                    result = result with { Mode = number };
                    break;
                case "ptmxmode":
                    ok = TryParseMode(value, out number);
                    result = result with { PtmxMode = number };
                    break;
                case "uid":
                    ok = TryParseNumber(value, out number);
                    result = result with { Uid = number };
                    break;
                case "gid":
                    ok = TryParseNumber(value, out number);
                    result = result with { Gid = number };
                    break;
                case "max":
                    ok = TryParseNumber(value, out number) && number <= 1 << 20;
                    result = result with { Maximum = (int)Math.Min(number, DefaultMaximum) };
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

    private static bool TryParseNumber(string text, out uint number) => uint.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number);

    private static bool TryParseMode(string text, out uint mode)
    {
        mode = 0;
        bool ok = text.Length is > 0 and < 6;
        foreach (char c in text)
        {
            ok &= c is >= '0' and <= '7';
            mode = (mode << 3) | (uint)(c & 7);
        }

        mode &= 0xfff;
        return ok;
    }
}
