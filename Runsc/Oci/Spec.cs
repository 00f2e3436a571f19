using System.Collections.Generic;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Runsc.Oci;

/// <summary>config.json of a bundle (OCI runtime specification 1.2). Members that the specification does not name are ignored, as it demands.</summary>
internal sealed class Spec
{
    public string? OciVersion { get; set; }

    public ProcessSpec? Process { get; set; }

    public RootSpec? Root { get; set; }

    public string? Hostname { get; set; }

    public string? Domainname { get; set; }

    public List<MountSpec>? Mounts { get; set; }

    public LinuxSpec? Linux { get; set; }

    public HooksSpec? Hooks { get; set; }

    public Dictionary<string, string>? Annotations { get; set; }

    /// <summary>Other systems' members: seen only to be refused.</summary>
    public JsonElement? Windows { get; set; }

    public JsonElement? Solaris { get; set; }

    public JsonElement? Vm { get; set; }

    public JsonElement? Zos { get; set; }
}

internal sealed class RootSpec
{
    public string? Path { get; set; }

    public bool Readonly { get; set; }
}

internal sealed class MountSpec
{
    public string? Destination { get; set; }

    public string? Type { get; set; }

    public string? Source { get; set; }

    public List<string>? Options { get; set; }

    public List<IdMappingSpec>? UidMappings { get; set; }

    public List<IdMappingSpec>? GidMappings { get; set; }
}

/// <summary>"hooks": programs to run at points of a container's life.</summary>
internal sealed class HooksSpec
{
    public List<HookSpec>? Prestart { get; set; }

    public List<HookSpec>? CreateRuntime { get; set; }

    public List<HookSpec>? CreateContainer { get; set; }

    public List<HookSpec>? StartContainer { get; set; }

    public List<HookSpec>? Poststart { get; set; }

    public List<HookSpec>? Poststop { get; set; }
}

internal sealed class HookSpec
{
    public string? Path { get; set; }

    public List<string>? Args { get; set; }

    public List<string>? Env { get; set; }

    public int? Timeout { get; set; }
}

// Metadata only, as in all contexts here: the other mode has code of its own to write, a quarter of a megabyte in all, and starts no faster.
[JsonSourceGenerationOptions(
    GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Spec))]
[JsonSerializable(typeof(ProcessSpec))]
[JsonSerializable(typeof(ResourcesSpec))]
internal sealed partial class SpecJson : JsonSerializerContext;
