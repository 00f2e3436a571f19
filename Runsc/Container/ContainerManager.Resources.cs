using System.Collections.Generic;
using Runsc.Common;
using Runsc.Container.Cgroups;
using Runsc.Container.Namespaces;
using Runsc.Container.Systemd;
using Runsc.Control;
using Runsc.Oci;

namespace Runsc.Container;

/// <summary>Limits and figures: from the control group on the host, and from the application kernel where only that knows.</summary>
internal sealed partial class ContainerManager
{
    /// <summary>update: new limits; what is not given stays.</summary>
    public void Update(string id, ResourcesSpec change)
    {
        ContainerState state = _states.Load(id);
        using FileLock held = _states.Lock(state.Id);
        state = _states.Load(state.Id);
        if (state.Status is not ("created" or "running" or "paused"))
        {
            throw new RunscException($"cannot update container \"{state.Id}\": container not running");
        }

        // Devices are those of the creation: an update does not name them.
        change.Devices = null;
        ControlGroup? group = state.IsFirst ? GroupOfSandbox(state) : ControlGroup.Load(state.CgroupPaths);
        group?.Apply(change);
        if (config.SystemdCgroup && group is not null && RootlessIds.IsHostRoot())
        {
            new SystemdScope().Update(SystemdPath.Parse(state.Spec?.Linux?.CgroupsPath, state.Id).Unit, change, group is ControlGroupV2);
        }

        if (group is null && !config.IgnoreCgroups && !config.Rootless)
        {
            throw new RunscException($"container \"{state.Id}\" has no control group");
        }

        if (change.Pids?.Limit is long tasks)
        {
            Call(state, new ControlRequest { Command = "limit", Size = tasks });
        }

        if (change.Memory?.Limit is not null && state.IsFirst && group is not null)
        {
            Call(state, new ControlRequest { Command = "memory", Size = (long)Launcher.MemoryOf(group) });
        }

        if (change.Memory?.Limit is long bytes && !state.IsFirst)
        {
            Call(state, new ControlRequest { Command = "memory", Size = bytes > 0 ? bytes : long.MaxValue });
        }
    }

    /// <summary>Figures of the container. Of a pod's processor time, the group's total is split by what the application kernel has counted.</summary>
    public CgroupStats ReadStats(string id)
    {
        ContainerState state = RunningState(id);
        ControlAnswer inside = Call(state, new ControlRequest { Command = "stats" });
        CgroupStats stats = GroupOfSandbox(state)?.ReadStats() ?? new CgroupStats { CpuTotal = (ulong)inside.CpuTime, Memory = new MemoryUsage(0, (ulong)inside.Memory, 0, 0) };
        stats.PidsCurrent = (ulong)inside.Tasks;
        stats.PidsLimit = (ulong)System.Math.Max(state.Spec?.Linux?.Resources?.Pids?.Limit ?? 0, 0);
        if (!state.IsFirst)
        {
            // The group's figures are of the whole pod.
            stats.Memory = new MemoryUsage(inside.MemoryLimit > 0 ? (ulong)inside.MemoryLimit : stats.Memory.Limit, (ulong)inside.Memory, (ulong)inside.MemoryPeak, 0);
            stats.MemoryCache = 0;
            stats.MemoryRaw = new() { ["rss"] = (ulong)inside.Memory, ["total_rss"] = (ulong)inside.Memory, ["anon"] = (ulong)inside.Memory };
        }

        if (inside.SandboxCpuTime > 0 && inside.CpuTime != inside.SandboxCpuTime)
        {
            stats.ShareCpu((double)inside.CpuTime / inside.SandboxCpuTime);
        }

        inside.Interfaces?.ForEach(one => stats.Interfaces.Add(
            new InterfaceStats(one.Name, one.RxBytes, one.RxPackets, one.RxErrors, one.RxDropped, one.TxBytes, one.TxPackets, one.TxErrors, one.TxDropped)));
        return stats;
    }

    public long ReadOomKills(ContainerState state) =>
        (GroupOfSandbox(state)?.ReadOomKills() ?? 0) + (state.IsFirst ? 0 : (long)ControlGroup.ReadTable(_states.MemoryEventsOf(state.Id)).GetValueOrDefault("oom_kill"));

    /// <summary>The group that the Sentry is in.</summary>
    private ControlGroup? GroupOfSandbox(ContainerState state) => ControlGroup.Load(_states.TryReadSandbox(state.Sandbox)?.CgroupPaths ?? state.CgroupPaths);
}
