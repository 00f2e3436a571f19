using System;
using System.Collections.Generic;
using Runsc.Common;

namespace Runsc.Config;

/// <summary>
/// Settings of one container by annotations of its specification: dev.gvisor.flag.NAME. Whoever makes pods may set those that loosen nothing;
/// all others only where the operator allows it by --allow-flag-override.
/// </summary>
internal static class ConfigAnnotations
{
    private const string Prefix = "dev.gvisor.flag.";

    private static readonly string[] s_open = ["debug", "strace", "strace-syscalls", "overlay2"];

    /// <exception cref="RunscException">An annotation names no setting, has no proper value, or is not allowed.</exception>
    public static void Apply(RunscConfig config, Dictionary<string, string>? annotations)
    {
        foreach ((string key, string value) in annotations ?? [])
        {
            if (!key.StartsWith(Prefix, StringComparison.Ordinal))
            {
                continue;
            }

            string name = key[Prefix.Length..];
            if (!config.AllowFlagOverride && Array.IndexOf(s_open, name) < 0)
            {
                throw new RunscException($"annotation {key}: the flag may not be set by annotation (--allow-flag-override allows it)");
            }

            ConfigValues.Set(config, name, value, $"annotation {Prefix[..^1]}");
        }
    }

    /// <summary>Names of all annotations that are understood, for `features`.</summary>
    public static IEnumerable<string> Names
    {
        get
        {
            foreach (string name in ConfigValues.Names)
            {
                yield return Prefix + name;
            }
        }
    }
}
