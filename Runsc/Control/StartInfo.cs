using System.Collections.Generic;
using System.Text.Json.Serialization;
using Runsc.Config;
using Runsc.Oci;

namespace Runsc.Control;

/// <summary>What a process of a sandbox is told when it starts, in JSON through a descriptor. Numbers are of inherited descriptors.</summary>
internal sealed class StartInfo : SpecCarrier
{
    /// <summary>Name of the file of <see cref="MemoryEventsFd"/> in the state directory of the container.</summary>
    public const string MemoryEvents = "memory.events";

    public string Id { get; set; } = "";

    public RunscConfig Config { get; set; } = new();

    /// <summary>The program itself, for the second stage.</summary>
    public int ProgramFd { get; set; } = -1;

    /// <summary>Boot: /dev/kvm; −1 on another platform.</summary>
    public int KvmFd { get; set; } = -1;

    /// <summary>Boot: the listening control socket.</summary>
    public int ControlFd { get; set; } = -1;

    /// <summary>Boot: a byte (0 and nothing, or a message) is written here once it can be started. Gofer: the same.</summary>
    public int ReadyFd { get; set; } = -1;

    /// <summary>Boot: a file that gets the exit status of the container, for those who ask when the sandbox has gone.</summary>
    public int ExitFd { get; set; } = -1;

    /// <summary>A further container: a file that tells how many of its processes were killed because its memory was used up.</summary>
    public int MemoryEventsFd { get; set; } = -1;

    /// <summary>Boot: gets the exit status of the container in one byte; its other end is the container's process on the host, which closes it when it is killed.</summary>
    public int HolderFd { get; set; } = -1;

    /// <summary>A further container: which container's names (uts), IPC (ipc) and process ids (pid) it shares, by type; empty for the first container's.</summary>
    public Dictionary<string, string> Shared { get; set; } = [];

    /// <summary>Where debug lines go; −1 for nowhere.</summary>
    public int LogFd { get; set; } = -1;

    /// <summary>Boot: where packets are recorded; −1 for nowhere.</summary>
    public int PcapFd { get; set; } = -1;

    /// <summary>Boot: standard input, output and error of the container.</summary>
    public List<int> StandardFds { get; set; } = [];

    /// <summary>Boot and gofer: the trees that the gofer serves; the first is the root.</summary>
    public List<TreeInfo> Trees { get; set; } = [];

    /// <summary>Gofer: /proc/self/fd; filled in by the first stage.</summary>
    public int DescriptorsFd { get; set; } = -1;

    /// <summary>Bytes that applications may use at most. A further container: its own limit, 0 for none.</summary>
    public ulong MemoryLimit { get; set; }

    /// <summary>Bytes that they are told there are.</summary>
    public ulong TotalMemory { get; set; }

    /// <summary>Tasks that the container may have; 0 for no limit.</summary>
    public long TaskLimit { get; set; }

    /// <summary>What is written to /proc/self/attr of the host before the second stage: an AppArmor profile or a SELinux label; null for nothing.</summary>
    public string? ExecLabel { get; set; }

    /// <summary>Gofer: hooks that run before its trees are opened; then a message with what they read comes before the others.</summary>
    public List<HookSpec>? Hooks { get; set; }

    /// <summary>Gofer: mount points that must be there in a root that the Sentry cannot change, files marked by a slash less: "/dir/", "/file".</summary>
    public List<string> MountPoints { get; set; } = [];

    /// <summary>The user of the second stage: one that owns nothing, where it is mapped.</summary>
    public uint User { get; set; } = 65534;

    public int Processors { get; set; }
}

/// <summary>One tree of the host: the container's root or a bind mount.</summary>
internal sealed class TreeInfo
{
    /// <summary>This process's end of the connection.</summary>
    public int Socket { get; set; } = -1;

    /// <summary>Gofer: where it is on the host; opened by the first stage.</summary>
    public string Path { get; set; } = "";

    /// <summary>Gofer: the opened root; −1: the first stage opens it.</summary>
    public int RootFd { get; set; } = -1;

    /// <summary>Index in the specification's mounts; −1 for the root.</summary>
    public int Mount { get; set; } = -1;

    public bool ReadOnly { get; set; }

    /// <summary>Gofer: with what is mounted below.</summary>
    public bool IsRecursive { get; set; } = true;

    /// <summary>Gofer: how it shows the owners of files (mounts[].uidMappings and gidMappings); empty: as they are.</summary>
    public List<IdMappingSpec> UserIds { get; set; } = [];

    public List<IdMappingSpec> GroupIds { get; set; } = [];

    /// <summary>Gofer: also on the file systems that are mounted below (ridmap).</summary>
    public bool MapsBelow { get; set; }

    /// <summary>Gofer: what the host mounts below it later is seen, too (mount_namespaces(7): a slave).</summary>
    public bool Follows { get; set; }
}

[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(StartInfo))]
internal sealed partial class StartInfoJson : JsonSerializerContext;
