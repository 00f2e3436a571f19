using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Futex;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>Ids of processes, threads, groups and sessions (credentials(7)).</summary>
internal static unsafe class ProcessIdCalls
{
    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.getpid, "getpid", &GetPid, "");
        b.Add(SysNo.gettid, "gettid", &GetTid, "");
        b.Add(SysNo.getppid, "getppid", &GetParent, "");
        b.Add(SysNo.getpgrp, "getpgrp", &GetProcessGroup, "");
        b.Add(SysNo.getpgid, "getpgid", &GetProcessGroupOf, "pid");
        b.Add(SysNo.setpgid, "setpgid", &SetProcessGroup, "pid,pid");
        b.Add(SysNo.getsid, "getsid", &GetSession, "pid");
        b.Add(SysNo.setsid, "setsid", &SetSession, "");
        b.Add(SysNo.set_tid_address, "set_tid_address", &SetTidAddress, "ptr");
        b.Add(SysNo.set_robust_list, "set_robust_list", &SetRobustList, "ptr,size");
        b.Add(SysNo.get_robust_list, "get_robust_list", &GetRobustList, "pid,ptr,ptr");
    }

    private static long GetPid(Task task, in SyscallArguments a) => task.ProcessId;

    private static long GetTid(Task task, in SyscallArguments a) => task.ThreadId;

    private static long GetParent(Task task, in SyscallArguments a)
    {
        // The parent may change at any time; its object stays what it was.
        ThreadGroup? parent = task.ThreadGroup.Parent;
        return parent?.Id ?? 0;
    }

    private static long GetProcessGroup(Task task, in SyscallArguments a) => task.ThreadGroup.ProcessGroup.Id;

    private static long GetProcessGroupOf(Task task, in SyscallArguments a)
    {
        lock (task.Kernel.TaskLock)
        {
            Task? target = a.Int0 == 0 ? task : task.Kernel.FindTaskLocked(a.Int0, task.ThreadGroup.Container);
            return target is null ? -(long)Errno.ESRCH : target.ThreadGroup.ProcessGroup.Id;
        }
    }

    private static long GetSession(Task task, in SyscallArguments a)
    {
        lock (task.Kernel.TaskLock)
        {
            Task? target = a.Int0 == 0 ? task : task.Kernel.FindTaskLocked(a.Int0, task.ThreadGroup.Container);
            return target is null ? -(long)Errno.ESRCH : target.ThreadGroup.Session.Id;
        }
    }

    private static long SetProcessGroup(Task task, in SyscallArguments a)
    {
        SentryKernel kernel = task.Kernel;
        ThreadGroup self = task.ThreadGroup;
        int id = a.Int0 == 0 ? self.Id : a.Int0;
        int wanted = a.Int1 == 0 ? id : a.Int1;
        if (wanted < 0)
        {
            return -(long)Errno.EINVAL;
        }

        lock (kernel.TaskLock)
        {
            ThreadGroup? target = kernel.FindTaskLocked(id, self.Container) is Task found && found.ThreadGroup.Id == id ? found.ThreadGroup : null;
            if (target is null || (target != self && target.Parent != self))
            {
                return -(long)Errno.ESRCH;
            }

            if (target != self)
            {
                if (target.Session != self.Session)
                {
                    return -(long)Errno.EPERM;
                }

                if (target.HasExecuted)
                {
                    return -(long)Errno.EACCES;
                }
            }

            if (target.IsSessionLeader)
            {
                return -(long)Errno.EPERM;
            }

            ProcessGroup? group;
            if (wanted == id)
            {
                group = target.ProcessGroup.Id == id ? target.ProcessGroup : kernel.FindProcessGroupLocked(id, self.Container) ?? new ProcessGroup(id, target.Session);
            }
            else
            {
                group = kernel.FindProcessGroupLocked(wanted, self.Container);
            }

            if (group is null || group.Session != self.Session)
            {
                return -(long)Errno.EPERM;
            }

            if (group != target.ProcessGroup)
            {
                target.ProcessGroup.RemoveLocked(target);
                target.ProcessGroup = group;
                group.AddLocked(target);
            }

            return 0;
        }
    }

    private static long SetSession(Task task, in SyscallArguments a)
    {
        SentryKernel kernel = task.Kernel;
        ThreadGroup self = task.ThreadGroup;
        lock (kernel.TaskLock)
        {
            // A group leader: its id would name a group in two sessions.
            if (self.ProcessGroup.Id == self.Id || kernel.FindProcessGroupLocked(self.Id, self.Container) is not null)
            {
                return -(long)Errno.EPERM;
            }

            self.ProcessGroup.RemoveLocked(self);
            self.ProcessGroup = new ProcessGroup(self.Id, new Session(self.Id));
            self.ProcessGroup.AddLocked(self);
            return self.Id;
        }
    }

    private static long SetTidAddress(Task task, in SyscallArguments a)
    {
        task.ClearThreadId = a.A0;
        return task.ThreadId;
    }

    private static long SetRobustList(Task task, in SyscallArguments a)
    {
        if (a.A1 != RobustList.HeadSize)
        {
            return -(long)Errno.EINVAL;
        }

        task.RobustList = a.A0;
        return 0;
    }

    private static long GetRobustList(Task task, in SyscallArguments a)
    {
        Task? target = task;
        if (a.Int0 != 0)
        {
            lock (task.Kernel.TaskLock)
            {
                target = task.Kernel.FindTaskLocked(a.Int0, task.ThreadGroup.Container);
            }
        }

        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        if (target.ThreadGroup != task.ThreadGroup && !task.Credentials.HasCapability(Capability.CAP_SYS_PTRACE))
        {
            return -(long)Errno.EPERM;
        }

        bool written = task.Memory.CopyOut(a.A2, (ulong)RobustList.HeadSize) == Errno.None && task.Memory.CopyOut(a.A1, target.RobustList) == Errno.None;
        return written ? 0 : -(long)Errno.EFAULT;
    }
}
