using System;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>Scheduling (sched(7)). The host schedules; what programs set is checked, kept and reported.</summary>
internal static unsafe class SchedulingCalls
{
    private const int IOPRIO_WHO_PROCESS = 1;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.sched_yield, "sched_yield", &Yield, "");
        b.Add(SysNo.sched_getaffinity, "sched_getaffinity", &GetAffinity, "pid,size,ptr");
        b.Add(SysNo.sched_setaffinity, "sched_setaffinity", &SetAffinity, "pid,size,ptr");
        b.Add(SysNo.sched_getscheduler, "sched_getscheduler", &GetScheduler, "pid");
        b.Add(SysNo.sched_setscheduler, "sched_setscheduler", &SetScheduler, "pid,int,ptr");
        b.Add(SysNo.sched_getparam, "sched_getparam", &GetParameters, "pid,ptr");
        b.Add(SysNo.sched_setparam, "sched_setparam", &SetParameters, "pid,ptr");
        b.Add(SysNo.sched_get_priority_max, "sched_get_priority_max", &PriorityMax, "int");
        b.Add(SysNo.sched_get_priority_min, "sched_get_priority_min", &PriorityMin, "int");
        b.Add(SysNo.sched_rr_get_interval, "sched_rr_get_interval", &Interval, "pid,ptr");
        b.Add(SysNo.sched_getattr, "sched_getattr", &GetAttributes, "pid,ptr,size,hex");
        b.Add(SysNo.sched_setattr, "sched_setattr", &SetAttributes, "pid,ptr,hex");
        b.Add(SysNo.getpriority, "getpriority", &GetPriority, "int,int");
        b.Add(SysNo.setpriority, "setpriority", &SetPriority, "int,int,int");
        b.Add(SysNo.ioprio_get, "ioprio_get", &GetIoPriority, "int,int");
        b.Add(SysNo.ioprio_set, "ioprio_set", &SetIoPriority, "int,int,hex");
        b.Add(SysNo.getcpu, "getcpu", &GetCpu, "ptr,ptr,ptr");
        b.Add(SysNo.rseq, "rseq", &RestartableSequence, "ptr,uint,hex,hex");
    }

    private static Task? Find(Task task, int id)
    {
        if (id == 0 || id == task.ThreadId)
        {
            return task;
        }

        lock (task.Kernel.TaskLock)
        {
            return task.Kernel.FindTaskLocked(id, task.ThreadGroup.Container);
        }
    }

    private static bool MayChange(Task task, Task target) =>
        task.Credentials.EffectiveUid == target.Credentials.RealUid || task.Credentials.EffectiveUid == target.Credentials.EffectiveUid
        || task.Credentials.HasCapability(Capability.CAP_SYS_NICE, target.Credentials.UserNamespace);

    private static long Yield(Task task, in SyscallArguments a)
    {
        Thread.Yield();
        return 0;
    }

    private static long GetAffinity(Task task, in SyscallArguments a)
    {
        if (a.UInt1 < 8 || (a.UInt1 & 7) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target = Find(task, a.Int0);
        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        return task.Memory.CopyOut(a.A2, target.Affinity & task.Kernel.AllProcessors) == Errno.None ? 8 : -(long)Errno.EFAULT;
    }

    private static long SetAffinity(Task task, in SyscallArguments a)
    {
        ulong mask = 0;
        Span<byte> bytes = MemoryMarshal.AsBytes(new Span<ulong>(ref mask))[..(int)Math.Min(a.UInt1, 8)];
        if (task.Memory.CopyIn(a.A2, bytes) != bytes.Length)
        {
            return -(long)Errno.EFAULT;
        }

        Task? target = Find(task, a.Int0);
        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        if (!MayChange(task, target))
        {
            return -(long)Errno.EPERM;
        }

        mask &= task.Kernel.AllProcessors;
        if (mask == 0)
        {
            return -(long)Errno.EINVAL;
        }

        target.Affinity = mask;
        return 0;
    }

    private static long GetScheduler(Task task, in SyscallArguments a)
    {
        if (a.Int0 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target = Find(task, a.Int0);
        return target is null ? -(long)Errno.ESRCH : target.SchedulingPolicy + (target.ResetOnFork ? Sched.SCHED_RESET_ON_FORK : 0);
    }

    private static long SetScheduler(Task task, in SyscallArguments a)
    {
        if (a.Int0 < 0 || a.Int1 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        return task.Memory.CopyIn(a.A2, out int priority) != Errno.None
            ? -(long)Errno.EFAULT
            : Change(task, a.Int0, a.Int1 & ~Sched.SCHED_RESET_ON_FORK, priority, (a.Int1 & Sched.SCHED_RESET_ON_FORK) != 0, null);
    }

    private static long Change(Task task, int id, int policy, int priority, bool resetOnFork, int? nice)
    {
        Task? target = Find(task, id);
        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        bool realtime = policy is Sched.SCHED_FIFO or Sched.SCHED_RR;
        bool known = realtime || policy is Sched.SCHED_OTHER or Sched.SCHED_BATCH or Sched.SCHED_IDLE;
        if (!known || (realtime ? priority is < 1 or > 99 : priority != 0))
        {
            return -(long)Errno.EINVAL;
        }

        bool privileged = task.Credentials.HasCapability(Capability.CAP_SYS_NICE);
        if (!MayChange(task, target) || (realtime && !privileged && (ulong)priority > target.ThreadGroup.Limit(Resource.RLIMIT_RTPRIO)))
        {
            return -(long)Errno.EPERM;
        }

        if (target.ResetOnFork && !resetOnFork && !privileged)
        {
            return -(long)Errno.EPERM;
        }

        if (nice is int wanted)
        {
            if (wanted < target.Nice && !privileged && 20 - wanted > (long)Math.Min(target.ThreadGroup.Limit(Resource.RLIMIT_NICE), 40))
            {
                return -(long)Errno.EPERM;
            }

            target.Nice = wanted;
        }

        target.SchedulingPolicy = policy;
        target.SchedulingPriority = priority;
        target.ResetOnFork = resetOnFork;
        return 0;
    }

    private static long GetParameters(Task task, in SyscallArguments a)
    {
        if (a.Int0 < 0 || a.A1 == 0)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target = Find(task, a.Int0);
        return target is null ? -(long)Errno.ESRCH : task.Memory.CopyOut(a.A1, target.SchedulingPriority) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long SetParameters(Task task, in SyscallArguments a)
    {
        if (a.Int0 < 0 || a.A1 == 0)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target = Find(task, a.Int0);
        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        return task.Memory.CopyIn(a.A1, out int priority) != Errno.None
            ? -(long)Errno.EFAULT
            : Change(task, a.Int0, target.SchedulingPolicy, priority, target.ResetOnFork, null);
    }

    private static long PriorityMax(Task task, in SyscallArguments a) => a.Int0 switch
    {
        Sched.SCHED_FIFO or Sched.SCHED_RR => 99,
        Sched.SCHED_OTHER or Sched.SCHED_BATCH or Sched.SCHED_IDLE or Sched.SCHED_DEADLINE => 0,
        _ => -(long)Errno.EINVAL,
    };

    private static long PriorityMin(Task task, in SyscallArguments a) => a.Int0 switch
    {
        Sched.SCHED_FIFO or Sched.SCHED_RR => 1,
        Sched.SCHED_OTHER or Sched.SCHED_BATCH or Sched.SCHED_IDLE or Sched.SCHED_DEADLINE => 0,
        _ => -(long)Errno.EINVAL,
    };

    private static long Interval(Task task, in SyscallArguments a)
    {
        if (a.Int0 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target = Find(task, a.Int0);
        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        long slice = target.SchedulingPolicy switch
        {
            Sched.SCHED_RR => 100_000_000,
            Sched.SCHED_FIFO => 0,
            _ => 4_000_000,
        };
        return task.Memory.CopyOut(a.A1, Timespec.FromNanoseconds(slice)) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    /// <summary>struct sched_attr, first version.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct AttributeBuffer
    {
        public const int SizeInBytes = 48;

        public uint Size;
        public uint Policy;
        public ulong Flags;
        public int Nice;
        public uint Priority;
        public ulong Runtime;
        public ulong Deadline;
        public ulong Period;
    }

    private static long GetAttributes(Task task, in SyscallArguments a)
    {
        if (a.Int0 < 0 || a.A1 == 0 || a.UInt2 < AttributeBuffer.SizeInBytes || a.UInt2 > 4096 || a.UInt3 != 0)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target = Find(task, a.Int0);
        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        AttributeBuffer attributes = new()
        {
            Size = AttributeBuffer.SizeInBytes,
            Policy = (uint)target.SchedulingPolicy,
            Flags = target.ResetOnFork ? (ulong)Sched.SCHED_FLAG_RESET_ON_FORK : 0,
            Nice = target.Nice,
            Priority = (uint)target.SchedulingPriority,
        };
        return task.Memory.CopyOut(a.A1, attributes) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long SetAttributes(Task task, in SyscallArguments a)
    {
        if (a.Int0 < 0 || a.A1 == 0 || a.UInt2 != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (task.Memory.CopyIn(a.A1, out AttributeBuffer attributes) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (attributes.Size is not 0 and < AttributeBuffer.SizeInBytes)
        {
            return task.Memory.CopyOut(a.A1, (uint)AttributeBuffer.SizeInBytes) == Errno.None ? -(long)Errno.E2BIG : -(long)Errno.EFAULT;
        }

        const ulong known = Sched.SCHED_FLAG_RESET_ON_FORK;
        if ((attributes.Flags & ~known) != 0 || attributes.Policy > int.MaxValue)
        {
            return -(long)Errno.EINVAL;
        }

        bool usesNice = attributes.Policy is Sched.SCHED_OTHER or Sched.SCHED_BATCH;
        return Change(
            task, a.Int0, (int)attributes.Policy, unchecked((int)attributes.Priority), (attributes.Flags & known) != 0,
            usesNice ? Math.Clamp(attributes.Nice, Resource.PRIO_MIN, Resource.PRIO_MAX - 1) : null);
    }

    private static bool Matches(Task task, Task other, int which, int who) => which switch
    {
        Resource.PRIO_PROCESS => who == 0 ? other == task : other.ThreadId == who,
        Resource.PRIO_PGRP => other.ThreadGroup.ProcessGroup.Id == (who == 0 ? task.ThreadGroup.ProcessGroup.Id : who),
        _ => other.Credentials.RealUid == (who == 0 ? task.Credentials.RealUid : task.Credentials.UserNamespace.Uids.ToKernel((uint)who)),
    };

    private static long GetPriority(Task task, in SyscallArguments a)
    {
        if (a.Int0 is < Resource.PRIO_PROCESS or > Resource.PRIO_USER)
        {
            return -(long)Errno.EINVAL;
        }

        // The raw system call answers 20 − nice, so that it is never negative.
        long best = -(long)Errno.ESRCH;
        lock (task.Kernel.TaskLock)
        {
            foreach (Task other in task.Kernel.SnapshotTasksLocked(task.ThreadGroup.Container))
            {
                if (Matches(task, other, a.Int0, a.Int1))
                {
                    best = Math.Max(best, 20 - other.Nice);
                }
            }
        }

        return best;
    }

    private static long SetPriority(Task task, in SyscallArguments a)
    {
        if (a.Int0 is < Resource.PRIO_PROCESS or > Resource.PRIO_USER)
        {
            return -(long)Errno.EINVAL;
        }

        int nice = Math.Clamp(a.Int2, -20, 19);
        long result = -(long)Errno.ESRCH;
        lock (task.Kernel.TaskLock)
        {
            foreach (Task other in task.Kernel.SnapshotTasksLocked(task.ThreadGroup.Container))
            {
                if (!Matches(task, other, a.Int0, a.Int1))
                {
                    continue;
                }

                if (!MayChange(task, other))
                {
                    return -(long)Errno.EPERM;
                }

                bool lowers = nice < other.Nice && 20 - nice > (long)Math.Min(other.ThreadGroup.Limit(Resource.RLIMIT_NICE), 40);
                if (lowers && !task.Credentials.HasCapability(Capability.CAP_SYS_NICE))
                {
                    return -(long)Errno.EACCES;
                }

                other.Nice = nice;
                result = 0;
            }
        }

        return result;
    }

    private static long GetIoPriority(Task task, in SyscallArguments a)
    {
        if (a.Int0 != IOPRIO_WHO_PROCESS)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target = Find(task, a.Int1);
        return target is null ? -(long)Errno.ESRCH : target.IoPriority;
    }

    private static long SetIoPriority(Task task, in SyscallArguments a)
    {
        int kind = a.Int2 >> 13;
        if (a.Int0 != IOPRIO_WHO_PROCESS || kind is < 0 or > 3)
        {
            return -(long)Errno.EINVAL;
        }

        Task? target = Find(task, a.Int1);
        if (target is null)
        {
            return -(long)Errno.ESRCH;
        }

        if (!MayChange(task, target) || (kind == 1 && !task.Credentials.HasCapability(Capability.CAP_SYS_NICE)))
        {
            return -(long)Errno.EPERM;
        }

        target.IoPriority = a.Int2;
        return 0;
    }

    private static long GetCpu(Task task, in SyscallArguments a)
    {
        if (a.A0 != 0 && task.Memory.CopyOut(a.A0, task.Cpu) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        return a.A1 != 0 && task.Memory.CopyOut(a.A1, 0) != Errno.None ? -(long)Errno.EFAULT : 0;
    }

    private static long RestartableSequence(Task task, in SyscallArguments a)
    {
        if (a.Int2 == Rseq.RSEQ_FLAG_UNREGISTER)
        {
            return -(long)task.UnregisterRseq(a.A0, a.UInt1, a.UInt3);
        }

        return a.Int2 != 0 ? -(long)Errno.EINVAL : -(long)task.RegisterRseq(a.A0, a.UInt1, a.UInt3);
    }
}
