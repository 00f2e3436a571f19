using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>Texts of the files about a task (proc(5)).</summary>
internal static class TaskFiles
{
    private static readonly (string Name, string Unit)[] s_limits =
    [
        ("Max cpu time", "seconds"), ("Max file size", "bytes"), ("Max data size", "bytes"), ("Max stack size", "bytes"), ("Max core file size", "bytes"),
        ("Max resident set", "bytes"), ("Max processes", "processes"), ("Max open files", "files"), ("Max locked memory", "bytes"), ("Max address space", "bytes"),
        ("Max file locks", "locks"), ("Max pending signals", "signals"), ("Max msgqueue size", "bytes"), ("Max nice priority", ""), ("Max realtime priority", ""),
        ("Max realtime timeout", "us"),
    ];

    private static char StateOf(Task task) => task.HasExited ? 'Z' : task.IsTraceStopped ? 't' : task.IsStopped ? 'T' : task.IsSleeping ? 'S' : 'R';

    /// <summary>The task's address space with a user for the reader; null when it has none any more.</summary>
    private static MemoryManager? Take(Task task)
    {
        MemoryManager memory = task.Memory;
        return !task.HasExited && memory.TryIncUsers() ? memory : null;
    }

    public static Errno Stat(Task task, bool wholeProcess, StringBuilder text)
    {
        ThreadGroup group = task.ThreadGroup;
        MemoryManager? memory = Take(task);
        int parent, processGroup, session, threads, foreground = -1;
        ulong terminal = 0, ignored = 0, caught = 0;
        long user, system, childUser, childSystem, minor = 0;
        lock (task.Kernel.TaskLock)
        {
            parent = group.Parent?.Id ?? 0;
            processGroup = group.ProcessGroup.Id;
            session = group.Session.Id;
            threads = group.LiveCountLocked();
            if (group.TerminalLocked is IControllingTerminal tty)
            {
                terminal = tty.DeviceNumber;
                foreground = tty.ForegroundGroup?.Id ?? -1;
            }

            (user, system) = wholeProcess ? group.CpuTimeLocked() : task.CpuTime;
            (childUser, childSystem) = group.ChildrenTime;
            CollectHandlersLocked(group, ref ignored, ref caught);
            foreach (Task thread in group.Tasks)
            {
                minor += thread.MinorFaults;
            }
        }

        (ulong own, ulong shared) = task.PendingSignals;
        long start = (task.StartTime - task.BootPoint) / ClockMath.NanosecondsPerTick;
        const long tick = ClockMath.NanosecondsPerTick;
        int priority = task.SchedulingPolicy is Sched.SCHED_FIFO or Sched.SCHED_RR ? -1 - task.SchedulingPriority : 20 + task.Nice;
        text.Append(
            CultureInfo.InvariantCulture,
            $"{task.ThreadId} ({task.Name}) {StateOf(task)} {parent} {processGroup} {session} {terminal} {foreground} 4194304 {minor} 0 0 0 "
            + $"{user / tick} {system / tick} {childUser / tick} {childSystem / tick} {priority} {task.Nice} {Math.Max(threads, 1)} 0 {start} "
            + $"{memory?.MappedBytes ?? 0} {(memory?.ResidentBytes ?? 0) >> 12} 18446744073709551615 {memory?.CodeStart ?? 0} {memory?.CodeEnd ?? 0} {memory?.StackStart ?? 0} 0 0 "
            + $"{own | shared} {task.SignalMask} {ignored} {caught} 0 0 0 {group.ExitSignal} {task.Cpu} {task.SchedulingPriority} {task.SchedulingPolicy} 0 0 0 0 0 "
            + $"{memory?.Heap.Start ?? 0} {memory?.ArgumentStart ?? 0} {memory?.ArgumentEnd ?? 0} {memory?.EnvironmentStart ?? 0} {memory?.EnvironmentEnd ?? 0} {(task.HasExited ? group.ExitStatus : 0)}\n");
        memory?.DecUsers();
        return Errno.None;
    }

    private static void CollectHandlersLocked(ThreadGroup group, ref ulong ignored, ref ulong caught)
    {
        for (int signal = 1; signal <= 64; signal++)
        {
            ulong handler = group.Actions[signal].Handler;
            ignored |= handler == SignalAction.SIG_IGN ? SignalQueue.Bit(signal) : 0;
            caught |= handler > SignalAction.SIG_IGN ? SignalQueue.Bit(signal) : 0;
        }
    }

