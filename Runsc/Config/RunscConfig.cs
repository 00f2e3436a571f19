using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json.Serialization;
using Runsc.Common;
using Tomlyn;
using Tomlyn.Model;
using Tomlyn.Serialization;

namespace Runsc.Config;

/// <summary>Settings of all commands: from flags, and below them from the configuration file. Passed on to the sandbox's processes.</summary>
internal sealed class RunscConfig
{
    public const string DefaultFile = "/etc/runsc/runsc.toml";

    /// <summary>State of containers.</summary>
    public string Root { get; set; } = "/var/run/runsc";

    /// <summary>File for errors that callers read.</summary>
    public string? Log { get; set; }

    /// <summary>text or json.</summary>
    public string LogFormat { get; set; } = "text";

    public bool Debug { get; set; }

    /// <summary>File, or directory (ending in a slash), for debug logs; null: standard error.</summary>
    public string? DebugLog { get; set; }

    public bool Strace { get; set; }

    /// <summary>Calls that the trace shows; empty: all.</summary>
    public string StraceSyscalls { get; set; } = "";

    /// <summary>A line in the log for each packet of the sandbox's interfaces.</summary>
    public bool LogPackets { get; set; }

    /// <summary>File that gets the packets of the sandbox's interfaces; null for none.</summary>
    public string? PcapLog { get; set; }

    /// <summary>kvm or systrap.</summary>
    public string Platform { get; set; } = "kvm";

    /// <summary>none, sandbox (the interfaces of the container's network namespace, served by our own TCP/IP) or host.</summary>
    public string Network { get; set; } = "sandbox";

    /// <summary>exclusive, shared, or empty for what fits: a root whose changes stay in memory is nobody else's, others are shared with the host.</summary>
    public string FileAccess { get; set; } = "";

    /// <summary>Is the tree of the root the sandbox's alone?</summary>
    public bool IsRootExclusive => FileAccess.Length > 0 ? FileAccess == "exclusive" : Overlay2 != "none";

    /// <summary>none, root:memory, all:memory. With none, a container's changes are in its root on the host, where `docker cp` and `commit` look for them.</summary>
    public string Overlay2 { get; set; } = "none";

    public bool IgnoreCgroups { get; set; }

    public bool Rootless { get; set; }

    /// <summary>linux.cgroupsPath names a slice and a scope of systemd.</summary>
    public bool SystemdCgroup { get; set; }

    /// <summary>Annotations may set any flag.</summary>
    public bool AllowFlagOverride { get; set; }

    /// <summary>Checks values that are one of a few words.</summary>
    /// <exception cref="RunscException">Names the flag.</exception>
    public void Check()
    {
        OneOf("platform", Platform, "kvm", "systrap");
        OneOf("network", Network, "none", "sandbox", "host");
        OneOf("file-access", FileAccess, "", "exclusive", "shared");
        OneOf("overlay2", Overlay2, "none", "root:memory", "all:memory", "root:self", "all:self");
        OneOf("log-format", LogFormat, "text", "json");
    }

    private static void OneOf(string flag, string value, params string[] allowed)
    {
        if (Array.IndexOf(allowed, value) < 0)
        {
            throw new RunscException($"--{flag}: \"{value}\" is not one of {string.Join(", ", allowed)}");
        }
    }

    /// <summary>Values of a configuration file (TOML) by flag name. A default file that is not there is empty.</summary>
    /// <exception cref="RunscException">Names file and key.</exception>
    public static Dictionary<string, string> ReadFile(string? path)
    {
        Dictionary<string, string> values = [];
        string file = path ?? DefaultFile;
        if (path is null && !File.Exists(file))
        {
            return values;
        }

        TomlTable table;
        try
        {
            table = TomlSerializer.Deserialize(File.ReadAllText(file), ConfigToml.Default.TomlTable) ?? [];
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot read {file}: {error.Message}");
        }
        catch (TomlException error)
        {
            throw new RunscException($"{file}: {error.Message.ReplaceLineEndings(" ")}");
        }

        foreach ((string key, object value) in table)
        {
            if (key == "runsc_config" || key == "runsc")
            {
                foreach ((string inner, object innerValue) in (value as TomlTable) ?? throw new RunscException($"{file}: {key} is not a table"))
                {
                    Add(inner, innerValue);
                }
            }
            else
            {
                Add(key, value);
            }
        }

        return values;

        void Add(string key, object value) => values[key.Replace('_', '-')] = value switch
        {
            string text => text,
            bool flag => flag ? "true" : "false",
            long number => number.ToString(System.Globalization.CultureInfo.InvariantCulture),
            _ => throw new RunscException($"{file}: {key} is not a string, number or boolean"),
        };
    }
}

[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(RunscConfig))]
internal sealed partial class ConfigJson : JsonSerializerContext;

[TomlSerializable(typeof(TomlTable))]
internal sealed partial class ConfigToml : TomlSerializerContext;
