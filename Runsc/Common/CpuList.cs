using System;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace Runsc.Common;

/// <summary>Sets of the processors 0 to 63 as Linux writes them: "0-3,7".</summary>
internal static class CpuList
{
    /// <summary>False when the text is no list, or names a processor above 63. An empty text is an empty set.</summary>
    public static bool TryParse(string text, out ulong mask)
    {
        mask = 0;
        foreach (string part in text.Split(',', StringSplitOptions.TrimEntries))
        {
            int dash = part.IndexOf('-', StringComparison.Ordinal);
            if (!TryNumber(dash < 0 ? part : part[..dash], out int first) | !TryNumber(part[(dash + 1)..], out int last) || last < first)
            {
                return text.Length == 0;
            }

            mask |= ulong.MaxValue >> (63 - last) & ulong.MaxValue << first;
        }

        return true;
    }

    public static string Format(ulong mask)
    {
        StringBuilder text = new();
        while (mask != 0)
        {
            int first = BitOperations.TrailingZeroCount(mask), next = first + BitOperations.TrailingZeroCount(~(mask >> first));
            text.Append(text.Length == 0 ? "" : ",").Append(CultureInfo.InvariantCulture, $"{first}");
            if (next > first + 1)
            {
                text.Append(CultureInfo.InvariantCulture, $"-{next - 1}");
            }

            mask = next < 64 ? mask >> next << next : 0;
        }

        return text.ToString();
    }

    private static bool TryNumber(string text, out int number) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out number) && number < 64;
}
