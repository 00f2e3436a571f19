using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using System.Text.Json.Serialization;
using Runsc.Common;
using Runsc.Config;
using Runsc.Shim.Tasks;
using Runsc.Shim.Wire;
using Tomlyn;
using Tomlyn.Model;

namespace Runsc.Shim;

/// <summary>How a container's runtime is called: from the options that containerd sends, which may name a TOML file. Kept in the bundle for `delete`.</summary>
internal sealed class ShimOptions
{
    /// <summary>Read when containerd sends no options, if it is there.</summary>
    public const string DefaultFile = "/etc/containerd/runsc.toml";

    private const string SavedName = "runsc-shim.json";

    /// <summary>The runtime's binary; empty: the shim's own.</summary>
    public string BinaryName { get; set; } = "";

    /// <summary>Where the runtime keeps its state; the namespace is appended.</summary>
    public string Root { get; set; } = "/run/containerd/runsc";

    public bool SystemdCgroup { get; set; }

    public string LogLevel { get; set; } = "info";

    /// <summary>Flags of the runtime, by name without dashes.</summary>
    public Dictionary<string, string> Flags { get; set; } = [];

    /// <summary>One shim for all containers of a pod.</summary>
    public bool Grouping { get; set; } = true;

    /// <exception cref="RunscException">Options of an unknown kind, or a file that cannot be read.</exception>
    public static ShimOptions Read(AnyMessage? options)
    {
        ShimOptions result = new();
        if (options is null || options.TypeUrl.Length == 0)
        {
            if (File.Exists(DefaultFile))
            {
                result.ReadToml(DefaultFile, File.ReadAllText(DefaultFile));
            }
        }
        else if (options.TypeUrl.EndsWith("runtimeoptions.v1.Options", StringComparison.Ordinal))
        {
            result.ReadGeneric(options.Value);
        }
        else if (options.TypeUrl.EndsWith("containerd.runc.v1.Options", StringComparison.Ordinal))
        {
            result.ReadRunc(options.Value);
        }
        else
        {
            throw new RunscException($"runtime options of the unknown type \"{options.TypeUrl}\"");
        }

        return result;
    }

    /// <summary>runtimeoptions.v1.Options: type_url, config_path, config_body.</summary>
    private void ReadGeneric(ReadOnlySpan<byte> message)
    {
        string path = "";
        byte[] body = [];
        WireReader reader = new(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 2: path = reader.Text(); break;
                case 3: body = reader.Bytes().ToArray(); break;
                default: reader.Skip(); break;
            }
        }

        if (body.Length > 0)
        {
            ReadToml("the runtime options", Encoding.UTF8.GetString(body));
        }
        else if (path.Length > 0)
        {
            try
            {
                ReadToml(path, File.ReadAllText(path));
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new RunscException($"cannot read the runtime options {path}: {error.Message}");
            }
        }
    }

    /// <summary>containerd.runc.v1.Options: what callers send that know runc only.</summary>
    private void ReadRunc(ReadOnlySpan<byte> message)
    {
        WireReader reader = new(message);
        while (reader.Next())
        {
            switch (reader.Field)
            {
                case 6: BinaryName = reader.Text(); break;
                case 7: Root = reader.Text() is { Length: > 0 } root ? root : Root; break;
                case 9: SystemdCgroup = reader.Flag(); break;
                default: reader.Skip(); break;
            }
        }
    }

    internal void ReadToml(string file, string text)
    {
        TomlTable table;
        try
        {
            table = TomlSerializer.Deserialize(text, ConfigToml.Default.TomlTable) ?? [];
        }
        catch (TomlException error)
        {
            throw new RunscException($"{file}: {error.Message.ReplaceLineEndings(" ")}");
        }

        foreach ((string key, object value) in table)
        {
            switch (key, value)
            {
                case ("binary_name", string binary): BinaryName = binary; break;
                case ("root", string root): Root = root; break;
                case ("systemd_cgroup", bool systemd): SystemdCgroup = systemd; break;
                case ("log_level", string level): LogLevel = level; break;
                case ("grouping", bool grouping): Grouping = grouping; break;
                case ("runsc_config", TomlTable flags):
                    foreach ((string name, object setting) in flags)
                    {
                        Flags[name] = setting switch { bool flag => flag ? "true" : "false", _ => Convert.ToString(setting, System.Globalization.CultureInfo.InvariantCulture)! };
                    }

                    break;
                default:
                    // Files are shared with other versions of the shim: what is not known here may be known there.
                    Log.Warning($"{file}: {key} is ignored");
                    break;
            }
        }
    }

    public void Save(string bundle) =>
        File.WriteAllBytes(Path.Combine(bundle, SavedName), System.Text.Json.JsonSerializer.SerializeToUtf8Bytes(this, ShimJson.Default.ShimOptions));

    /// <summary>What <see cref="Save"/> has kept; the defaults if it has nothing.</summary>
    public static ShimOptions Load(string bundle)
    {
        try
        {
            return System.Text.Json.JsonSerializer.Deserialize(File.ReadAllBytes(Path.Combine(bundle, SavedName)), ShimJson.Default.ShimOptions) ?? new ShimOptions();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or System.Text.Json.JsonException)
        {
            return Read(null);
        }
    }
}

/// <summary>What the shim reads of a bundle's config.json.</summary>
internal sealed class BundleSpec
{
    public Dictionary<string, string>? Annotations { get; set; }

    public static BundleSpec Load(string bundle)
    {
        try
        {
            return System.Text.Json.JsonSerializer.Deserialize(File.ReadAllBytes(Path.Combine(bundle, "config.json")), ShimJson.Default.BundleSpec) ?? new BundleSpec();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or System.Text.Json.JsonException)
        {
            throw new RunscException($"{Path.Combine(bundle, "config.json")}: {error.Message}");
        }
    }

    /// <summary>The name that containers of one shim share: the pod's, or null.</summary>
    public string? Group => Get("io.containerd.runc.v2.group") ?? Get("io.kubernetes.cri.sandbox-id") ?? Get("io.kubernetes.cri-o.SandboxID");

    private string? Get(string name) => Annotations is not null && Annotations.TryGetValue(name, out string? value) && value.Length > 0 ? value : null;
}

[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(ShimOptions))]
[JsonSerializable(typeof(BundleSpec))]
[JsonSerializable(typeof(RuntimeStats))]
[JsonSerializable(typeof(LogLine))]
[JsonSerializable(typeof(int[]))]
internal sealed partial class ShimJson : JsonSerializerContext;
