using System.Collections.Generic;
using System.Text.Json;

namespace Runsc.Oci;

/// <summary>"linux".</summary>
internal sealed class LinuxSpec
{
    public List<IdMappingSpec>? UidMappings { get; set; }

    public List<IdMappingSpec>? GidMappings { get; set; }

    public Dictionary<string, string>? Sysctl { get; set; }

    public ResourcesSpec? Resources { get; set; }

    public string? CgroupsPath { get; set; }

    public List<NamespaceSpec>? Namespaces { get; set; }

    public List<DeviceSpec>? Devices { get; set; }

    public SeccompSpec? Seccomp { get; set; }

    public string? RootfsPropagation { get; set; }

    public List<string>? MaskedPaths { get; set; }

    public List<string>? ReadonlyPaths { get; set; }

    public string? MountLabel { get; set; }

    /// <summary>This and the next two are seen only to be refused; those after version 1.2 of the specification, too.</summary>
    public JsonElement? IntelRdt { get; set; }

    public JsonElement? MemoryPolicy { get; set; }

    public JsonElement? NetDevices { get; set; }

    public PersonalitySpec? Personality { get; set; }

    public Dictionary<string, TimeOffsetSpec>? TimeOffsets { get; set; }
}

internal sealed class IdMappingSpec
{
    public uint ContainerID { get; set; }

    public uint HostID { get; set; }

    public uint Size { get; set; }
}

internal sealed class NamespaceSpec
{
    /// <summary>pid, network, mount, ipc, uts, user, cgroup, time.</summary>
    public string? Type { get; set; }

    /// <summary>One that is there; null for a new one.</summary>
    public string? Path { get; set; }
}

internal sealed class DeviceSpec
{
    public string? Path { get; set; }

    /// <summary>c, b, u or p.</summary>
    public string? Type { get; set; }

    public long Major { get; set; }

    public long Minor { get; set; }

    public uint? FileMode { get; set; }

    public uint? Uid { get; set; }

    public uint? Gid { get; set; }
}

internal sealed class PersonalitySpec
{
    public string? Domain { get; set; }

    public List<string>? Flags { get; set; }
}

internal sealed class TimeOffsetSpec
{
    public long Secs { get; set; }

    public uint Nanosecs { get; set; }
}

/// <summary>"linux.seccomp", by libseccomp's names.</summary>
internal sealed class SeccompSpec
{
    public string? DefaultAction { get; set; }

    public uint? DefaultErrnoRet { get; set; }

    public List<string>? Architectures { get; set; }

    public List<string>? Flags { get; set; }

    public string? ListenerPath { get; set; }

    public string? ListenerMetadata { get; set; }

    public List<SeccompCallSpec>? Syscalls { get; set; }
}

internal sealed class SeccompCallSpec
{
    public List<string>? Names { get; set; }

    public string? Action { get; set; }

    public uint? ErrnoRet { get; set; }

    public List<SeccompArgumentSpec>? Args { get; set; }
}

internal sealed class SeccompArgumentSpec
{
    public uint Index { get; set; }

    public ulong Value { get; set; }

    public ulong ValueTwo { get; set; }

    public string? Op { get; set; }
}
