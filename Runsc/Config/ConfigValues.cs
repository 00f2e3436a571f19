using System;
using System.Collections.Generic;
using Runsc.Common;

namespace Runsc.Config;

/// <summary>Settings by their flag's name, for the command line and for the configuration file alike.</summary>
internal static class ConfigValues
{
    private static readonly Dictionary<string, Action<RunscConfig, string>> s_setters = new(StringComparer.Ordinal)
    {
        ["root"] = (config, value) => config.Root = value,
        ["log"] = (config, value) => config.Log = value,
        ["log-format"] = (config, value) => config.LogFormat = value,
        ["debug"] = (config, value) => config.Debug = Flag(value),
        ["debug-log"] = (config, value) => config.DebugLog = value,
        ["strace"] = (config, value) => config.Strace = Flag(value),
        ["strace-syscalls"] = (config, value) => config.StraceSyscalls = value,
        ["log-packets"] = (config, value) => config.LogPackets = Flag(value),
        ["pcap-log"] = (config, value) => config.PcapLog = value,
        ["platform"] = (config, value) => config.Platform = value,
        ["network"] = (config, value) => config.Network = value,
        ["file-access"] = (config, value) => config.FileAccess = value,
        ["overlay2"] = (config, value) => config.Overlay2 = value,
        ["ignore-cgroups"] = (config, value) => config.IgnoreCgroups = Flag(value),
        ["rootless"] = (config, value) => config.Rootless = Flag(value),
        ["systemd-cgroup"] = (config, value) => config.SystemdCgroup = Flag(value),
        ["allow-flag-override"] = (config, value) => config.AllowFlagOverride = Flag(value),
    };

    public static IReadOnlyCollection<string> Names => s_setters.Keys;

    /// <param name="config">Changed.</param>
    /// <param name="name">The flag without dashes.</param>
    /// <param name="value">As text; "true" or "false" for switches.</param>
    /// <param name="origin">What to name when something is wrong: a file, or empty for the command line.</param>
    /// <exception cref="RunscException">The name is unknown or the value not one.</exception>
    public static void Set(RunscConfig config, string name, string value, string origin)
    {
        string where = origin.Length == 0 ? $"--{name}" : $"{origin}: {name}";
        if (!s_setters.TryGetValue(name, out Action<RunscConfig, string>? setter))
        {
            throw new RunscException($"{where}: unknown setting");
        }

        try
        {
            setter(config, value);
        }
        catch (FormatException)
        {
            throw new RunscException($"{where}: \"{value}\" is not true or false");
        }
    }

    private static bool Flag(string value) => value switch
    {
        "true" or "1" => true,
        "false" or "0" => false,
        _ => throw new FormatException(),
    };
}
