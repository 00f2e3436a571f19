using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>Resource limits and usage (getrlimit(2), getrusage(2)).</summary>
internal static unsafe class LimitCalls
{
    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.getrlimit, "getrlimit", &GetLimit, "rlimit,ptr");
        b.Add(SysNo.setrlimit, "setrlimit", &SetLimit, "rlimit,ptr");
        b.Add(SysNo.prlimit64, "prlimit64", &ProcessLimit, "pid,rlimit,ptr,ptr");
        b.Add(SysNo.getrusage, "getrusage", &GetUsage, "int,ptr");
    }

    /// <summary>struct rlimit.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct LimitBuffer
    {
        public ulong Soft;
        public ulong Hard;
    }

    private static long GetLimit(Task task, in SyscallArguments a) => Exchange(task, task.ThreadGroup, a.UInt0, 0, a.A1);

    private static long SetLimit(Task task, in SyscallArguments a) => a.A1 == 0 ? -(long)Errno.EFAULT : Exchange(task, task.ThreadGroup, a.UInt0, a.A1, 0);

    private static long ProcessLimit(Task task, in SyscallArguments a)
    {
        ThreadGroup target = task.ThreadGroup;
        if (a.Int0 != 0)
        {
            lock (task.Kernel.TaskLock)
            {
                if (task.Kernel.FindTaskLocked(a.Int0, task.ThreadGroup.Container) is not Task found)
                {
                    return -(long)Errno.ESRCH;
                }

                target = found.ThreadGroup;
            }

            Credentials own = task.Credentials, other = target.Credentials;
            bool same = own.RealUid == other.RealUid && own.RealUid == other.EffectiveUid && own.RealUid == other.SavedUid
                && own.RealGid == other.RealGid && own.RealGid == other.EffectiveGid && own.RealGid == other.SavedGid;
            if (target != task.ThreadGroup && !same && !own.HasCapability(Capability.CAP_SYS_RESOURCE, other.UserNamespace))
            {
                return -(long)Errno.EPERM;
            }
        }

        return Exchange(task, target, a.UInt1, a.A2, a.A3);
    }

    private static long Exchange(Task task, ThreadGroup target, uint resource, ulong newAddress, ulong oldAddress)
    {
        if (resource >= ResourceLimits.Count)
        {
            return -(long)Errno.EINVAL;
        }

        LimitBuffer wanted = default;
        if (newAddress != 0 && task.Memory.CopyIn(newAddress, out wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        (ulong soft, ulong hard) = target.Limits.Get((int)resource);
        if (newAddress != 0)
        {
            // fs.nr_open bounds descriptors whatever the rights.
            if (resource == Resource.RLIMIT_NOFILE && wanted.Hard > 1 << 20)
            {
                return -(long)Errno.EPERM;
            }

            Errno error = target.Limits.Change((int)resource, wanted.Soft, wanted.Hard, task.Credentials.HasCapability(Capability.CAP_SYS_RESOURCE));
            if (error != Errno.None)
            {
                return -(long)error;
            }

            if (resource == Resource.RLIMIT_STACK)
            {
                target.Leader.Memory.StackLimit = wanted.Soft;
            }
            else if (resource == Resource.RLIMIT_CPU)
            {
                target.ApplyProcessorLimit();
            }
            else if (resource == Resource.RLIMIT_AS)
            {
                target.Leader.Memory.AddressSpaceLimit = wanted.Soft;
            }
        }

        if (oldAddress == 0)
        {
            return 0;
        }

        return task.Memory.CopyOut(oldAddress, new LimitBuffer { Soft = soft, Hard = hard }) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long GetUsage(Task task, in SyscallArguments a)
    {
        ThreadGroup group = task.ThreadGroup;
        RusageBuffer usage = default;
        (long user, long system) time;
        switch (a.Int0)
        {
            case Resource.RUSAGE_SELF:
                time = group.CpuTime;
                lock (task.Kernel.TaskLock)
                {
                    foreach (Task thread in group.Tasks)
                    {
                        Count(thread, ref usage);
                    }
                }

                break;
            case Resource.RUSAGE_THREAD:
                time = task.CpuTime;
                Count(task, ref usage);
                break;
            case Resource.RUSAGE_CHILDREN:
                lock (task.Kernel.TaskLock)
                {
                    time = group.ChildrenTime;
                }

                break;
            default:
                return -(long)Errno.EINVAL;
        }

        usage.UserTime = Timeval.FromNanoseconds(time.user);
        usage.SystemTime = Timeval.FromNanoseconds(time.system);
        if (a.Int0 != Resource.RUSAGE_CHILDREN)
        {
            usage.MaximumResident = (long)(task.Memory.PeakResidentBytes >> 10);
        }

        return task.Memory.CopyOut(a.A1, usage) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static void Count(Task task, ref RusageBuffer usage)
    {
        usage.MinorFaults += task.MinorFaults;
        usage.VoluntarySwitches += task.VoluntarySwitches;
        usage.InvoluntarySwitches += task.InvoluntarySwitches;
    }
}
