using System;
using System.Collections.Generic;
using System.IO;
using Runsc.Common;
using Runsc.Oci;

namespace Runsc.Container.Cgroups;

/// <summary>A group in the v2 hierarchy (Documentation/admin-guide/cgroup-v2.rst of Linux). Limits in v1's terms are translated as runc does.</summary>
internal sealed class ControlGroupV2(IReadOnlyDictionary<string, string> paths) : ControlGroup(paths)
{
    private const ulong DefaultPeriod = 100_000;

    private string Group => Paths[""];

    public override void Create()
    {
        MakeDirectory(Group);

        // Each group above hands its controllers down, as far as they go.
        List<string> above = [];
        for (string? up = Path.GetDirectoryName(Group); up is not null && File.Exists(Path.Combine(up, "cgroup.subtree_control")); up = Path.GetDirectoryName(up))
        {
            above.Insert(0, up);
        }

        foreach (string directory in above)
        {
            string present = TryRead(Path.Combine(directory, "cgroup.controllers")) ?? "";
            string enabled = " " + TryRead(Path.Combine(directory, "cgroup.subtree_control")) + " ";
            foreach (string controller in present.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                if (enabled.Contains($" {controller} ", StringComparison.Ordinal))
                {
                    continue;
                }

                try
                {
                    Write(Path.Combine(directory, "cgroup.subtree_control"), "+" + controller);
                }
                catch (RunscException error)
                {
                    // A group with processes of its own cannot; limits that need the controller fail by name.
                    Log.Debug($"{error.Message}");
                }
            }
        }
    }

    public override void Apply(ResourcesSpec resources)
    {
        if (resources.Devices is { Count: > 0 } devices)
        {
            DeviceProgram.Attach(Group, devices);
        }

        if (resources.Memory is MemorySpec memory)
        {
            ApplyMemory(memory);
        }

        if (resources.Cpu is CpuSpec cpu)
        {
            ApplyCpu(cpu);
        }

        if (resources.Pids?.Limit is long tasks)
        {
            Set("pids.max", ThreadLimit(tasks));
        }

        if (resources.BlockIO is BlockIoSpec io)
        {
            ApplyBlockIo(io);
        }

        foreach (HugepageSpec page in resources.HugepageLimits ?? [])
        {
            Set($"hugetlb.{page.PageSize}.max", Text(page.Limit));
        }

        foreach ((string device, RdmaSpec limit) in resources.Rdma ?? [])
        {
            Set("rdma.max", $"{device} hca_handle={limit.HcaHandles?.ToString() ?? "max"} hca_object={limit.HcaObjects?.ToString() ?? "max"}");
        }

        foreach ((string file, string value) in resources.Unified ?? [])
        {
            Set(file, value);
        }
    }

    private void ApplyMemory(MemorySpec memory)
    {
        if (memory.Limit is long limit and not 0)
        {
            Set("memory.max", Bytes(limit));
        }

        if (memory.Swap is long together and not 0)
        {
            // v1 counts memory and swap together, v2 swap alone.
            string? swap = together < 0 ? "max" : memory.Limit is long own and > 0 ? Text(together - own) : null;
            if (swap is not null && File.Exists(Path.Combine(Group, "memory.swap.max")))
            {
                Set("memory.swap.max", swap);
            }
        }

        if (memory.Reservation is long reservation and not 0)
        {
            Set("memory.low", Bytes(reservation));
        }
    }

    private void ApplyCpu(CpuSpec cpu)
    {
        if (cpu.Idle is long idle)
        {
            Set("cpu.idle", Text(idle));
        }

        if (cpu.Shares is ulong shares and > 0 && cpu.Idle is not 1)
        {
            Set("cpu.weight", Text(WeightOfShares(shares)));
        }

        if (cpu.Quota is not null || cpu.Period is not null)
        {
            string[] now = (TryRead(Path.Combine(Group, "cpu.max")) ?? "").Split(' ');
            string quota = cpu.Quota is long given ? given > 0 ? Text(given) : "max" : now[0].Length > 0 ? now[0] : "max";
            ulong period = cpu.Period is ulong long_ and > 0 ? long_ : now.Length > 1 ? ParseNumber(now[1]) : DefaultPeriod;
            Set("cpu.max", $"{quota} {period}");
        }

        if (cpu.Burst is ulong burst)
        {
            Set("cpu.max.burst", Text(burst));
        }

        if (!string.IsNullOrEmpty(cpu.Cpus))
        {
            Set("cpuset.cpus", cpu.Cpus);
        }

        if (!string.IsNullOrEmpty(cpu.Mems))
        {
            Set("cpuset.mems", cpu.Mems);
        }
    }

