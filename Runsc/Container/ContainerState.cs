using System;
using System.Collections.Generic;
using System.Globalization;
using System.IO;
using System.Text.Json.Serialization;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>What is kept of a container in the state directory; with the specification that it was made from, since its bundle may have gone.</summary>
internal sealed class ContainerState : SpecCarrier
{
    public string Id { get; set; } = "";

    public string Bundle { get; set; } = "";

    public string OciVersion { get; set; } = "";

    /// <summary>creating, created, running, paused.</summary>
    public string Phase { get; set; } = "creating";

    /// <summary>The process that stands for the container on the host and ends with its exit status, and when it began (in ticks since the host's start).</summary>
    public int Pid { get; set; }

    public ulong PidStart { get; set; }

    /// <summary>The Sentry's process on the host, and when it began.</summary>
    public int SandboxPid { get; set; }

    public ulong SandboxStart { get; set; }

    public int GoferPid { get; set; }

    public ulong GoferStart { get; set; }

    public DateTime Created { get; set; }

    public string Owner { get; set; } = "";

    public Dictionary<string, string> Annotations { get; set; } = [];

    /// <summary>Key of the sandbox that it is in.</summary>
    public string Sandbox { get; set; } = "";

    /// <summary>The sandbox was made for this container.</summary>
    public bool IsFirst { get; set; }

    /// <summary>Its control group: directories by controller, see ControlGroup.</summary>
    public Dictionary<string, string> CgroupPaths { get; set; } = [];

    /// <summary>creating, created, running, paused or stopped, as its process is now.</summary>
    [JsonIgnore]
    public string Status => Phase == "creating" || HostProcesses.IsAlive(Pid, PidStart) ? Phase : "stopped";

    /// <summary>The state that the specification defines.</summary>
    /// <param name="status">As it is now, or as a hook is to see it.</param>
    public OciState Describe(string status) => new()
    {
        OciVersion = OciVersion,
        Id = Id,
        Status = status,
        Pid = status == "stopped" ? 0 : Pid,
        Bundle = Bundle,
        Annotations = Annotations.Count == 0 ? null : Annotations,
    };
}

/// <summary>The OCI state of a container ("state" of the runtime specification).</summary>
internal sealed class OciState
{
    public string OciVersion { get; set; } = "";

    public string Id { get; set; } = "";

    public string Status { get; set; } = "";

    public int Pid { get; set; }

    public string Bundle { get; set; } = "";

    public Dictionary<string, string>? Annotations { get; set; }
}

/// <summary>An entry of `list --format json`.</summary>
internal sealed class ListEntry
{
    public string OciVersion { get; set; } = "";

    public string Id { get; set; } = "";

    public int Pid { get; set; }

    public string Status { get; set; } = "";

    public string Bundle { get; set; } = "";

    public string? Rootfs { get; set; }

    public DateTime Created { get; set; }

    public Dictionary<string, string>? Annotations { get; set; }

    public string Owner { get; set; } = "";
}

/// <summary>`wait`'s answer.</summary>
internal sealed class WaitOutput
{
    public string Id { get; set; } = "";

    public int ExitStatus { get; set; }
}

[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ContainerState))]
[JsonSerializable(typeof(SandboxState))]
[JsonSerializable(typeof(OciState))]
[JsonSerializable(typeof(List<ListEntry>))]
[JsonSerializable(typeof(WaitOutput))]
internal sealed partial class StateJson : JsonSerializerContext;

/// <summary>For people to read.</summary>
[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, WriteIndented = true)]
[JsonSerializable(typeof(OciState))]
internal sealed partial class IndentedJson : JsonSerializerContext;

/// <summary>Processes of the host by number and start time, so that a number that was used again is not mistaken.</summary>
internal static class HostProcesses
{
    /// <summary>Start time of a process in ticks since the host's start; 0 when it is not there or a zombie.</summary>
    public static ulong StartOf(int pid)
    {
        try
        {
            string stat = File.ReadAllText($"/proc/{pid}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            return fields[0] is "Z" or "X" ? 0 : ulong.Parse(fields[19], CultureInfo.InvariantCulture);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or FormatException or IndexOutOfRangeException)
        {
            return 0;
        }
    }

    public static bool IsAlive(int pid, ulong start) => pid > 0 && start != 0 && StartOf(pid) == start;
}
