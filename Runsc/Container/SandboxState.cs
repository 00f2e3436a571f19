using System.Collections.Generic;
using Runsc.Control;

namespace Runsc.Container;

/// <summary>
/// What is kept of a sandbox, apart from its containers: it lives until the last of them is gone, which need not be the one that it was made for.
/// Whoever changes it holds its lock (<see cref="StateDirectory.LockSandbox"/>).
/// </summary>
internal sealed class SandboxState
{
    /// <summary>Names its directory; of this sandbox alone.</summary>
    public string Key { get; set; } = "";

    /// <summary>The container that it was made for.</summary>
    public string FirstId { get; set; } = "";

    /// <summary>The Sentry's process on the host, and when it began (in ticks since the host's start).</summary>
    public int Pid { get; set; }

    public ulong Start { get; set; }

    /// <summary>Further containers may come.</summary>
    public bool IsReady { get; set; }

    /// <summary>The group of the Sentry's process: directories by controller, see ControlGroup.</summary>
    public Dictionary<string, string> CgroupPaths { get; set; } = [];

    /// <summary>The network namespace on the host whose interfaces are, or will be, in the sandbox; 0 for none.</summary>
    public ulong NetworkDevice { get; set; }

    public ulong NetworkInode { get; set; }

    /// <summary>Where it is found again: the path that the specification has named, or the caller's own; null when the sandbox has made it.</summary>
    public string? NetworkPath { get; set; }

    /// <summary>The interfaces are inside, or have been looked at.</summary>
    public bool HasNetwork { get; set; }

    /// <summary>What was taken from the namespace, and is to be put back at the end.</summary>
    public NetworkSetup? Taken { get; set; }

    public bool IsAlive => HostProcesses.IsAlive(Pid, Start);
}
