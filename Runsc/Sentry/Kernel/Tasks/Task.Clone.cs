using System.Collections.Generic;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>Making tasks (clone(2)). On the parent's own thread.</summary>
internal sealed partial class Task
{
    private const ulong UnsupportedNamespaces =
        Sched.CLONE_NEWPID | Sched.CLONE_NEWCGROUP | Sched.CLONE_NEWTIME;

    // Written at the child's start, in its own address space.
    private ulong _childThreadIdAddress;

    // The parent that vfork holds up until this task executes a program or ends. Guarded by the task lock.
    private Task? _vforkParent;

    // The child that this task waits for after vfork. Guarded by the task lock for writing.
    private volatile Task? _vforkChild;

    /// <summary>
    /// Makes a child task and starts it: its id, or −errno (EINVAL, EAGAIN, EPERM, ENOMEM, ENOSPC, ERESTARTNOINTR). With CLONE_VFORK it returns after the child
    /// has called execve or has ended.
    /// </summary>
    public long Clone(in CloneArguments arguments)
    {
        Errno error = CheckClone(arguments);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        // Linux does not fork with a signal to take: the call begins again after it.
        if (HasInterrupt)
        {
            return -(long)Errno.ERESTARTNOINTR;
        }

        Credentials credentials = Credentials;
        error = arguments.Has(Sched.CLONE_NEWUSER) ? CreateUserNamespace(out credentials) : Errno.None;
        if (error == Errno.None && arguments.Has(Namespaces) && !credentials.HasOwnCapability(Capability.CAP_SYS_ADMIN))
        {
            error = Errno.EPERM;
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        Task child = MakeChild(arguments, credentials);
        PidFd? pidFd = null;
        int pidFdNumber = -1;
        if (arguments.Has(Sched.CLONE_PIDFD))
        {
            pidFd = new PidFd(Kernel, child.ThreadGroup, 0);
            pidFdNumber = Files.Add(pidFd, closeOnExec: true, DescriptorLimit);
            error = pidFdNumber < 0 ? (Errno)(-pidFdNumber) : Errno.None;
        }

        int id = 0, traceEvent = 0;
        if (error == Errno.None)
        {
            lock (Kernel.TaskLock)
            {
                error = AttachChildLocked(child, arguments);
                id = child.ThreadId;
                if (error == Errno.None && _tracer is not null)
                {
                    traceEvent = TraceChildLocked(child, arguments);
                }

            }
        }

        if (error != Errno.None)
        {
            if (pidFdNumber >= 0)
            {
                _ = Files.Close(this, pidFdNumber);
            }
            else
            {
                pidFd?.DecRef();
            }

            child.DropResources();
            child.Context.Dispose();
            return -(long)error;
        }

        if (arguments.Has(Sched.CLONE_PARENT_SETTID))
        {
            _ = Memory.CopyOut(arguments.ParentTidAddress, id);
        }

        if (pidFdNumber >= 0)
        {
            _ = Memory.CopyOut(arguments.PidFdAddress, pidFdNumber);
        }

        child.Start();
        if (traceEvent != 0)
        {
            ReportEvent(traceEvent, (ulong)id);
        }

        while (_vforkChild is not null && BlockKillable(Deadline.Infinite) == Errno.None)
        {
        }

        if (arguments.Has(Sched.CLONE_VFORK))
        {
            ReportEvent(Misc.PTRACE_EVENT_VFORK_DONE, (ulong)id);
        }

        return id;
    }

    private Errno CheckClone(in CloneArguments arguments)
    {
        bool threads = arguments.Has(Sched.CLONE_THREAD);
        if ((threads && !arguments.Has(Sched.CLONE_SIGHAND))
            || (arguments.Has(Sched.CLONE_SIGHAND) && !arguments.Has(Sched.CLONE_VM))
            || (arguments.Has(Sched.CLONE_FS) && arguments.Has(Sched.CLONE_NEWNS | Sched.CLONE_NEWUSER))
            || (threads && arguments.Has(Sched.CLONE_NEWUSER))
            || (arguments.Has(Sched.CLONE_SYSVSEM) && arguments.Has(Sched.CLONE_NEWIPC))
            || (arguments.Has(Sched.CLONE_SIGHAND) && arguments.Has(Sched.CLONE_CLEAR_SIGHAND))
            || (arguments.Has(Sched.CLONE_PIDFD) && (threads || arguments.Has(Sched.CLONE_DETACHED)))
            || (arguments.Has(Sched.CLONE_PARENT) && ThreadGroup.IsInit))
        {
            return Errno.EINVAL;
        }

        if (arguments.Has(Sched.CLONE_INTO_CGROUP))
        {
            return Errno.EOPNOTSUPP;
        }

        if (arguments.Has(UnsupportedNamespaces))
        {
            // What Linux says when it was built without the namespace.
            Log.Debug($"clone: namespaces {arguments.Flags & UnsupportedNamespaces:x} are not there");
            return Errno.EINVAL;
        }

        return Errno.None;
    }

    private Task MakeChild(in CloneArguments arguments, Credentials credentials)
    {
        UserNamespace users = credentials.UserNamespace;
        MemoryManager memory = _memory;
        if (!arguments.Has(Sched.CLONE_VM))
        {
            memory = memory.Fork();
        }
        else if (!memory.TryIncUsers())
        {
            Invariant.Fail("a running task has a dead address space");
        }

        FdTable files = _files;
        if (arguments.Has(Sched.CLONE_FILES))
        {
            files.IncUsers();
        }
        else
        {
            files = files.Fork();
        }

        FsContext fs = _fs;
        if (arguments.Has(Sched.CLONE_FS))
        {
            fs.IncRef();
        }
        else
        {
            fs = fs.Fork();
        }

        MountNamespace mounts = MountNamespace;
        if (arguments.Has(Sched.CLONE_NEWNS))
        {
            mounts = mounts.Clone(users, out Dictionary<Vfs.Mount, Vfs.Mount> map);
            fs.MoveTo(map);
        }

        ThreadGroup group = ThreadGroup;
        if (!arguments.Has(Sched.CLONE_THREAD))
        {
            group = new ThreadGroup(Kernel)
            {
                ProcessGroup = ThreadGroup.ProcessGroup,
                Actions = ThreadGroup.Actions,
                Limits = ThreadGroup.Limits.Clone(),
                StartTime = Kernel.Clock.Monotonic,
                Container = ThreadGroup.Container,
                Home = ThreadGroup.Home,
                ExitSignal = arguments.ExitSignal,
                Dumpable = ThreadGroup.Dumpable,
                ProgramNamespace = ThreadGroup.ProgramNamespace,
                OomScoreAdjust = ThreadGroup.OomScoreAdjust,
                HasLeftTerminal = ThreadGroup.HasLeftTerminal,
            };
        }

        Task child = new(Kernel, group, memory, files, fs, mounts, credentials)
        {
            Name = Name,
            Uts = arguments.Has(Sched.CLONE_NEWUTS) ? Uts.Clone(users) : Uts,
            Network = arguments.Has(Sched.CLONE_NEWNET) ? Network.CreateEmpty(users) : Network?.IncUsers()!,
            IdMaps = IdMaps,
            TimeOffsets = TimeOffsets,
            TimerSlack = TimerSlack,
            Personality = Personality,
            Login = Login,
            IoPriority = IoPriority,
            Nice = ResetOnFork && Nice < 0 ? 0 : Nice,
            SchedulingPolicy = ResetOnFork && SchedulingPolicy is Sched.SCHED_FIFO or Sched.SCHED_RR ? Sched.SCHED_OTHER : SchedulingPolicy,
            SchedulingPriority = ResetOnFork ? 0 : SchedulingPriority,
            _childThreadIdAddress = arguments.Has(Sched.CLONE_CHILD_SETTID) ? arguments.ChildTidAddress : 0,
            ClearThreadId = arguments.Has(Sched.CLONE_CHILD_CLEARTID) ? arguments.ChildTidAddress : 0,
            _signalMask = _signalMask,
            _seccomp = _seccomp,
        };
        if (arguments.Has(Sched.CLONE_NEWNS))
        {
            mounts.DecUsers();
        }

        ShareIpcWith(child, arguments);
        ShareAioWith(child, arguments.Has(Sched.CLONE_VM));
        ShareRseqWith(child, arguments.Has(Sched.CLONE_VM));

        // A thread starts without a signal stack; a process, vfork's child too, has the parent's.
        if (!arguments.Has(Sched.CLONE_VM) || arguments.Has(Sched.CLONE_VFORK))
        {
            child.SignalStack = SignalStack;
        }

        ref TrapFrame frame = ref child.Context.Frame;
        frame = Context.Frame;
        frame.Rax = 0;
        frame.OrigRax = NoSystemCall;
        if (arguments.StackPointer != 0)
        {
            frame.Rsp = arguments.StackPointer;
        }

        if (arguments.Has(Sched.CLONE_SETTLS))
        {
            frame.FsBase = arguments.Tls;
        }

        child.Context.CopyXStateFrom(Context);
        return child;
    }

    /// <summary>Lock held: task lock. The child becomes visible. EAGAIN, EEXIST, ERESTARTNOINTR.</summary>
    private Errno AttachChildLocked(Task child, in CloneArguments arguments)
    {
        if (_mustEnd || _interrupt)
        {
            return Errno.ERESTARTNOINTR;
        }

        if (ExceedsProcessLimitLocked())
        {
            return Errno.EAGAIN;
        }

        if (!Kernel.TryAddTaskLocked(child, arguments.WantedId))
        {
            return arguments.WantedId == 0 ? Errno.EAGAIN : Errno.EEXIST;
        }

        ThreadGroup group = child.ThreadGroup;
        if (arguments.Has(Sched.CLONE_THREAD))
        {
            child.ParentTask = ParentTask;
            group.Tasks.Add(child);
            return Errno.None;
        }

        group.Id = child.ThreadId;
        group.Leader = child;
        group.Tasks.Add(child);
        if (arguments.Has(Sched.CLONE_SIGHAND))
        {
            group.Actions.Users++;
        }
        else
        {
            group.Actions = group.Actions.Fork();
            if (arguments.Has(Sched.CLONE_CLEAR_SIGHAND))
            {
                group.Actions.ClearHandlers();
            }
        }

        if (arguments.Has(Sched.CLONE_PARENT) && ThreadGroup.Parent is ThreadGroup grandparent)
        {
            group.Parent = grandparent;
            child.ParentTask = ParentTask;
            group.ParentTask = ParentTask;
            group.ExitSignal = ThreadGroup.ExitSignal;
        }
        else
        {
            group.Parent = ThreadGroup;
            group.ParentTask = this;
            child.ParentTask = this;
        }

        // It may have changed since the child was made; and the executable's reference is the group's.
        group.ProcessGroup = ThreadGroup.ProcessGroup;
        group.ProcessGroup.AddLocked(group);
        group.Executable = ThreadGroup.Executable;
        group.Executable?.IncRef();
        group.HasChildSubreaper = ThreadGroup.HasChildSubreaper || ThreadGroup.IsChildSubreaper;
        group.Parent.Children.Add(group);
        if (arguments.Has(Sched.CLONE_VFORK))
        {
            child._vforkParent = this;
            _vforkChild = child;
        }

        return Errno.None;
    }

    /// <summary>Lock held: task lock. Attaches a child to the tracer if that wants it, and says which event it is told of, or 0.</summary>
    private int TraceChildLocked(Task child, in CloneArguments arguments)
    {
        int what = arguments.Has(Sched.CLONE_UNTRACED) ? 0
            : arguments.Has(Sched.CLONE_VFORK) ? Misc.PTRACE_EVENT_VFORK
            : arguments.ExitSignal != Signal.SIGCHLD ? Misc.PTRACE_EVENT_CLONE
            : Misc.PTRACE_EVENT_FORK;
        what = what != 0 && TracesLocked(what) ? what : 0;
        if (what != 0 || arguments.Has(Sched.CLONE_PTRACE))
        {
            AttachTracedChildLocked(child);
        }

        return what;
    }

    private bool ExceedsProcessLimitLocked()
    {
        ulong limit = ThreadGroup.Limit(Resource.RLIMIT_NPROC);
        uint user = Credentials.RealUid;
        if ((ulong)Kernel.TaskCountLocked < limit || user == 0
            || Credentials.HasCapability(Capability.CAP_SYS_RESOURCE) || Credentials.HasCapability(Capability.CAP_SYS_ADMIN))
        {
            return false;
        }

        return (ulong)Kernel.CountTasksOfLocked(user) >= limit;
    }

    /// <summary>Lets a parent go on that waits in vfork(2). Takes the task lock.</summary>
    private void ReleaseVforkParent()
    {
        lock (Kernel.TaskLock)
        {
            if (_vforkParent is Task parent)
            {
                _vforkParent = null;
                parent._vforkChild = null;
                parent.Wake();
            }
        }
    }

    /// <summary>unshare(CLONE_FILES), and before execve closes descriptors: a table of its own. Own thread.</summary>
    public void UnshareFiles()
    {
        FdTable old = _files;
        if (old.IsShared)
        {
            _files = old.Fork();
            old.DecUsers(this);
        }
    }

    /// <summary>unshare(CLONE_FS). Own thread.</summary>
    public void UnshareFs()
    {
        FsContext old = _fs;
        if (old.IsShared)
        {
            _fs = old.Fork();
            old.DecRef();
        }
    }

}
