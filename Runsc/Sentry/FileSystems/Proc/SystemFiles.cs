using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>Texts of the files in /proc that tell of the whole system (proc(5)).</summary>
internal sealed class SystemFiles(SentryKernel kernel)
{
    public string CommandLine() => "BOOT_IMAGE=/vmlinuz-runsc quiet\n";

    public string Version() => $"Linux version {SentryKernel.Release} (runsc) {SentryKernel.Version}\n";

    public string Uptime(ICaller caller)
    {
        double uptime = UptimeOf(caller) / 1e9;
        (long busy, _) = ProcessorTime();
        double idle = Math.Max((uptime * kernel.Processors) - (busy / 1e9), 0);
        return string.Create(CultureInfo.InvariantCulture, $"{uptime:F2} {idle:F2}\n");
    }

    // Of the reader's time namespace.
    private long UptimeOf(ICaller caller) => kernel.Clock.Monotonic - ((caller as Task)?.BootPoint ?? kernel.BootTime);

    public string LoadAverage()
    {
        int running = 0, total = 0, last = 0;
        lock (kernel.TaskLock)
        {
            foreach (Task task in kernel.SnapshotTasksLocked())
            {
                total++;
                last = Math.Max(last, task.ThreadId);
                running += !task.HasExited && !task.IsSleeping && !task.IsStopped ? 1 : 0;
            }
        }

        // The host schedules: there is no average of our own to tell.
        return string.Create(CultureInfo.InvariantCulture, $"0.00 0.00 0.00 {running}/{total} {last}\n");
    }

    public string MemoryInfo()
    {
        ulong total = kernel.TotalMemory >> 10, free = kernel.FreeMemory >> 10;
        StringBuilder text = new();
        (string Name, ulong Value)[] lines =
        [
            ("MemTotal", total), ("MemFree", free), ("MemAvailable", free), ("Buffers", 0), ("Cached", 0), ("SwapCached", 0), ("Active", total - free),
            ("Inactive", 0), ("Active(anon)", total - free), ("Inactive(anon)", 0), ("Active(file)", 0), ("Inactive(file)", 0), ("Unevictable", 0), ("Mlocked", 0),
            ("SwapTotal", 0), ("SwapFree", 0), ("Dirty", 0), ("Writeback", 0), ("AnonPages", total - free), ("Mapped", 0), ("Shmem", 0), ("KReclaimable", 0), ("Slab", 0),
            ("SReclaimable", 0), ("SUnreclaim", 0), ("CommitLimit", total), ("Committed_AS", total - free), ("VmallocTotal", 34359738367), ("VmallocUsed", 0),
        ];
        foreach ((string name, ulong value) in lines)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name + ":",-16}{value,8} kB\n");
        }

        return text.Append("HugePages_Total:       0\nHugePages_Free:        0\nHugePages_Rsvd:        0\nHugePages_Surp:        0\nHugepagesize:       2048 kB\n").ToString();
    }

    public string CpuInfo()
    {
        StringBuilder text = new();
        for (int cpu = 0; cpu < kernel.Processors; cpu++)
        {
            ProcessorDescription.Append(text, cpu, kernel.Processors, kernel.Platform.TscKilohertz);
        }

        return text.ToString();
    }

    public string Stat(ICaller caller)
    {
        (long user, long system) = ProcessorTime();
        long uptime = UptimeOf(caller), idle = Math.Max((uptime * kernel.Processors) - user - system, 0);
        StringBuilder text = new();
        Line("cpu ", 1);
        for (int cpu = 0; cpu < kernel.Processors; cpu++)
        {
            Line($"cpu{cpu}", kernel.Processors);
        }

        int running = 0, last = 0;
        lock (kernel.TaskLock)
        {
            foreach (Task task in kernel.SnapshotTasksLocked())
            {
                last = Math.Max(last, task.ThreadId);
                running += !task.HasExited && !task.IsSleeping && !task.IsStopped ? 1 : 0;
            }
        }

        long boot = (kernel.Clock.Realtime - uptime) / ClockMath.Second;
        return text.Append(
            CultureInfo.InvariantCulture, $"intr 0\nctxt 0\nbtime {boot}\nprocesses {last}\nprocs_running {running}\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n").ToString();

        void Line(string name, int divisor) => text.Append(
            CultureInfo.InvariantCulture,
            $"{name} {user / divisor / ClockMath.NanosecondsPerTick} 0 {system / divisor / ClockMath.NanosecondsPerTick} {idle / divisor / ClockMath.NanosecondsPerTick} 0 0 0 0 0 0\n");
    }

    public string VmStat() => string.Create(CultureInfo.InvariantCulture, $"nr_free_pages {kernel.FreeMemory >> 12}\npgpgin 0\npgpgout 0\npswpin 0\npswpout 0\npgfault 0\npgmajfault 0\noom_kill 0\n");

    public string FileSystems()
    {
        StringBuilder text = new();
        foreach (string type in new SortedSet<string>(kernel.FileSystemTypes.Keys, StringComparer.Ordinal))
        {
            text.Append(CultureInfo.InvariantCulture, $"nodev\t{type}\n");
        }

        return text.ToString();
    }

    // Of all processes that are there: those that were reaped are in their parents' sums.
    private (long User, long System) ProcessorTime()
    {
        long user = 0, system = 0;
        foreach (ThreadGroup group in kernel.SnapshotGroups())
        {
            (long u, long s) = group.CpuTime;
            lock (kernel.TaskLock)
            {
                (long childUser, long childSystem) = group.ChildrenTime;
                user += u + childUser;
                system += s + childSystem;
            }
        }

        return (user, system);
    }
}