    public static Errno TimeOffsets(Task task, ICaller caller, StringBuilder text)
    {
        foreach ((string clock, long offset) in new[] { ("monotonic", task.TimeOffsets.Monotonic), ("boottime", task.TimeOffsets.BootTime) })
        {
            long seconds = Math.DivRem(offset, ClockMath.Second, out long rest);
            text.Append(CultureInfo.InvariantCulture, $"{clock,-10} {(rest < 0 ? seconds - 1 : seconds),10} {(rest < 0 ? rest + ClockMath.Second : rest),9}\n");
        }

        return Errno.None;
    }

    public static Errno StatM(Task task, ICaller caller, StringBuilder text)
    {
        MemoryManager? memory = Take(task);
        ulong size = (memory?.MappedBytes ?? 0) >> 12, resident = (memory?.ResidentBytes ?? 0) >> 12;
        ulong code = memory is null ? 0 : (memory.CodeEnd - memory.CodeStart) >> 12;
        memory?.DecUsers();
        text.Append(CultureInfo.InvariantCulture, $"{size} {resident} 0 {code} 0 {size} 0\n");
        return Errno.None;
    }

    public static Errno Status(Task task, ICaller caller, StringBuilder text)
    {
        ThreadGroup group = task.ThreadGroup;
        Credentials c = task.Credentials;
        int parent, threads, tracer;
        ulong ignored = 0, caught = 0;
        lock (task.Kernel.TaskLock)
        {
            tracer = task.Tracer?.ThreadId ?? 0;
            parent = group.Parent?.Id ?? 0;
            threads = group.LiveCountLocked();
            CollectHandlersLocked(group, ref ignored, ref caught);
        }

        (ulong own, ulong shared) = task.PendingSignals;
        IdMap uids = caller.Credentials.UserNamespace.Uids, gids = caller.Credentials.UserNamespace.Gids;
        char state = StateOf(task);
        string stateName = state switch { 'Z' => "zombie", 't' => "tracing stop", 'T' => "stopped", 'S' => "sleeping", _ => "running" };
        text.Append(
            CultureInfo.InvariantCulture,
            $"Name:\t{task.Name}\nUmask:\t{Convert.ToString(task.HasExited ? 0x12 : task.Fs.Umask, 8).PadLeft(4, '0')}\nState:\t{state} ({stateName})\nTgid:\t{group.Id}\nNgid:\t0\nPid:\t{task.ThreadId}\nPPid:\t{parent}\nTracerPid:\t{tracer}\n"
            + $"Uid:\t{uids.Shown(c.RealUid)}\t{uids.Shown(c.EffectiveUid)}\t{uids.Shown(c.SavedUid)}\t{uids.Shown(c.FsUid)}\nGid:\t{gids.Shown(c.RealGid)}\t{gids.Shown(c.EffectiveGid)}\t{gids.Shown(c.SavedGid)}\t{gids.Shown(c.FsGid)}\nFDSize:\t{task.Files.Capacity}\nGroups:\t");
        foreach (uint gid in c.Groups)
        {
            text.Append(CultureInfo.InvariantCulture, $"{gids.Shown(gid)} ");
        }

        text.Append(CultureInfo.InvariantCulture, $"\nNStgid:\t{group.Id}\nNSpid:\t{task.ThreadId}\nNSpgid:\t{group.ProcessGroup.Id}\nNSsid:\t{group.Session.Id}\n");
        if (Take(task) is MemoryManager memory)
        {
            ulong size = memory.MappedBytes >> 10, resident = memory.ResidentBytes >> 10;
            text.Append(
                CultureInfo.InvariantCulture,
                $"VmPeak:\t{size,8} kB\nVmSize:\t{size,8} kB\nVmLck:\t{memory.LockedBytes >> 10,8} kB\nVmPin:\t       0 kB\nVmHWM:\t{memory.PeakResidentBytes >> 10,8} kB\nVmRSS:\t{resident,8} kB\n"
                + $"RssAnon:\t{resident,8} kB\nRssFile:\t       0 kB\nRssShmem:\t       0 kB\nVmData:\t{size,8} kB\nVmStk:\t     132 kB\nVmExe:\t{(memory.CodeEnd - memory.CodeStart) >> 10,8} kB\nVmLib:\t       0 kB\nVmPTE:\t      40 kB\nVmSwap:\t       0 kB\n");
            memory.DecUsers();
        }

        ulong processors = task.Affinity & task.Kernel.AllProcessors;
        text.Append(
            CultureInfo.InvariantCulture,
            $"CoreDumping:\t0\nTHP_enabled:\t{(group.HugePagesDisabled ? 0 : 1)}\nThreads:\t{Math.Max(threads, 1)}\nSigQ:\t0/{group.Limit(Resource.RLIMIT_SIGPENDING)}\nSigPnd:\t{own:x16}\nShdPnd:\t{shared:x16}\nSigBlk:\t{task.SignalMask:x16}\nSigIgn:\t{ignored:x16}\nSigCgt:\t{caught:x16}\n"
            + $"CapInh:\t{c.Inheritable:x16}\nCapPrm:\t{c.Permitted:x16}\nCapEff:\t{c.Effective:x16}\nCapBnd:\t{c.Bounding:x16}\nCapAmb:\t{c.Ambient:x16}\nNoNewPrivs:\t{(c.NoNewPrivileges ? 1 : 0)}\nSeccomp:\t{task.SeccompMode}\nSeccomp_filters:\t{task.Seccomp?.Count ?? 0}\n"
            + $"Cpus_allowed:\t{processors:x}\nCpus_allowed_list:\t{CpuList.Format(processors)}\nMems_allowed:\t1\nMems_allowed_list:\t0\n"
            + $"voluntary_ctxt_switches:\t{task.VoluntarySwitches}\nnonvoluntary_ctxt_switches:\t{task.InvoluntarySwitches}\n");
        return Errno.None;
    }

