using System;
using System.Collections.Generic;
using System.IO;
using Runsc.Common;
using Runsc.Oci;

namespace Runsc.Container.Cgroups;

/// <summary>A group in the v1 hierarchies (Documentation/admin-guide/cgroup-v1 of Linux).</summary>
internal sealed class ControlGroupV1(IReadOnlyDictionary<string, string> paths) : ControlGroup(paths)
{
    // What the kernel says for "no limit": the largest multiple of a page.
    private const ulong NoLimit = 0x7ffffffffffff000;

    private const long LargestShares = 262_144, SmallestShares = 2;

    public override void Create()
    {
        foreach (string directory in Directories())
        {
            MakeDirectory(directory);
        }

        if (Paths.TryGetValue("cpuset", out string? cpuset))
        {
            InheritCpuset(cpuset);
        }
    }

    /// <summary>A new cpuset is empty, and takes no process until it has processors and memory nodes: those of the group above.</summary>
    private static void InheritCpuset(string directory)
    {
        foreach (string file in (string[])["cpuset.cpus", "cpuset.mems"])
        {
            string own = Path.Combine(directory, file);
            if (TryRead(own) is not { Length: 0 } || Path.GetDirectoryName(directory) is not string parent || !File.Exists(Path.Combine(parent, file)))
            {
                continue;
            }

            InheritCpuset(parent);
            Write(own, TryRead(Path.Combine(parent, file)) ?? "");
        }
    }

    public override void Apply(ResourcesSpec resources)
    {
        ApplyDevices(resources.Devices ?? []);
        ApplyMemory(resources.Memory);
        ApplyCpu(resources.Cpu);
        if (resources.Pids?.Limit is long tasks)
        {
            Set("pids", "pids.max", ThreadLimit(tasks));
        }

        ApplyBlockIo(resources.BlockIO);
        foreach (HugepageSpec page in resources.HugepageLimits ?? [])
        {
            Set("hugetlb", $"hugetlb.{page.PageSize}.limit_in_bytes", Text(page.Limit));
        }

        Set("net_cls", "net_cls.classid", resources.Network?.ClassID);
        foreach (InterfacePrioritySpec priority in resources.Network?.Priorities ?? [])
        {
            Set("net_prio", "net_prio.ifpriomap", $"{priority.Name} {priority.Priority}");
        }

        foreach ((string device, RdmaSpec limit) in resources.Rdma ?? [])
        {
            Set("rdma", "rdma.max", $"{device} hca_handle={Limit(limit.HcaHandles)} hca_object={Limit(limit.HcaObjects)}");
        }

        if (resources.Unified is { Count: > 0 })
        {
            throw new RunscException("linux.resources: unified is for cgroup v2; this host has v1");
        }
    }

    private void ApplyDevices(List<DeviceRuleSpec> rules)
    {
        foreach (DeviceRule rule in rules.Count > 0 ? DeviceRule.All(rules) : [])
        {
            Set("devices", rule.Allow ? "devices.allow" : "devices.deny", rule.ToString());
        }
    }

    private void ApplyMemory(MemorySpec? memory)
    {
        if (memory is null)
        {
            return;
        }

        // Memory and swap together are never below memory alone: which is set first depends on the direction.
        ulong current = Paths.TryGetValue("memory", out string? directory) ? ReadNumber(Path.Combine(directory, "memory.memsw.limit_in_bytes")) : 0;
        bool rises = memory.Swap is long together && (together < 0 || (ulong)together > current);
        if (rises && current != 0)
        {
            Set("memory", "memory.memsw.limit_in_bytes", memory.Swap);
        }

        Set("memory", "memory.limit_in_bytes", memory.Limit is 0 ? null : memory.Limit);
        if (!rises && memory.Swap is not null and not 0 && current != 0)
        {
            Set("memory", "memory.memsw.limit_in_bytes", memory.Swap);
        }

        Set("memory", "memory.soft_limit_in_bytes", memory.Reservation is 0 ? null : memory.Reservation);
        Set("memory", "memory.kmem.tcp.limit_in_bytes", memory.KernelTCP is 0 ? null : memory.KernelTCP);
        if (memory.Swappiness is ulong swappiness and <= 100)
        {
            Set("memory", "memory.swappiness", Text(swappiness));
        }

        if (memory.DisableOOMKiller == true)
        {
            Set("memory", "memory.oom_control", "1");
        }
    }

    private void ApplyCpu(CpuSpec? cpu)
    {
        if (cpu is null)
        {
            return;
        }

        if (cpu.Shares is ulong shares and > 0)
        {
            Set("cpu", "cpu.shares", Text(Math.Clamp((long)Math.Min(shares, long.MaxValue), SmallestShares, LargestShares)));
        }

        // As with memory: a quota may not fit the other period.
        Set("cpu", "cpu.cfs_period_us", cpu.Period is 0 ? null : cpu.Period);
        Set("cpu", "cpu.cfs_quota_us", cpu.Quota is 0 ? null : cpu.Quota);
        Set("cpu", "cpu.cfs_burst_us", cpu.Burst);
        Set("cpu", "cpu.rt_period_us", cpu.RealtimePeriod is 0 ? null : cpu.RealtimePeriod);
        Set("cpu", "cpu.rt_runtime_us", cpu.RealtimeRuntime is 0 ? null : cpu.RealtimeRuntime);
        Set("cpu", "cpu.idle", cpu.Idle);
        Set("cpuset", "cpuset.cpus", string.IsNullOrEmpty(cpu.Cpus) ? null : cpu.Cpus);
        Set("cpuset", "cpuset.mems", string.IsNullOrEmpty(cpu.Mems) ? null : cpu.Mems);
    }

