using System.Collections.Generic;
using System.Text.Json.Serialization;

namespace Runsc.Oci;

/// <summary>config.json of a bundle (OCI runtime specification 1.2), as far as it is read here. Unknown members are ignored.</summary>
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
}

/// <summary>"process".</summary>
internal sealed class ProcessSpec
{
    public bool Terminal { get; set; }

    public ConsoleSize? ConsoleSize { get; set; }

    public UserSpec? User { get; set; }

    public List<string>? Args { get; set; }

    public List<string>? Env { get; set; }

    public string? Cwd { get; set; }

    public CapabilitiesSpec? Capabilities { get; set; }

    public List<RlimitSpec>? Rlimits { get; set; }

    public bool NoNewPrivileges { get; set; }

    public int? OomScoreAdj { get; set; }
}

internal sealed class ConsoleSize
{
    public uint Height { get; set; }

    public uint Width { get; set; }
}

internal sealed class UserSpec
{
    public uint Uid { get; set; }

    public uint Gid { get; set; }

    public uint? Umask { get; set; }

    public List<uint>? AdditionalGids { get; set; }
}

internal sealed class CapabilitiesSpec
{
    public List<string>? Bounding { get; set; }

    public List<string>? Effective { get; set; }

    public List<string>? Inheritable { get; set; }

    public List<string>? Permitted { get; set; }

    public List<string>? Ambient { get; set; }
}

internal sealed class RlimitSpec
{
    public string? Type { get; set; }

    public ulong Hard { get; set; }

    public ulong Soft { get; set; }
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
}

internal sealed class LinuxSpec
{
    public string? CgroupsPath { get; set; }

    public Dictionary<string, string>? Sysctl { get; set; }
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

[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, WriteIndented = true, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(Spec))]
[JsonSerializable(typeof(ProcessSpec))]
internal sealed partial class SpecJson : JsonSerializerContext;
