using System;
using System.Text;
using Runsc.Common;

namespace Runsc.Container.Cgroups;

/// <summary>
/// linux.cgroupsPath as systemd's driver has it: "slice:prefix:name" is the scope prefix-name.scope in the slice, whose own name is its path:
/// a-b.slice lies in a.slice (systemd.slice(5)).
/// </summary>
internal static class SystemdPath
{
    /// <exception cref="RunscException">It is not of that form.</exception>
    public static string Expand(string? path, string id)
    {
        (string slice, string unit) = Parse(path, id);
        return $"{ExpandSlice(slice)}/{unit}";
    }

    /// <summary>The names of the slice and of the scope, or of another slice, in it.</summary>
    /// <exception cref="RunscException">It is not of that form.</exception>
    public static (string Slice, string Unit) Parse(string? path, string id)
    {
        if (string.IsNullOrEmpty(path))
        {
            path = $"system.slice:runsc:{id}";
        }

        string[] parts = path.Split(':');
        if (parts.Length != 3 || parts[2].Length == 0)
        {
            throw new RunscException($"linux.cgroupsPath: \"{path}\" is not of the form slice:prefix:name, which --systemd-cgroup needs");
        }

        string slice = parts[0].Length == 0 ? "system.slice" : parts[0];
        string unit = parts[2].EndsWith(".slice", StringComparison.Ordinal) ? parts[2]
            : parts[1].Length == 0 ? $"{parts[2]}.scope" : $"{parts[1]}-{parts[2]}.scope";
        return (slice, unit);
    }

    private static string ExpandSlice(string slice)
    {
        const string suffix = ".slice";
        if (!slice.EndsWith(suffix, StringComparison.Ordinal) || slice.Contains('/', StringComparison.Ordinal) || slice.Contains("--", StringComparison.Ordinal))
        {
            throw new RunscException($"linux.cgroupsPath: \"{slice}\" is not the name of a slice");
        }

        string name = slice[..^suffix.Length];
        if (name == "-")
        {
            return "";
        }

        StringBuilder path = new();
        for (int end = name.IndexOf('-', StringComparison.Ordinal); end > 0; end = name.IndexOf('-', end + 1))
        {
            path.Append('/').Append(name.AsSpan(0, end)).Append(suffix);
        }

        return path.Append('/').Append(slice).ToString();
    }
}