    public static Errno CommandLine(Task task, ICaller caller, StringBuilder text) => CopyStrings(task, ArgumentsOf, text);

    // A program that writes over the last byte has put a title there, of one line, which may go on into the environment (Linux: get_mm_cmdline).
    private static (ulong Start, ulong End) ArgumentsOf(MemoryManager memory)
    {
        const int longest = 4096;
        (ulong start, ulong end) = (memory.ArgumentStart, memory.ArgumentEnd);
        Span<byte> last = stackalloc byte[1];
        if (start >= end || memory.EnvironmentStart != end || memory.CopyIn(end - 1, last) != 1 || last[0] == 0)
        {
            return (start, Math.Max(start, end));
        }

        Span<byte> title = stackalloc byte[longest];
        title = title[..(int)Math.Min(longest, Math.Max(memory.EnvironmentEnd, end) - start)];
        title = title[..(int)Math.Max(memory.CopyIn(start, title), 0)];
        int zero = title.IndexOf((byte)0);
        return (start, start + (ulong)(zero >= 0 ? zero + 1 : title.Length));
    }

    public static Errno Environment(Task task, ICaller caller, StringBuilder text)
    {
        Errno error = TaskFile.CheckAccess(caller, task);
        return error != Errno.None ? error : CopyStrings(task, memory => (memory.EnvironmentStart, memory.EnvironmentEnd), text);
    }

    private static Errno CopyStrings(Task task, Func<MemoryManager, (ulong Start, ulong End)> range, StringBuilder text)
    {
        if (Take(task) is not MemoryManager memory)
        {
            return Errno.None;
        }

        (ulong start, ulong end) = range(memory);
        byte[] bytes = new byte[Math.Min(end - start, 1 << 20)];
        long n = memory.CopyIn(start, bytes);
        memory.DecUsers();
        if (n > 0)
        {
            text.Append(Encoding.Latin1.GetString(bytes, 0, (int)n));
        }

        return Errno.None;
    }

    public static Errno AuxiliaryVector(Task task, ICaller caller, StringBuilder text)
    {
        Errno error = TaskFile.CheckAccess(caller, task);
        if (error == Errno.None && Take(task) is MemoryManager memory)
        {
            text.Append(Encoding.Latin1.GetString(memory.AuxiliaryVector));
            memory.DecUsers();
        }

        return error;
    }

