using System.Collections.Generic;
using System.Text.Json.Serialization;
using Runsc.Oci;

namespace Runsc.Control;

/// <summary>A request to a sandbox. One packet of the control socket is one message in JSON; descriptors travel beside it.</summary>
internal sealed class ControlRequest
{
    /// <summary>What to do; see ControlServer.</summary>
    public string Command { get; set; } = "";

    /// <summary>The container of the sandbox that is meant; empty for its first.</summary>
    public string Container { get; set; } = "";

    /// <summary>Signal number.</summary>
    public int Signal { get; set; }

    /// <summary>A process of the container; 0: its first one.</summary>
    public int ProcessId { get; set; }

    /// <summary>signal: to all processes.</summary>
    public bool All { get; set; }

    /// <summary>exec: what runs. Its standard descriptors come with the message.</summary>
    public ProcessSpec? Exec { get; set; }

    /// <summary>start: programs of the container that run before its process. The first descriptor is their input, the second takes their output.</summary>
    public List<HookSpec>? Hooks { get; set; }

    /// <summary>network: interfaces that move into the sandbox. Their packet sockets come with the message.</summary>
    public NetworkSetup? Network { get; set; }

    public int Rows { get; set; }

    public int Columns { get; set; }

    /// <summary>read: a path inside; strace: names of calls; log: a level.</summary>
    public string Text { get; set; } = "";

    public long Offset { get; set; }

    /// <summary>read: bytes, 0 for all; limit: tasks, 0 for no limit; memory: bytes that programs are told there are, or that a further container may use; forward: a TCP port inside, to which the stream that comes with the message is joined.</summary>
    public long Size { get; set; }
}

/// <summary>The answer to a request.</summary>
internal sealed class ControlAnswer
{
    /// <summary>What went wrong, in one line; null for success.</summary>
    public string? Error { get; set; }

    /// <summary>wait: wait status as wait4(2) stores it.</summary>
    public int Status { get; set; }

    /// <summary>exec: the process's id inside.</summary>
    public int ProcessId { get; set; }

    /// <summary>state: created, running, paused or stopped.</summary>
    public string? State { get; set; }

    /// <summary>stacks, usage: lines for the user.</summary>
    public string? Text { get; set; }

    /// <summary>stats: nanoseconds of processor time of the container's processes, and of all in the sandbox.</summary>
    public long CpuTime { get; set; }

    public long SandboxCpuTime { get; set; }

    /// <summary>stats: processes and threads.</summary>
    public long Tasks { get; set; }

    /// <summary>stats, usage: bytes of memory that applications use; of a further container, those that are charged to it.</summary>
    public long Memory { get; set; }

    /// <summary>stats of a further container: the most that was charged to it, and its limit; 0 for none.</summary>
    public long MemoryPeak { get; set; }

    public long MemoryLimit { get; set; }

    /// <summary>stats: counters of the sandbox's interfaces.</summary>
    public List<InterfaceEntry>? Interfaces { get; set; }

    public List<ProcessEntry>? Processes { get; set; }
}

/// <summary>The counters of an interface inside.</summary>
internal sealed class InterfaceEntry
{
    public string Name { get; set; } = "";

    public ulong RxBytes { get; set; }

    public ulong RxPackets { get; set; }

    public ulong RxErrors { get; set; }

    public ulong RxDropped { get; set; }

    public ulong TxBytes { get; set; }

    public ulong TxPackets { get; set; }

    public ulong TxErrors { get; set; }

    public ulong TxDropped { get; set; }
}

/// <summary>One line of `ps`.</summary>
internal sealed class ProcessEntry
{
    public uint Uid { get; set; }

    public int Pid { get; set; }

    public int Ppid { get; set; }

    public int Pgid { get; set; }

    /// <summary>Per cent of a processor since the start.</summary>
    public int C { get; set; }

    public string Tty { get; set; } = "?";

    public string Stime { get; set; } = "";

    public string Time { get; set; } = "";

    public string Cmd { get; set; } = "";
}

[JsonSourceGenerationOptions(GenerationMode = JsonSourceGenerationMode.Metadata, PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ControlAnswer))]
[JsonSerializable(typeof(List<ProcessEntry>))]
internal sealed partial class ControlJson : JsonSerializerContext;
