using System;
using System.Collections.Generic;
using System.Globalization;
using Runsc.Control;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Memory;

namespace Runsc.Boot;

/// <summary>What `ps` and `events` tell of the processes of a container.</summary>
internal static class ProcessList
{
    public static List<ProcessEntry> Of(SentryKernel kernel, ContainerHost container)
    {
        List<ProcessEntry> entries = [];
        foreach (ThreadGroup group in container.Processes())
        {
            if (group.IsZombie)
            {
                continue;
            }

            (long user, long system) = group.CpuTime;
            long age = Math.Max(kernel.Clock.Monotonic - group.StartTime, 1);
            entries.Add(new ProcessEntry
            {
                Uid = group.Credentials.EffectiveUid,
                Pid = group.Id,
                Ppid = group.Parent?.Id ?? 0,
                Pgid = group.ProcessGroup.Id,
                C = (int)Math.Clamp((double)(user + system) * 100 / age, 0, 99),
                Tty = group.Session.Terminal is IControllingTerminal terminal ? $"pts/{terminal.DeviceNumber & 0xff}" : "?",
                Stime = DateTime.Now.AddMilliseconds(-age / 1e6).ToString("HH:mm", CultureInfo.InvariantCulture),
                Time = string.Create(CultureInfo.InvariantCulture, $"{(user + system) / 1_000_000}ms"),
                Cmd = group.Leader.Name,
            });
        }

        return entries;
    }

    /// <summary>Processor time of the container and of the whole sandbox, tasks, memory.</summary>
    public static ControlAnswer Stats(SentryKernel kernel, ContainerHost container)
    {
        ControlAnswer answer = new() { Tasks = container.CountTasks(), Memory = (long)kernel.Memory.Used };
        if (kernel.AccountOf(container.Name) is { } account)
        {
            answer.Memory = account.Used * (long)MemoryFile.PageSize;
            answer.MemoryPeak = account.Peak * (long)MemoryFile.PageSize;
            answer.MemoryLimit = account.Limit == long.MaxValue ? 0 : account.Limit * (long)MemoryFile.PageSize;
        }

        foreach (ThreadGroup group in kernel.SnapshotGroups())
        {
            (long user, long system) = group.CpuTime;
            answer.SandboxCpuTime += user + system;
            answer.CpuTime += group.Home == container.Name ? user + system : 0;
        }

        return answer;
    }
}
