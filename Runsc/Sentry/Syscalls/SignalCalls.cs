using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Syscalls;

/// <summary>Signals (signal(7)).</summary>
internal static unsafe class SignalCalls
{
    private const int MaskSize = 8;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.rt_sigaction, "rt_sigaction", &Action, "sig,sigaction,ptr,size");
        b.Add(SysNo.rt_sigprocmask, "rt_sigprocmask", &ProcMask, "sighow,sigset,ptr,size");
        b.Add(SysNo.rt_sigpending, "rt_sigpending", &Pending, "ptr,size");
        b.Add(SysNo.rt_sigtimedwait, "rt_sigtimedwait", &TimedWait, "sigset,ptr,timespec,size");
        b.Add(SysNo.rt_sigqueueinfo, "rt_sigqueueinfo", &QueueInfo, "pid,sig,ptr");
        b.Add(SysNo.rt_tgsigqueueinfo, "rt_tgsigqueueinfo", &ThreadQueueInfo, "pid,pid,sig,ptr");
        b.Add(SysNo.rt_sigsuspend, "rt_sigsuspend", &Suspend, "sigset,size");
        b.Add(SysNo.rt_sigreturn, "rt_sigreturn", &Return, "");
        b.Add(SysNo.sigaltstack, "sigaltstack", &AltStack, "ptr,ptr");
        b.Add(SysNo.kill, "kill", &Kill, "pid,sig");
        b.Add(SysNo.tkill, "tkill", &ThreadKill, "pid,sig");
        b.Add(SysNo.tgkill, "tgkill", &GroupThreadKill, "pid,pid,sig");
        b.Add(SysNo.pause, "pause", &Pause, "");
        b.Add(SysNo.restart_syscall, "restart_syscall", &Restart, "");
    }

    /// <summary>siginfo of a signal that a task sends by kill(2) or tkill(2).</summary>
    public static SignalInfo FromUser(Task task, int signal, int code) =>
        new() { Signal = signal, Code = code, ProcessId = task.ProcessId, Uid = task.Credentials.RealUid };

    /// <summary>Sends with the permission check of kill(2). 0, −EPERM, −EINVAL, −ESRCH, −EAGAIN.</summary>
    public static long SendChecked(Task task, ThreadGroup target, in SignalInfo info)
    {
        if ((uint)info.Signal > 64)
        {
            return -(long)Errno.EINVAL;
        }

        if (target.IsDead)
        {
            return -(long)Errno.ESRCH;
        }

        if (!MaySignal(task, target, info.Signal))
        {
            return -(long)Errno.EPERM;
        }

        return info.Signal == 0 ? 0 : -(long)target.SendSignal(info);
    }

    /// <summary>kill(2): the real or effective user is the target's real or saved one, or CAP_KILL; SIGCONT within the session.</summary>
    private static bool MaySignal(Task task, ThreadGroup target, int signal)
    {
        Credentials own = task.Credentials, other = target.Credentials;
        return target == task.ThreadGroup
            || own.EffectiveUid == other.SavedUid || own.EffectiveUid == other.RealUid || own.RealUid == other.SavedUid || own.RealUid == other.RealUid
            || own.HasCapability(Capability.CAP_KILL, other.UserNamespace)
            || (signal == Signal.SIGCONT && target.Session == task.ThreadGroup.Session);
    }

    private static long Action(Task task, in SyscallArguments a)
    {
        int signal = a.Int0;
        if (a.A3 != MaskSize || signal is < 1 or > 64)
        {
            return -(long)Errno.EINVAL;
        }

        SignalAction wanted = default;
        if (a.A1 != 0)
        {
            if (task.Memory.CopyIn(a.A1, out wanted) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            if (signal is Signal.SIGKILL or Signal.SIGSTOP)
            {
                return -(long)Errno.EINVAL;
            }

            wanted.Flags &= SignalAction.KnownFlags;
            wanted.Mask &= ~Task.Unblockable;
        }

        SignalAction old;
        lock (task.Kernel.TaskLock)
        {
            ref SignalAction action = ref task.ThreadGroup.Actions[signal];
            old = action;
            if (a.A1 != 0)
            {
                action = wanted;
                if (task.ThreadGroup.Actions.IsIgnored(signal))
                {
                    // POSIX: pending signals that are now ignored are dropped.
                    task.ThreadGroup.DiscardPendingLocked(signal);
                }
            }
        }

        return a.A2 != 0 && task.Memory.CopyOut(a.A2, old) != Errno.None ? -(long)Errno.EFAULT : 0;
    }

    private static long ProcMask(Task task, in SyscallArguments a)
    {
        if (a.A3 != MaskSize)
        {
            return -(long)Errno.EINVAL;
        }

        ulong old = task.SignalMask;
        if (a.A1 != 0)
        {
            if (task.Memory.CopyIn(a.A1, out ulong set) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            switch (a.Int0)
            {
                case Signal.SIG_BLOCK:
                    task.SetSignalMask(old | set);
                    break;
                case Signal.SIG_UNBLOCK:
                    task.SetSignalMask(old & ~set);
                    break;
                case Signal.SIG_SETMASK:
                    task.SetSignalMask(set);
                    break;
                default:
                    return -(long)Errno.EINVAL;
            }
        }

        return a.A2 != 0 && task.Memory.CopyOut(a.A2, old) != Errno.None ? -(long)Errno.EFAULT : 0;
    }

    private static long Pending(Task task, in SyscallArguments a)
    {
        if (a.A1 > MaskSize)
        {
            return -(long)Errno.EINVAL;
        }

        (ulong own, ulong process) = task.PendingSignals;
        return task.Memory.CopyOut(a.A0, (own | process) & task.SignalMask) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long TimedWait(Task task, in SyscallArguments a)
    {
        if (a.A3 != MaskSize)
        {
            return -(long)Errno.EINVAL;
        }

        if (task.Memory.CopyIn(a.A0, out ulong set) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        Errno error = TimeArguments.ReadTimeout(task, a.A2, out Deadline deadline);
        SignalInfo info = default;
        if (error == Errno.None)
        {
            error = task.TakeSignal(set, deadline, out info);
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        return a.A1 != 0 && task.Memory.CopyOut(a.A1, info) != Errno.None ? -(long)Errno.EFAULT : info.Signal;
    }

    private static long QueueInfo(Task task, in SyscallArguments a)
    {
        if (task.Memory.CopyIn(a.A2, out SignalInfo info) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        // A code that claims to be the kernel's or another's kill may only go to oneself.
        if ((info.Code >= 0 || info.Code == SignalInfo.SI_TKILL) && a.Int0 != task.ProcessId)
        {
            return -(long)Errno.EPERM;
        }

        info.Signal = a.Int1;
        info.Uid = SenderUid(task, info);
        ThreadGroup? target;
        lock (task.Kernel.TaskLock)
        {
            target = task.Kernel.FindTaskLocked(a.Int0, task.ThreadGroup.Container)?.ThreadGroup;
        }

        return target is null ? -(long)Errno.ESRCH : SendChecked(task, target, info);
    }

    // An id that the sender says is one of his user namespace.
    private static uint SenderUid(Task task, in SignalInfo info) =>
        task.Credentials.UserNamespace is var users && users != UserNamespace.Initial && info.Code is SignalInfo.SI_QUEUE or SignalInfo.SI_MESGQ ? users.Uids.ToKernel(info.Uid) : info.Uid;

    private static long ThreadQueueInfo(Task task, in SyscallArguments a)
    {
        if (task.Memory.CopyIn(a.A3, out SignalInfo info) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (a.Int0 <= 0 || a.Int1 <= 0)
        {
            return -(long)Errno.EINVAL;
        }

        if ((info.Code >= 0 || info.Code == SignalInfo.SI_TKILL) && a.Int1 != task.ThreadId)
        {
            return -(long)Errno.EPERM;
        }

        info.Signal = a.Int2;
        return SendToThread(task, a.Int0, a.Int1, info);
    }

    private static long Suspend(Task task, in SyscallArguments a)
    {
        if (a.A1 != MaskSize)
        {
            return -(long)Errno.EINVAL;
        }

        if (task.Memory.CopyIn(a.A0, out ulong set) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        task.SetTemporaryMask(set);
        while (task.Block(Deadline.Infinite) == Errno.None)
        {
        }

        return -(long)Errno.ERESTARTNOHAND;
    }

    private static long Return(Task task, in SyscallArguments a)
    {
        task.ReturnFromSignal();
        return 0;
    }

    private static long AltStack(Task task, in SyscallArguments a)
    {
        ulong sp = task.Context.Frame.Rsp;
        SignalStack old = task.SignalStack;
        uint state = old.StateFor(sp);
        old.Flags = state == (uint)Signal.SS_DISABLE ? state : state | (old.Flags & SignalStack.AutoDisarm);
        if (a.A0 != 0)
        {
            if (task.Memory.CopyIn(a.A0, out SignalStack wanted) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            Errno error = task.SetSignalStack(wanted, sp);
            if (error != Errno.None)
            {
                return -(long)error;
            }
        }

        return a.A1 != 0 && task.Memory.CopyOut(a.A1, old) != Errno.None ? -(long)Errno.EFAULT : 0;
    }

    private static long Kill(Task task, in SyscallArguments a)
    {
        int id = a.Int0;
        SignalInfo info = FromUser(task, a.Int1, SignalInfo.SI_USER);
        if ((uint)info.Signal > 64)
        {
            return -(long)Errno.EINVAL;
        }

        if (id > 0)
        {
            ThreadGroup? target;
            lock (task.Kernel.TaskLock)
            {
                target = task.Kernel.FindTaskLocked(id, task.ThreadGroup.Container)?.ThreadGroup;
            }

            return target is null ? -(long)Errno.ESRCH : SendChecked(task, target, info);
        }

        if (id == int.MinValue)
        {
            return -(long)Errno.ESRCH;
        }

        // A group (0: one's own), or everyone but init and oneself (−1).
        int group = id == 0 ? task.ThreadGroup.ProcessGroup.Id : -id;
        bool found = false, sent = false;
        Errno last = Errno.None;
        foreach (ThreadGroup target in task.Kernel.SnapshotGroups(task.ThreadGroup.Container))
        {
            bool meant = id == -1
                ? target != task.ThreadGroup && !target.IsInit && target.Container == task.ThreadGroup.Container
                : target.ProcessGroup.Id == group;
            if (!meant)
            {
                continue;
            }

            found = true;
            long result = SendChecked(task, target, info);
            sent |= result == 0;
            last = result == 0 ? last : (Errno)(-result);
        }

        return !found ? -(long)Errno.ESRCH : sent ? 0 : -(long)last;
    }

    private static long ThreadKill(Task task, in SyscallArguments a)
    {
        return a.Int0 <= 0 ? -(long)Errno.EINVAL : SendToThread(task, 0, a.Int0, FromUser(task, a.Int1, SignalInfo.SI_TKILL));
    }

    private static long GroupThreadKill(Task task, in SyscallArguments a)
    {
        return a.Int0 <= 0 || a.Int1 <= 0 ? -(long)Errno.EINVAL : SendToThread(task, a.Int0, a.Int1, FromUser(task, a.Int2, SignalInfo.SI_TKILL));
    }

    private static long SendToThread(Task task, int process, int thread, in SignalInfo info)
    {
        if ((uint)info.Signal > 64)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target;
        lock (task.Kernel.TaskLock)
        {
            target = task.Kernel.FindTaskLocked(thread, task.ThreadGroup.Container);
        }

        if (target is null || (process != 0 && target.ThreadGroup.Id != process))
        {
            return -(long)Errno.ESRCH;
        }

        if (!MaySignal(task, target.ThreadGroup, info.Signal))
        {
            return -(long)Errno.EPERM;
        }

        return info.Signal == 0 ? 0 : -(long)target.SendSignal(info);
    }

    private static long Pause(Task task, in SyscallArguments a)
    {
        while (task.Block(Deadline.Infinite) == Errno.None)
        {
        }

        return -(long)Errno.ERESTARTNOHAND;
    }

    private static long Restart(Task task, in SyscallArguments a) => task.Restart();
}