    private void ApplyBlockIo(BlockIoSpec? io)
    {
        if (io is null)
        {
            return;
        }

        // The file depends on the host's I/O scheduler.
        string weight = Paths.TryGetValue("blkio", out string? directory) && File.Exists(Path.Combine(directory, "blkio.bfq.weight")) ? "blkio.bfq.weight" : "blkio.weight";
        Set("blkio", weight, io.Weight is 0 ? null : io.Weight);
        Set("blkio", "blkio.leaf_weight", io.LeafWeight is 0 ? null : io.LeafWeight);
        foreach (WeightDeviceSpec device in io.WeightDevice ?? [])
        {
            Set("blkio", weight + "_device", device.Weight is ushort one ? $"{device.Major}:{device.Minor} {one}" : null);
            Set("blkio", "blkio.leaf_weight_device", device.LeafWeight is ushort leaf ? $"{device.Major}:{device.Minor} {leaf}" : null);
        }

        foreach ((string file, List<ThrottleDeviceSpec>? list) in new[]
        {
            ("blkio.throttle.read_bps_device", io.ThrottleReadBpsDevice), ("blkio.throttle.write_bps_device", io.ThrottleWriteBpsDevice),
            ("blkio.throttle.read_iops_device", io.ThrottleReadIOPSDevice), ("blkio.throttle.write_iops_device", io.ThrottleWriteIOPSDevice),
        })
        {
            foreach (ThrottleDeviceSpec device in list ?? [])
            {
                Set("blkio", file, $"{device.Major}:{device.Minor} {device.Rate}");
            }
        }
    }

    private static string Limit(uint? value) => value is uint number ? Text(number) : "max";

    private void Set(string controller, string file, IFormattable? value) => Set(controller, file, value is null ? null : Text(value));

    private void Set(string controller, string file, string? value)
    {
        if (value is null)
        {
            return;
        }

        if (!Paths.TryGetValue(controller, out string? directory))
        {
            // runc goes on too where the host lacks the controller of a limit that Docker always sets.
            Log.Warning($"the host has no cgroup controller {controller}: {file}={value} has no effect");
            return;
        }

        Write(Path.Combine(directory, file), value);
    }

    public override CgroupStats ReadStats()
    {
        CgroupStats stats = new();
        if (Paths.TryGetValue("cpuacct", out string? account))
        {
            stats.CpuTotal = ReadNumber(Path.Combine(account, "cpuacct.usage"));
            foreach (string word in (TryRead(Path.Combine(account, "cpuacct.usage_percpu")) ?? "").Split(' ', StringSplitOptions.RemoveEmptyEntries))
            {
                stats.CpuOfEach.Add(ParseNumber(word));
            }

            const ulong nanosecondsOfTick = 10_000_000;
            Dictionary<string, ulong> split = ReadTable(Path.Combine(account, "cpuacct.stat"));
            stats.CpuUser = split.GetValueOrDefault("user") * nanosecondsOfTick;
            stats.CpuKernel = split.GetValueOrDefault("system") * nanosecondsOfTick;
        }

        if (Paths.TryGetValue("cpu", out string? cpu))
        {
            Dictionary<string, ulong> throttling = ReadTable(Path.Combine(cpu, "cpu.stat"));
            stats.Periods = throttling.GetValueOrDefault("nr_periods");
            stats.ThrottledPeriods = throttling.GetValueOrDefault("nr_throttled");
            stats.ThrottledTime = throttling.GetValueOrDefault("throttled_time");
        }

        if (Paths.TryGetValue("memory", out string? memory))
        {
            stats.MemoryRaw = ReadTable(Path.Combine(memory, "memory.stat"));
            stats.MemoryCache = stats.MemoryRaw.GetValueOrDefault("cache");
            stats.Memory = Usage(memory, "memory.");
            stats.Swap = Usage(memory, "memory.memsw.");
            stats.Kernel = Usage(memory, "memory.kmem.");
            stats.KernelTcp = Usage(memory, "memory.kmem.tcp.");
        }

        if (Paths.TryGetValue("pids", out string? pids))
        {
            stats.PidsCurrent = ReadNumber(Path.Combine(pids, "pids.current"));
            ulong limit = ReadNumber(Path.Combine(pids, "pids.max"));
            stats.PidsLimit = limit == ulong.MaxValue ? 0 : limit;
        }

        if (Paths.TryGetValue("blkio", out string? blkio))
        {
            stats.ReadBlockIo("io_service_bytes_recursive", TryRead(Path.Combine(blkio, "blkio.throttle.io_service_bytes_recursive")));
            stats.ReadBlockIo("io_serviced_recursive", TryRead(Path.Combine(blkio, "blkio.throttle.io_serviced_recursive")));
        }

        return stats;
    }

    private static MemoryUsage Usage(string directory, string prefix) => new(
        ReadNumber(Path.Combine(directory, prefix + "limit_in_bytes")), ReadNumber(Path.Combine(directory, prefix + "usage_in_bytes")),
        ReadNumber(Path.Combine(directory, prefix + "max_usage_in_bytes")), ReadNumber(Path.Combine(directory, prefix + "failcnt")));

    public override long ReadOomKills() =>
        Paths.TryGetValue("memory", out string? memory) ? (long)ReadTable(Path.Combine(memory, "memory.oom_control")).GetValueOrDefault("oom_kill") : 0;

    public override long? ReadMemoryLimit()
    {
        ulong limit = Paths.TryGetValue("memory", out string? memory) ? ReadNumber(Path.Combine(memory, "memory.limit_in_bytes")) : 0;
        return limit is 0 or >= NoLimit ? null : (long)limit;
    }
}
