using System;
using System.Collections.Generic;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>/proc/PID and /proc/PID/task/TID. Its files are made when they are looked up.</summary>
internal sealed class TaskDirectory : PseudoDirectory
{
    private delegate Inode Maker(PseudoSuperBlock super, Task task, ulong number);

    private static readonly List<(string Name, uint Type, bool ProcessOnly, Maker Make)> s_files =
    [
        ("attr", Stat.S_IFDIR, false, (super, task, number) => new AttributeDirectory(super, task, number)),
        ("auxv", Stat.S_IFREG, false, Text(0x100, TaskFiles.AuxiliaryVector)),
        ("cgroup", Stat.S_IFREG, false, Text(0x124, (_, _, text) => Say(text, "0::/\n"))),
        ("cmdline", Stat.S_IFREG, false, Text(0x124, TaskFiles.CommandLine)),
        ("comm", Stat.S_IFREG, false, (super, task, number) => new TaskNameFile(super, task, number)),
        ("coredump_filter", Stat.S_IFREG, true, Text(0x124, (_, _, text) => Say(text, "00000033\n"))),
        ("cwd", Stat.S_IFLNK, false, (super, task, number) => new TaskLink(super, task, number, TaskLinkKind.WorkingDirectory)),
        ("environ", Stat.S_IFREG, false, Text(0x100, TaskFiles.Environment)),
        ("exe", Stat.S_IFLNK, false, (super, task, number) => new TaskLink(super, task, number, TaskLinkKind.Executable)),
        ("fd", Stat.S_IFDIR, false, (super, task, number) => new FdDirectory(super, task, number)),
        ("fdinfo", Stat.S_IFDIR, false, (super, task, number) => new FdInfoDirectory(super, task, number)),
        ("gid_map", Stat.S_IFREG, false, (super, task, number) => new IdMapFile(super, task, number, IdMapKind.Groups)),
        ("io", Stat.S_IFREG, false, Text(0x100, (_, _, text) => Say(text, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n"))),
        ("limits", Stat.S_IFREG, false, Text(0x124, TaskFiles.Limits)),
        ("loginuid", Stat.S_IFREG, false, (super, task, number) => new LoginUserFile(super, task, number)),
        ("maps", Stat.S_IFREG, false, Text(0x124, TaskFiles.Maps)),
        ("mem", Stat.S_IFREG, false, (super, task, number) => new TaskMemoryFile(super, task, number)),
        ("mountinfo", Stat.S_IFREG, false, Mounts(MountFiles.MountInfo)),
        ("mounts", Stat.S_IFREG, false, Mounts(MountFiles.Mounts)),
        ("net", Stat.S_IFDIR, false, (super, task, number) => new NetDirectory(super, task, number)),
        ("ns", Stat.S_IFDIR, false, (super, task, number) => new NamespaceDirectory(super, task, number)),
        ("oom_adj", Stat.S_IFREG, true, Text(0x1a4, (task, _, text) => Say(text, $"{task.ThreadGroup.OomScoreAdjust * 15 / 1000}\n"))),
        ("oom_score", Stat.S_IFREG, false, Text(0x124, (task, _, text) => Say(text, $"{Math.Max(task.ThreadGroup.OomScoreAdjust, 0)}\n"))),
        ("oom_score_adj", Stat.S_IFREG, false, (super, task, number) => new OomScoreFile(super, task, number)),
        ("personality", Stat.S_IFREG, false, Text(0x100, (task, _, text) => Say(text, $"{task.Personality:x8}\n"))),
        ("root", Stat.S_IFLNK, false, (super, task, number) => new TaskLink(super, task, number, TaskLinkKind.Root)),
        ("sched", Stat.S_IFREG, false, Text(0x124, (task, _, text) => Say(text, $"{task.Name} ({task.ThreadId}, #threads: {task.ThreadGroup.Tasks.Count})\n"))),
        ("schedstat", Stat.S_IFREG, false, Text(0x124, (task, _, text) => Say(text, $"{task.CpuTime.User + task.CpuTime.System} 0 {task.VoluntarySwitches + task.InvoluntarySwitches}\n"))),
        ("sessionid", Stat.S_IFREG, false, Text(0x124, (task, _, text) => Say(text, $"{task.Login.Number}"))),
        ("setgroups", Stat.S_IFREG, false, (super, task, number) => new IdMapFile(super, task, number, IdMapKind.SetGroups)),
        ("smaps", Stat.S_IFREG, false, Text(0x124, TaskFiles.SMaps)),
        ("smaps_rollup", Stat.S_IFREG, true, Text(0x124, TaskFiles.SMapsRollup)),
        ("stat", Stat.S_IFREG, false, (super, task, number) => new TaskStatFile(super, task, number)),
        ("statm", Stat.S_IFREG, false, Text(0x124, TaskFiles.StatM)),
        ("status", Stat.S_IFREG, false, Text(0x124, TaskFiles.Status)),
        ("syscall", Stat.S_IFREG, false, Text(0x100, (task, _, text) => Say(text, task.CurrentSystemCall < 0 ? "running\n" : $"{task.CurrentSystemCall}\n"))),
        ("task", Stat.S_IFDIR, true, (super, task, number) => new ThreadsDirectory(super, task, number)),
        ("timens_offsets", Stat.S_IFREG, true, Text(0x124, TaskFiles.TimeOffsets)),
        ("timerslack_ns", Stat.S_IFREG, true, Text(0x1b6, (task, _, text) => Say(text, $"{task.TimerSlack}\n"))),
        ("uid_map", Stat.S_IFREG, false, (super, task, number) => new IdMapFile(super, task, number, IdMapKind.Users)),
        ("wchan", Stat.S_IFREG, false, Text(0x124, (_, _, text) => Say(text, "0"))),
    ];

    private static readonly Dictionary<string, int> s_byName = IndexNames();

    private readonly PseudoSuperBlock _super;
    private readonly Task _task;
    private readonly bool _isProcess;

    public TaskDirectory(PseudoSuperBlock super, Task task, bool isProcess)
        : base(super)
    {
        _super = super;
        _task = task;
        _isProcess = isProcess;
        Number = NumberOf(task.ThreadId, isProcess ? 0 : 1);
    }

    public override bool CachesChildren => false;

    /// <summary>The process of /proc/PID, whose descriptor pidfd_send_signal(2) takes too; null for a thread's directory.</summary>
    public ThreadGroup? Process => _isProcess ? _task.ThreadGroup : null;

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    protected override ulong LinkCount => 7;

    /// <summary>Inode numbers: the same file of the same process has the same one as long as the process lives.</summary>
    public static ulong NumberOf(int id, int index) => ((ulong)(uint)id << 24) | (uint)index | (1UL << 60);

    private static Dictionary<string, int> IndexNames()
    {
        Dictionary<string, int> names = [];
        for (int i = 0; i < s_files.Count; i++)
        {
            names.Add(s_files[i].Name, i);
        }

        return names;
    }

    private static Maker Text(uint permissions, Func<Task, ICaller, StringBuilder, Errno> generate) =>
        (super, task, number) => new TaskFile(super, task, permissions, number, generate);

    private static Maker Mounts(Func<Task, ICaller, StringBuilder, Errno> generate) =>
        (super, task, number) => new TaskFile(super, task, 0x124, number, generate) { Changes = seen => seen.MountNamespace.Changes };

    private static Errno Say(StringBuilder text, string line)
    {
        text.Append(line);
        return Errno.None;
    }

    protected override Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        if (!s_byName.TryGetValue(Encoding.Latin1.GetString(name), out int index) || (s_files[index].ProcessOnly && !_isProcess) || _task.ThreadGroup.IsDead)
        {
            return Errno.ENOENT;
        }

        child = s_files[index].Make(_super, _task, NumberOf(_task.ThreadId, index + (_isProcess ? 2 : 512)));
        return Errno.None;
    }

    protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit)
    {
        for (int i = (int)Math.Max(from, 0); i < s_files.Count; i++)
        {
            (string name, uint type, bool processOnly, _) = s_files[i];
            if ((!processOnly || _isProcess) && !visit(i, name, NumberOf(_task.ThreadId, i + (_isProcess ? 2 : 512)), (byte)(type >> 12)))
            {
                return;
            }
        }
    }
}

/// <summary>/proc/PID/task.</summary>
internal sealed class ThreadsDirectory : PseudoDirectory
{
    private readonly PseudoSuperBlock _super;
    private readonly Task _task;

