using System;
using System.Globalization;
using Runsc.Common;

namespace Runsc.Cli;

/// <summary>Signals as users write them: 15, TERM, SIGTERM, RTMIN+3.</summary>
internal static class SignalNames
{
    private const int FirstRealTime = 34, Last = 64;

    private static readonly string[] s_names =
    [
        "", "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP",
        "TSTP", "TTIN", "TTOU", "URG", "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
    ];

    /// <exception cref="RunscException">There is no such signal.</exception>
    public static int Parse(string text)
    {
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int number))
        {
            return number is > 0 and <= Last ? number : throw Unknown(text);
        }

        string name = text.ToUpperInvariant();
        name = name.StartsWith("SIG", StringComparison.Ordinal) ? name[3..] : name;
        int index = name switch
        {
            "" => -1,
            "CLD" => 17,
            "IOT" => 6,
            "POLL" => 29,
            "RTMIN" => FirstRealTime,
            "RTMAX" => Last,
            _ => Array.IndexOf(s_names, name),
        };
        if (index < 0 && name.StartsWith("RTM", StringComparison.Ordinal) && name.Length > 6 && int.TryParse(name[6..], NumberStyles.None, CultureInfo.InvariantCulture, out int offset))
        {
            index = name[..6] switch
            {
                "RTMIN+" => FirstRealTime + offset,
                "RTMAX-" => Last - offset,
                _ => -1,
            };
            index = index is >= FirstRealTime and <= Last ? index : -1;
        }

        return index > 0 ? index : throw Unknown(text);
    }

    private static RunscException Unknown(string text) => new($"unknown signal \"{text}\"");
}
