using System;
using System.Collections.Generic;
using System.IO;
using System.Text.Json;
using Runsc.Common;
using Runsc.Linux;

namespace Runsc.Oci;

/// <summary>Reads and checks a bundle. What is wrong is said in one line that names the file and the key.</summary>
internal static class SpecLoader
{
    private static readonly string[] s_limits =
    [
        "RLIMIT_CPU", "RLIMIT_FSIZE", "RLIMIT_DATA", "RLIMIT_STACK", "RLIMIT_CORE", "RLIMIT_RSS", "RLIMIT_NPROC", "RLIMIT_NOFILE", "RLIMIT_MEMLOCK", "RLIMIT_AS",
        "RLIMIT_LOCKS", "RLIMIT_SIGPENDING", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO", "RLIMIT_RTTIME",
    ];

    /// <exception cref="RunscException">The bundle is not usable; the message is one line.</exception>
    public static Spec LoadBundle(string bundle)
    {
        string path = Path.Combine(bundle, "config.json");
        byte[] text;
        try
        {
            text = File.ReadAllBytes(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException(File.Exists(path) ? $"cannot read {path}: {error.Message}" : $"{path}: no such file or directory");
        }

        Spec spec;
        try
        {
            spec = JsonSerializer.Deserialize(text, SpecJson.Default.Spec) ?? throw new RunscException($"{path}: is null");
        }
        catch (JsonException error)
        {
            throw new RunscException(Describe(path, error));
        }

        SpecCheck.Check(path, spec, bundle);
        return spec;
    }

    /// <exception cref="RunscException">The file is not a process description.</exception>
    public static ProcessSpec LoadProcess(string path)
    {
        try
        {
            ProcessSpec process = JsonSerializer.Deserialize(File.ReadAllBytes(path), SpecJson.Default.ProcessSpec) ?? throw new RunscException($"{path}: is null");
            SpecCheck.CheckProcess(path, "", process);
            return process;
        }
        catch (JsonException error)
        {
            throw new RunscException(Describe(path, error));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new RunscException($"cannot read {path}: {error.Message}");
        }
    }

    /// <summary>`update --resources`: text of "linux.resources".</summary>
    /// <exception cref="RunscException">The text is not that.</exception>
    public static ResourcesSpec ParseResources(string origin, byte[] text)
    {
        try
        {
            ResourcesSpec resources = JsonSerializer.Deserialize(text, SpecJson.Default.ResourcesSpec) ?? throw new RunscException($"{origin}: is null");
            SpecCheck.CheckResources(origin, resources);
            return resources;
        }
        catch (JsonException error)
        {
            throw new RunscException(Describe(origin, error));
        }
    }

    private static string Describe(string path, JsonException error)
    {
        string place = string.IsNullOrEmpty(error.Path) || error.Path == "$" ? "" : $" at {error.Path.TrimStart('$', '.')}";
        string what = error.Message.Contains("could not be converted", StringComparison.Ordinal) ? "has a value of the wrong type" : "is not valid JSON";
        return $"{path}: {what}{place} (line {(error.LineNumber ?? 0) + 1})";
    }

    /// <summary>RLIMIT_* number of a name; null when unknown.</summary>
    public static int? LimitNumber(string? name)
    {
        int index = Array.IndexOf(s_limits, name);
        return index < 0 ? null : index;
    }

    /// <summary>The root directory as an absolute path.</summary>
    public static string RootOf(Spec spec, string bundle) => Path.GetFullPath(Path.Combine(bundle, spec.Root!.Path!));
}

/// <summary>Capabilities by name (capabilities(7)).</summary>
internal static class CapabilityNames
{
    private static readonly string[] s_names =
    [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE", "NET_BIND_SERVICE",
        "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN",
        "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE",
        "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF", "CHECKPOINT_RESTORE",
    ];

    /// <summary>Bit N for capability N.</summary>
    /// <exception cref="RunscException">A name is unknown; the message begins with <paramref name="where"/>.</exception>
    public static ulong ToMask(List<string>? names, string where)
    {
        ulong mask = 0;
        foreach (string name in names ?? [])
        {
            int index = name.StartsWith("CAP_", StringComparison.Ordinal) ? Array.IndexOf(s_names, name[4..]) : -1;
            if (index < 0)
            {
                throw new RunscException($"{where}: unknown capability {name}");
            }

            mask |= 1UL << index;
        }

        return mask;
    }

    /// <summary>All names, "CAP_" first.</summary>
    public static List<string> All
    {
        get
        {
            List<string> names = [];
            for (int i = 0; i <= Capability.CAP_LAST_CAP; i++)
            {
                names.Add("CAP_" + s_names[i]);
            }

            return names;
        }
    }
}