    /// <summary>Shares from 2 to 262144 become weights from 1 to 10000.</summary>
    internal static ulong WeightOfShares(ulong shares) => 1 + ((Math.Clamp(shares, 2, 262_144) - 2) * 9999 / 262_142);

    private void ApplyBlockIo(BlockIoSpec io)
    {
        if (io.Weight is ushort weight and > 0)
        {
            if (File.Exists(Path.Combine(Group, "io.bfq.weight")))
            {
                Set("io.bfq.weight", Text(weight));
            }
            else
            {
                // 10 to 1000 become 1 to 10000.
                Set("io.weight", "default " + Text(1 + ((weight - 10) * 9999 / 990)));
            }
        }

        foreach ((string key, List<ThrottleDeviceSpec>? list) in new[]
        {
            ("rbps", io.ThrottleReadBpsDevice), ("wbps", io.ThrottleWriteBpsDevice), ("riops", io.ThrottleReadIOPSDevice), ("wiops", io.ThrottleWriteIOPSDevice),
        })
        {
            foreach (ThrottleDeviceSpec device in list ?? [])
            {
                Set("io.max", $"{device.Major}:{device.Minor} {key}={device.Rate}");
            }
        }
    }

    private static string Bytes(long value) => value < 0 ? "max" : Text(value);

    private void Set(string file, string value) => Write(Path.Combine(Group, file), value);

    public override CgroupStats ReadStats()
    {
        CgroupStats stats = new();
        const ulong nanoseconds = 1000;
        Dictionary<string, ulong> cpu = ReadTable(Path.Combine(Group, "cpu.stat"));
        stats.CpuTotal = cpu.GetValueOrDefault("usage_usec") * nanoseconds;
        stats.CpuUser = cpu.GetValueOrDefault("user_usec") * nanoseconds;
        stats.CpuKernel = cpu.GetValueOrDefault("system_usec") * nanoseconds;
        stats.Periods = cpu.GetValueOrDefault("nr_periods");
        stats.ThrottledPeriods = cpu.GetValueOrDefault("nr_throttled");
        stats.ThrottledTime = cpu.GetValueOrDefault("throttled_usec") * nanoseconds;
        stats.MemoryRaw = ReadTable(Path.Combine(Group, "memory.stat"));
        stats.MemoryCache = stats.MemoryRaw.GetValueOrDefault("file");
        stats.Memory = new MemoryUsage(
            ReadNumber(Path.Combine(Group, "memory.max")), ReadNumber(Path.Combine(Group, "memory.current")), ReadNumber(Path.Combine(Group, "memory.peak")),
            ReadTable(Path.Combine(Group, "memory.events")).GetValueOrDefault("max"));
        stats.Swap = new MemoryUsage(
            ReadNumber(Path.Combine(Group, "memory.swap.max")), ReadNumber(Path.Combine(Group, "memory.swap.current")), 0,
            ReadTable(Path.Combine(Group, "memory.swap.events")).GetValueOrDefault("fail"));
        stats.PidsCurrent = ReadNumber(Path.Combine(Group, "pids.current"));
        ulong limit = ReadNumber(Path.Combine(Group, "pids.max"));
        stats.PidsLimit = limit == ulong.MaxValue ? 0 : limit;
        return stats;
    }

    public override long ReadOomKills() => (long)ReadTable(Path.Combine(Group, "memory.events")).GetValueOrDefault("oom_kill");

    public override long? ReadMemoryLimit()
    {
        ulong limit = ReadNumber(Path.Combine(Group, "memory.max"));
        return limit is 0 or > long.MaxValue ? null : (long)limit;
    }
}
