using System.Collections.Generic;

namespace Runsc.Oci;

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

    /// <summary>For the sandbox's processes on the host.</summary>
    public string? ApparmorProfile { get; set; }

    public int? OomScoreAdj { get; set; }

    public SchedulerSpec? Scheduler { get; set; }

    /// <summary>For the sandbox's processes on the host.</summary>
    public string? SelinuxLabel { get; set; }

    public IoPrioritySpec? IoPriority { get; set; }

    /// <summary>Of further processes, not of the first.</summary>
    public CpuAffinitySpec? ExecCPUAffinity { get; set; }
}

/// <summary>Lists of processors as <see cref="Common.CpuList"/> reads them.</summary>
internal sealed class CpuAffinitySpec
{
    /// <summary>Of the host, for the command that has the process started.</summary>
    public string? Initial { get; set; }

    /// <summary>Of the sandbox, for the process.</summary>
    public string? Final { get; set; }
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

/// <summary>sched_setattr(2)'s members by the names of the specification.</summary>
internal sealed class SchedulerSpec
{
    public string? Policy { get; set; }

    public int Nice { get; set; }

    public int Priority { get; set; }

    public List<string>? Flags { get; set; }

    public ulong Runtime { get; set; }

    public ulong Deadline { get; set; }

    public ulong Period { get; set; }
}

/// <summary>ioprio_set(2).</summary>
internal sealed class IoPrioritySpec
{
    public string? Class { get; set; }

    public int Priority { get; set; }
}
