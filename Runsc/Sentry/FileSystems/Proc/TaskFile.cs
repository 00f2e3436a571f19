using System;
using System.Globalization;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Pseudo;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Proc;

/// <summary>A file about a task, with a text made by a function.</summary>
internal sealed class TaskFile : PseudoFile
{
    private readonly Task _task;
    private readonly Func<Task, ICaller, StringBuilder, Errno> _generate;

    public TaskFile(PseudoSuperBlock super, Task task, uint permissions, ulong number, Func<Task, ICaller, StringBuilder, Errno> generate)
        : base(super, permissions)
    {
        _task = task;
        _generate = generate;
        Number = number;
    }

    /// <summary>Where the text comes from something whose changes can be polled for.</summary>
    public Func<Task, ChangeCount>? Changes { get; init; }

    protected override (uint Uid, uint Gid) Owner => OwnerOf(_task);

    public override Errno Generate(ICaller caller, StringBuilder text) => _task.ThreadGroup.IsDead ? Errno.ESRCH : _generate(_task, caller, text);

    protected override ChangeCount? GetChanges() => Changes?.Invoke(_task);

    /// <summary>The task's effective ids; when it is not dumpable (prctl(2), PR_SET_DUMPABLE) root's, of the user namespace in which its program was started.</summary>
    public static (uint Uid, uint Gid) OwnerOf(Task task)
    {
        if (task.ThreadGroup.Dumpable == 1)
        {
            return (task.Credentials.EffectiveUid, task.Credentials.EffectiveGid);
        }

        UserNamespace users = task.ThreadGroup.ProgramNamespace;
        uint uid = users.Uids.ToKernel(0), gid = users.Gids.ToKernel(0);
        return (uid == IdMap.Invalid ? 0 : uid, gid == IdMap.Invalid ? 0 : gid);
    }

    /// <summary>May the caller look into the task's memory and descriptors (ptrace(2), "Ptrace access mode checking")? EACCES.</summary>
    public static Errno CheckAccess(ICaller caller, Task task)
    {
        ThreadGroup? group = (caller as Task)?.ThreadGroup;
        return TraceAccess.IsAllowed(caller.Credentials, group, task, realIds: false) ? Errno.None : Errno.EACCES;
    }
}

/// <summary>/proc/PID/comm: may be written by the process's own threads.</summary>
internal sealed class TaskNameFile : PseudoFile
{
    private readonly Task _task;

    public TaskNameFile(PseudoSuperBlock super, Task task, ulong number)
        : base(super, 0x1a4)
    {
        _task = task;
        Number = number;
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    public override Errno Generate(ICaller caller, StringBuilder text)
    {
        text.Append(_task.Name).Append('\n');
        return Errno.None;
    }

    public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
    {
        if (caller is not Task self || self.ThreadGroup != _task.ThreadGroup)
        {
            return Errno.EINVAL;
        }

        string name = Encoding.Latin1.GetString(value).TrimEnd('\n');
        _task.Name = name.Length > 15 ? name[..15] : name;
        return Errno.None;
    }
}

/// <summary>/proc/PID/oom_score_adj.</summary>
internal sealed class OomScoreFile : PseudoFile
{
    private readonly Task _task;

    public OomScoreFile(PseudoSuperBlock super, Task task, ulong number)
        : base(super, 0x1a4)
    {
        _task = task;
        Number = number;
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    public override Errno Generate(ICaller caller, StringBuilder text)
    {
        text.Append(CultureInfo.InvariantCulture, $"{_task.ThreadGroup.OomScoreAdjust}\n");
        return Errno.None;
    }

    public override Errno Store(ICaller caller, ReadOnlySpan<byte> value)
    {
        if (!int.TryParse(Encoding.Latin1.GetString(value).Trim(), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int score) || score is < -1000 or > 1000)
        {
            return Errno.EINVAL;
        }

        if (score < _task.ThreadGroup.OomScoreAdjust && !caller.Credentials.HasCapability(Capability.CAP_SYS_RESOURCE))
        {
            return Errno.EACCES;
        }

        _task.ThreadGroup.OomScoreAdjust = score;
        return Errno.None;
    }
}

/// <summary>/proc/PID/stat: of the whole process, or of one thread under task.</summary>
internal sealed class TaskStatFile : PseudoFile
{
    private readonly Task _task;

    public TaskStatFile(PseudoSuperBlock super, Task task, ulong number)
        : base(super, 0x124)
    {
        _task = task;
        Number = number;
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    public override Errno Generate(ICaller caller, StringBuilder text) => _task.ThreadGroup.IsDead ? Errno.ESRCH : TaskFiles.Stat(_task, (Number & 0xffffff) < 512, text);
}

/// <summary>What a link of a process leads to.</summary>
internal enum TaskLinkKind
{
    WorkingDirectory,
    Root,
    Executable,
}

/// <summary>/proc/PID/{cwd,root,exe}: lead to the place itself, whatever its name.</summary>
internal sealed class TaskLink : PseudoInode
{
    private readonly Task _task;
    private readonly TaskLinkKind _kind;

    public TaskLink(PseudoSuperBlock super, Task task, ulong number, TaskLinkKind kind)
        : base(super, (uint)Linux.Stat.S_IFLNK | 0x1ff)
    {
        _task = task;
        _kind = kind;
        Number = number;
    }

    protected override (uint Uid, uint Gid) Owner => TaskFile.OwnerOf(_task);

    /// <summary>With references. ENOENT when the process is a zombie.</summary>
    private Errno GetPlace(ICaller caller, out VfsPath place)
    {
        place = default;
        Errno error = TaskFile.CheckAccess(caller, _task);
        if (error != Errno.None)
        {
            return error;
        }

        if (_kind == TaskLinkKind.Executable)
        {
            lock (_task.Kernel.TaskLock)
            {
                if (_task.ThreadGroup.Executable is not FileDescription file)
                {
                    return Errno.ENOENT;
                }

                place = file.Path;
                place.IncRef();
                return Errno.None;
            }
        }

        FsContext fs = _task.Fs;
        if (_task.HasExited || !fs.TryIncRef())
        {
            return Errno.ENOENT;
        }

        place = _kind == TaskLinkKind.Root ? fs.GetRoot() : fs.GetWorkingDirectory();
        fs.DecRef();
        return Errno.None;
    }

    public override bool TryFollowMagicLink(ICaller caller, out VfsPath path, out Errno error)
    {
        error = GetPlace(caller, out path);
        return true;
    }

    public override Errno ReadLink(ICaller caller, out byte[] target)
    {
        target = [];
        Errno error = GetPlace(caller, out VfsPath place);
        if (error == Errno.None)
        {
            target = PathNames.Describe(caller, place);
            place.DecRef();
        }

        return error;
    }

    public override Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        file = null;
        return Errno.ELOOP;
    }
}

/// <summary>Places as /proc shows them.</summary>
internal static class PathNames
{
    /// <summary>The path as the caller sees it, with " (deleted)" when its last name is gone.</summary>
    public static byte[] Describe(ICaller caller, in VfsPath place)
    {
        VfsPath root = caller.Fs?.GetRoot() ?? caller.MountNamespace.GetRootPath();
        byte[] path = caller.MountNamespace.GetPath(place, root, out bool unlinked) ?? "/"u8.ToArray();
        root.DecRef();
        return unlinked ? [.. path, .. " (deleted)"u8] : path;
    }
}