    public static Errno Limits(Task task, ICaller caller, StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"{"Limit",-25} {"Soft Limit",-20} {"Hard Limit",-20} {"Units",-10}\n");
        for (int i = 0; i < s_limits.Length; i++)
        {
            (ulong soft, ulong hard) = task.ThreadGroup.Limits.Get(i);
            text.Append(CultureInfo.InvariantCulture, $"{s_limits[i].Name,-25} {Shown(soft),-20} {Shown(hard),-20} {s_limits[i].Unit,-10}\n");
        }

        return Errno.None;

        static string Shown(ulong value) => value == Resource.RLIM_INFINITY ? "unlimited" : value.ToString(CultureInfo.InvariantCulture);
    }

    public static Errno Maps(Task task, ICaller caller, StringBuilder text) => WriteMaps(task, caller, text, detailed: false);

    public static Errno SMaps(Task task, ICaller caller, StringBuilder text) => WriteMaps(task, caller, text, detailed: true);

    private static Errno WriteMaps(Task task, ICaller caller, StringBuilder text, bool detailed)
    {
        Errno error = TaskFile.CheckAccess(caller, task);
        if (error != Errno.None || Take(task) is not MemoryManager memory)
        {
            return error;
        }

        foreach (MappingReport mapping in memory.Report(detailed))
        {
            int start = text.Length;
            ulong device = mapping.Mappable?.Identity.Device ?? 0;
            AppendHeader(text, mapping, device);
            string? name = mapping.Name ?? mapping.Mappable?.Identity.Name;
            if (!string.IsNullOrEmpty(name))
            {
                text.Append(' ', Math.Max(73 - (text.Length - start), 1)).Append(name);
            }

            text.Append('\n');
            if (detailed)
            {
                AppendDetails(text, mapping.End - mapping.Start, mapping.ResidentBytes, mapping.PrivateBytes);
                text.Append("VmFlags: rd mr mw me\n");
            }
        }

        memory.DecUsers();
        return Errno.None;
    }

    private static void AppendHeader(StringBuilder text, in MappingReport mapping, ulong device) => text.Append(
        CultureInfo.InvariantCulture,
        $"{mapping.Start:x8}-{mapping.End:x8} {((mapping.Protection & AccessType.Read) != 0 ? 'r' : '-')}{((mapping.Protection & AccessType.Write) != 0 ? 'w' : '-')}"
        + $"{((mapping.Protection & AccessType.Execute) != 0 ? 'x' : '-')}{(mapping.Shared ? 's' : 'p')} {mapping.Offset:x8} {SpecialFiles.Major(device):x2}:{SpecialFiles.Minor(device):x2} {mapping.Mappable?.Identity.Inode ?? 0}");

    private static void AppendDetails(StringBuilder text, ulong size, ulong resident, ulong privately)
    {
        (string Name, ulong Value)[] lines =
        [
            ("Size", size), ("KernelPageSize", 4096), ("MMUPageSize", 4096), ("Rss", resident), ("Pss", resident), ("Shared_Clean", resident - privately), ("Shared_Dirty", 0),
            ("Private_Clean", 0), ("Private_Dirty", privately), ("Referenced", resident), ("Anonymous", privately), ("LazyFree", 0), ("AnonHugePages", 0), ("ShmemPmdMapped", 0),
            ("FilePmdMapped", 0), ("Shared_Hugetlb", 0), ("Private_Hugetlb", 0), ("Swap", 0), ("SwapPss", 0), ("Locked", 0),
        ];
        foreach ((string name, ulong value) in lines)
        {
            text.Append(CultureInfo.InvariantCulture, $"{name + ":",-16}{value >> 10,8} kB\n");
        }
    }

    public static Errno SMapsRollup(Task task, ICaller caller, StringBuilder text)
    {
        Errno error = TaskFile.CheckAccess(caller, task);
        if (error != Errno.None || Take(task) is not MemoryManager memory)
        {
            return error;
        }

        List<MappingReport> mappings = memory.Report(count: true);
        memory.DecUsers();
        ulong size = 0, resident = 0, privately = 0;
        foreach (MappingReport mapping in mappings)
        {
            size += mapping.End - mapping.Start;
            resident += mapping.ResidentBytes;
            privately += mapping.PrivateBytes;
        }

        if (mappings.Count > 0)
        {
            text.Append(CultureInfo.InvariantCulture, $"{mappings[0].Start:x8}-{mappings[^1].End:x8} ---p 00000000 00:00 0                          [rollup]\n");
            AppendDetails(text, size, resident, privately);
        }

        return Errno.None;
    }
}
