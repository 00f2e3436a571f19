using System;
using System.IO;

namespace Runsc.Tests.Docker;

/// <summary>A daemon with bridges, in a network namespace of its own; the runtime with its default network.</summary>
public sealed class NetworkEngine : DockerEngine
{
    public NetworkEngine()
        : base(NetworkMissing is null ? "runsc-" + Guid.NewGuid().ToString("N")[..8] : null)
    {
    }

    /// <summary>Why there can be no such daemon, or null.</summary>
    public static string? NetworkMissing { get; } = Missing
        ?? (File.Exists("/usr/sbin/ip") && File.Exists("/usr/bin/nsenter") ? null : "iproute2 or nsenter is missing")
        ?? (File.Exists("/usr/sbin/iptables") ? null : "iptables is not installed")
        ?? (File.Exists("/usr/bin/python3") ? null : "python3 is missing");
}
