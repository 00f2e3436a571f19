using System;
using System.Collections.Generic;
using System.IO;

namespace Runsc.Container.Cgroups;

/// <summary>Where the host has mounted its control groups (cgroups(7)), and which of them this process is in.</summary>
internal sealed class CgroupMounts
{
    private readonly Dictionary<string, string> _controllers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, string> _own = new(StringComparer.Ordinal);
    private string? _unified;

    private CgroupMounts()
    {
    }

    /// <summary>Mount points of the v1 hierarchies by controller; named ones as "name=systemd".</summary>
    public IReadOnlyDictionary<string, string> Controllers => _controllers;

    /// <summary>Mount point of the v2 hierarchy; null when there is none.</summary>
    public string? Unified => _unified;

    /// <summary>All limits are in the v2 hierarchy.</summary>
    public bool IsUnifiedOnly => _unified is not null && !_controllers.ContainsKey("memory") && !_controllers.ContainsKey("cpu");

    public bool IsPresent => _unified is not null || _controllers.Count > 0;

    /// <summary>This process's group in the hierarchy of a v1 controller, or in v2 for "".</summary>
    public string OwnGroup(string controller) => _own.GetValueOrDefault(controller, "/");

    public static CgroupMounts Read() => Parse(File.ReadAllLines("/proc/self/mountinfo"), File.ReadAllLines("/proc/self/cgroup"));

    /// <param name="mounts">Lines of /proc/self/mountinfo.</param>
    /// <param name="groups">Lines of /proc/self/cgroup.</param>
    public static CgroupMounts Parse(string[] mounts, string[] groups)
    {
        CgroupMounts result = new();
        foreach (string line in mounts)
        {
            string[] halves = line.Split(" - ", 2);
            string[] left = halves[0].Split(' ');
            string[] right = halves.Length > 1 ? halves[1].Split(' ') : [];
            if (left.Length < 5 || right.Length < 3)
            {
                continue;
            }

            if (right[0] == "cgroup2")
            {
                result._unified ??= left[4];
            }
            else if (right[0] == "cgroup")
            {
                foreach (string option in right[2].Split(','))
                {
                    if (IsController(option) && !result._controllers.ContainsKey(option))
                    {
                        result._controllers.Add(option, left[4]);
                    }
                }
            }
        }

        foreach (string line in groups)
        {
            string[] fields = line.Split(':', 3);
            if (fields.Length == 3)
            {
                foreach (string controller in fields[1].Split(','))
                {
                    result._own[controller] = fields[2];
                }
            }
        }

        return result;
    }

    // The super block's options name the controllers among others.
    private static bool IsController(string option) =>
        option.StartsWith("name=", StringComparison.Ordinal)
        || option is "cpu" or "cpuacct" or "cpuset" or "memory" or "devices" or "freezer" or "blkio" or "pids" or "hugetlb" or "net_cls" or "net_prio" or "perf_event" or "rdma" or "misc";
}
