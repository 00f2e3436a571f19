using System.Collections.Generic;
using System.Text.Json.Serialization;

namespace Runsc.Control;

/// <summary>A request to a sandbox. One packet of the control socket is one message in JSON; descriptors travel beside it.</summary>
internal sealed class ControlRequest
{
    /// <summary>start, signal, wait, exec, ps, pause, resume, resize, pid-wait.</summary>
    public string Command { get; set; } = "";

    /// <summary>Signal number.</summary>
    public int Signal { get; set; }

    /// <summary>A process of the container; 0: its first one.</summary>
    public int ProcessId { get; set; }

    /// <summary>signal: to all processes.</summary>
    public bool All { get; set; }

    public ExecRequest? Exec { get; set; }

    public int Rows { get; set; }

    public int Columns { get; set; }
}

/// <summary>Another process for a running container. Its standard descriptors come with the message.</summary>
internal sealed class ExecRequest
{
    public List<string> Arguments { get; set; } = [];

    public List<string> Environment { get; set; } = [];

    public string WorkingDirectory { get; set; } = "/";

    public uint Uid { get; set; }

    public uint Gid { get; set; }

    public List<uint> Groups { get; set; } = [];

    public uint Umask { get; set; } = 0x12;

    public ulong Capabilities { get; set; }

    public bool NoNewPrivileges { get; set; }

    public bool Terminal { get; set; }
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

    /// <summary>state: has the first process been started, has it ended?</summary>
    public string? State { get; set; }

    public List<ProcessEntry>? Processes { get; set; }
}

/// <summary>One line of `ps`.</summary>
internal sealed class ProcessEntry
{
    public uint Uid { get; set; }

    public int Pid { get; set; }

    public int Ppid { get; set; }

    public string Stime { get; set; } = "";

    public string Time { get; set; } = "";

    public string Cmd { get; set; } = "";
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(ControlRequest))]
[JsonSerializable(typeof(ControlAnswer))]
[JsonSerializable(typeof(List<ProcessEntry>))]
internal sealed partial class ControlJson : JsonSerializerContext;
