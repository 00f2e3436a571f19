using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;

namespace Runsc.Sentry.Auth;

/// <summary>User or group ids of a user namespace and those of the initial one, which the kernel itself uses (user_namespaces(7); Linux: struct uid_gid_map). Immutable.</summary>
internal sealed class IdMap(IdMap.Extent[] extents)
{
    /// <summary>No id.</summary>
    public const uint Invalid = uint.MaxValue;

    /// <summary>What stands for ids that are not mapped: /proc/sys/kernel/overflowuid and overflowgid.</summary>
    public const uint Overflow = 65534;

    public const int MaximumExtents = 340;

    /// <summary>A range of ids, and where it begins outside.</summary>
    internal struct Extent
    {
        public uint First;
        public uint Lower;
        public uint Count;
    }

    public static IdMap All { get; } = new([new Extent { Count = Invalid }]);

    public static IdMap None { get; } = new([]);

    public bool IsEmpty => extents.Length == 0;

    /// <summary>The kernel's id of one inside, or <see cref="Invalid"/> (Linux: make_kuid).</summary>
    public uint ToKernel(uint id) => RangeToKernel(id, 1);

    /// <summary>The kernel's first id of a range that lies in one extent, or <see cref="Invalid"/>.</summary>
    public uint RangeToKernel(uint first, uint count)
    {
        foreach (ref readonly Extent extent in extents.AsSpan())
        {
            uint at = unchecked(first - extent.First);
            if (first >= extent.First && at < extent.Count && count <= extent.Count - at)
            {
                return extent.Lower + at;
            }
        }

        return Invalid;
    }

    /// <summary>The id inside of one of the kernel's, or <see cref="Invalid"/> (Linux: from_kuid).</summary>
    public uint FromKernel(uint id)
    {
        foreach (ref readonly Extent extent in extents.AsSpan())
        {
            if (id >= extent.Lower && id - extent.Lower < extent.Count)
            {
                return extent.First + (id - extent.Lower);
            }
        }

        return Invalid;
    }

    /// <summary>As <see cref="FromKernel"/>, with <see cref="Overflow"/> for what is not mapped (Linux: from_kuid_munged).</summary>
    public uint Shown(uint id) => FromKernel(id) is var inside && inside != Invalid ? inside : Overflow;

    public bool Has(uint kernelId) => FromKernel(kernelId) != Invalid;

    /// <summary>As uid_map shows it, with the ids outside as <paramref name="reader"/> has them.</summary>
    public void AppendTo(StringBuilder text, IdMap reader)
    {
        foreach (Extent extent in extents)
        {
            text.Append(CultureInfo.InvariantCulture, $"{extent.First,10} {reader.FromKernel(extent.Lower),10} {extent.Count,10}\n");
        }
    }

    /// <summary>What is written to uid_map or gid_map: lines of first id inside, first id outside, length. EINVAL.</summary>
    public static Errno Parse(ReadOnlySpan<byte> text, out Extent[] extents)
    {
        extents = [];
        int end = text.IndexOf((byte)0);
        text = end < 0 ? text : text[..end];
        Span<Extent> found = stackalloc Extent[MaximumExtents];
        int count = 0;
        do
        {
            int newLine = text.IndexOf((byte)'\n');
            ReadOnlySpan<byte> line = newLine < 0 ? text : text[..newLine];
            text = newLine < 0 ? default : text[(newLine + 1)..];
            if (count == MaximumExtents || !TryParseLine(line, out Extent extent) || Overlaps(found[..count], extent))
            {
                return Errno.EINVAL;
            }

            found[count++] = extent;
        }
        while (!text.IsEmpty);

        extents = found[..count].ToArray();
        return Errno.None;
    }

    private static bool TryParseLine(ReadOnlySpan<byte> line, out Extent extent)
    {
        extent.First = Number(ref line);
        bool isGood = StartsWithSpace(line);
        extent.Lower = Number(ref line);
        isGood &= StartsWithSpace(line);
        extent.Count = Number(ref line);

        // Neither -1, nor empty, nor beyond the last id.
        return isGood && line.Trim(" \t\r\v\f"u8).IsEmpty && (line.IsEmpty || StartsWithSpace(line))
            && extent.First != Invalid && extent.Lower != Invalid
            && unchecked(extent.First + extent.Count) > extent.First && unchecked(extent.Lower + extent.Count) > extent.Lower;
    }

    private static bool StartsWithSpace(ReadOnlySpan<byte> line) => !line.IsEmpty && line[0] is (byte)' ' or (>= (byte)'\t' and <= (byte)'\r');

    // Too large ones wrap around, as in Linux; none is 0.
    private static uint Number(ref ReadOnlySpan<byte> line)
    {
        line = line.TrimStart(" \t\r\v\f"u8);
        ulong value = 0;
        while (!line.IsEmpty && line[0] is >= (byte)'0' and <= (byte)'9')
        {
            value = unchecked((value * 10) + line[0] - '0');
            line = line[1..];
        }

        return unchecked((uint)value);
    }

    private static bool Overlaps(ReadOnlySpan<Extent> found, in Extent wanted)
    {
        foreach (ref readonly Extent one in found)
        {
            if (Meet(one.First, wanted.First, one.Count, wanted.Count) || Meet(one.Lower, wanted.Lower, one.Count, wanted.Count))
            {
                return true;
            }
        }

        return false;

        static bool Meet(uint a, uint b, uint countOfA, uint countOfB) => a <= b ? b - a < countOfA : a - b < countOfB;
    }
}