    public ThreadsDirectory(PseudoSuperBlock super, Task task, ulong number)
        : base(super)
    {
        _super = super;
        _task = task;
        Number = number;
    }

    public override bool CachesChildren => false;

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    protected override Errno LookupDynamic(ReadOnlySpan<byte> name, out Inode? child)
    {
        child = null;
        if (!ProcRoot.TryParse(name, out int id))
        {
            return Errno.ENOENT;
        }

        Task? thread;
        lock (_task.Kernel.TaskLock)
        {
            thread = _task.Kernel.FindTaskLocked(id, _task.ThreadGroup.Container);
        }

        if (thread is null || thread.ThreadGroup != _task.ThreadGroup)
        {
            return Errno.ENOENT;
        }

        child = new TaskDirectory(_super, thread, isProcess: false);
        return Errno.None;
    }

    protected override void ListDynamic(ICaller caller, long from, DynamicEntryVisitor visit)
    {
        List<int> ids = [];
        lock (_task.Kernel.TaskLock)
        {
            foreach (Task thread in _task.ThreadGroup.Tasks)
            {
                ids.Add(thread.ThreadId);
            }
        }

        ids.Sort();
        foreach (int id in ids)
        {
            if (id >= from && !visit(id, id.ToString(CultureInfo.InvariantCulture), TaskDirectory.NumberOf(id, 1), (byte)Dirent.DT_DIR))
            {
                return;
            }
        }
    }
}
