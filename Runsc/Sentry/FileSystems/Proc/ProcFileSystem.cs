using System;
using System.Globalization;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>proc(5): the files of the whole system, and the directories of processes.</summary>
internal static class ProcFileSystem
{
    /// <param name="kernel">Whose tasks are shown.</param>
    /// <param name="container">The container of those tasks, for each has process ids of its own.</param>
    public static SuperBlock Create(SentryKernel kernel, string container = "")
    {
        long now = kernel.Clock.Realtime;
        PseudoSuperBlock super = new("proc", Stat.PROC_SUPER_MAGIC)
        {
            Device = kernel.NewDevice(),
            Created = new FileTime(now / ClockMath.Second, (uint)(now % ClockMath.Second)),
        };
        SystemFiles files = new(kernel);
        ProcRoot root = new(super, kernel, container);
        root.Add("cmdline", Text(files.CommandLine))
            .Add("cpuinfo", Text(files.CpuInfo))
            .Add("devices", Text(() => "Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n136 pts\n\nBlock devices:\n"))
            .Add("filesystems", Text(files.FileSystems))
            .Add("interrupts", Text(() => "\n"))
            .Add("kallsyms", Text(() => ""))
            .Add("loadavg", Text(files.LoadAverage))
            .Add("meminfo", Text(files.MemoryInfo))
            .Add("modules", Text(() => ""))
            .Add("partitions", Text(() => "major minor  #blocks  name\n\n"))
            .Add("stat", new PseudoTextFile(super, files.Stat))
            .Add("swaps", Text(() => "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"))
            .Add("uptime", new PseudoTextFile(super, files.Uptime))
            .Add("version", Text(files.Version))
            .Add("vmstat", Text(files.VmStat))
            .Add("zoneinfo", Text(() => ""))
            .Add("diskstats", Text(() => ""))
            .Add("cgroups", Text(() => "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"))
            .Add("mounts", new PseudoSymlink(super, "self/mounts"))
            .Add("net", new PseudoSymlink(super, "self/net"))
            .Add("self", new PseudoSymlink(super, caller => caller is Task task ? Number(task.ProcessId) : ""))
            .Add("thread-self", new PseudoSymlink(super, caller => caller is Task task ? $"{task.ProcessId}/task/{task.ThreadId}" : ""))
            .Add("sys", SysctlTree.Create(super, kernel))
            .Add("irq", new PseudoDirectory(super))
            .Add("bus", new PseudoDirectory(super))
            .Add("fs", new PseudoDirectory(super))
            .Add("driver", new PseudoDirectory(super))
            .Add("sysvipc", SysvIpcFiles.Create(super));
        super.SetRoot(root);
        return super;

        PseudoTextFile Text(Func<string> text) => new(super, text);
    }

    private static string Number(int value) => value.ToString(CultureInfo.InvariantCulture);
}

/// <summary>The root: fixed files, and one directory for each process.</summary>
internal sealed class ProcRoot(PseudoSuperBlock super, SentryKernel kernel, string container) : PseudoDirectory(super)
{
    private readonly PseudoSuperBlock _super = super;

    /// <summary>Processes come and go by themselves.</summary>
    public override bool CachesChildren => false;

    protected override Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        if (!TryParse(name, out int id))
        {
            return Errno.ENOENT;
        }

        Task? task;
        lock (kernel.TaskLock)
        {
            // Threads are found by their number too, although they are not listed.
            task = kernel.FindTaskLocked(id, container);
        }

        if (task is null)
        {
            return Errno.ENOENT;
        }

        child = new TaskDirectory(_super, task, isProcess: true);
        return Errno.None;
    }

    internal static bool TryParse(ReadOnlySpan<byte> name, out int id)
    {
        id = 0;
        if (name.IsEmpty || name.Length > 9 || name[0] == (byte)'0')
        {
            return false;
        }

        foreach (byte c in name)
        {
            if (c is < (byte)'0' or > (byte)'9')
            {
                return false;
            }

            id = (id * 10) + (c - '0');
        }

        return true;
    }

    protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit)
    {
        foreach (ThreadGroup group in kernel.SnapshotGroups(container))
        {
            if (group.Id >= from && !visit(group.Id, group.Id.ToString(CultureInfo.InvariantCulture), TaskDirectory.NumberOf(group.Id, 0), (byte)Dirent.DT_DIR))
            {
                return;
            }
        }
    }
}
