using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Seccomp;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>seccomp(2), and prctl(2)'s older way to it.</summary>
internal static unsafe class SeccompCalls
{
    public static void Register(SyscallTable.Builder b) => b.Add(SysNo.seccomp, "seccomp", &Seccomp, "uint,hex,ptr");

    private static long Seccomp(Task task, in SyscallArguments a)
    {
        switch (a.Int0)
        {
            case Misc.SECCOMP_SET_MODE_STRICT:
                return a.UInt1 != 0 || a.A2 != 0 ? -(long)Errno.EINVAL : SetStrict(task);
            case Misc.SECCOMP_SET_MODE_FILTER:
                return SetFilter(task, a.UInt1, a.A2);
            case Misc.SECCOMP_GET_ACTION_AVAIL:
                return a.UInt1 != 0 ? -(long)Errno.EINVAL : IsAvailable(task, a.A2);
            default:
                return -(long)Errno.EINVAL;
        }
    }

    /// <summary>prctl(PR_SET_SECCOMP).</summary>
    public static long SetMode(Task task, ulong mode, ulong program) => mode switch
    {
        Misc.SECCOMP_MODE_STRICT => SetStrict(task),
        Misc.SECCOMP_MODE_FILTER => SetFilter(task, 0, program),
        _ => -(long)Errno.EINVAL,
    };

    private static long SetStrict(Task task)
    {
        if (task.SeccompFilter is not null)
        {
            return -(long)Errno.EINVAL;
        }

        task.IsSeccompStrict = true;
        return 0;
    }

    private static long IsAvailable(Task task, ulong address)
    {
        if (task.Memory.CopyIn(address, out uint action) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        return action is Misc.SECCOMP_RET_KILL_PROCESS or Misc.SECCOMP_RET_KILL_THREAD or Misc.SECCOMP_RET_TRAP or Misc.SECCOMP_RET_ERRNO
            or Misc.SECCOMP_RET_TRACE or Misc.SECCOMP_RET_LOG or Misc.SECCOMP_RET_ALLOW
            ? 0
            : -(long)Errno.EOPNOTSUPP;
    }

    private static long SetFilter(Task task, uint flags, ulong address)
    {
        // Listeners are not there: what Linux says of flags that it does not know.
        const uint known = (uint)(Misc.SECCOMP_FILTER_FLAG_TSYNC | Misc.SECCOMP_FILTER_FLAG_LOG | Misc.SECCOMP_FILTER_FLAG_SPEC_ALLOW | Misc.SECCOMP_FILTER_FLAG_TSYNC_ESRCH);
        if ((flags & ~known) != 0 || task.IsSeccompStrict)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = ReadProgram(task, address, out BpfInstruction[] program);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (!task.Credentials.NoNewPrivileges && !task.Credentials.HasCapability(Capability.CAP_SYS_ADMIN))
        {
            return -(long)Errno.EACCES;
        }

        error = CallFilter.TryAdd(program, task.SeccompFilter, out CallFilter? filter);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if ((flags & Misc.SECCOMP_FILTER_FLAG_TSYNC) != 0)
        {
            return Synchronize(task, filter!, (flags & Misc.SECCOMP_FILTER_FLAG_TSYNC_ESRCH) != 0);
        }

        task.SeccompFilter = filter;
        return 0;
    }

    /// <summary>struct sock_fprog: a length and an address.</summary>
    private static Errno ReadProgram(Task task, ulong address, out BpfInstruction[] program)
    {
        program = [];
        if (task.Memory.CopyIn(address, out ushort length) != Errno.None || task.Memory.CopyIn(unchecked(address + 8), out ulong place) != Errno.None)
        {
            return Errno.EFAULT;
        }

        if (length is 0 or > CallFilter.MaxLength)
        {
            return Errno.EINVAL;
        }

        program = new BpfInstruction[length];
        Span<byte> bytes = MemoryMarshal.AsBytes(program.AsSpan());
        return task.Memory.CopyIn(place, bytes) == bytes.Length ? Errno.None : Errno.EFAULT;
    }

    /// <summary>All threads get the filter, or none: one that has gone its own way is named, or ESRCH.</summary>
    private static long Synchronize(Task task, CallFilter filter, bool plainError)
    {
        lock (task.Kernel.TaskLock)
        {
            foreach (Task thread in task.ThreadGroup.Tasks)
            {
                if (thread != task && !thread.HasExited
                    && (thread.IsSeccompStrict || (thread.SeccompFilter is CallFilter own && !own.IsAncestorOf(task.SeccompFilter))))
                {
                    return plainError ? -(long)Errno.ESRCH : thread.ThreadId;
                }
            }

            foreach (Task thread in task.ThreadGroup.Tasks)
            {
                if (task.Credentials.NoNewPrivileges && !thread.Credentials.NoNewPrivileges)
                {
                    thread.Credentials = thread.Credentials with { NoNewPrivileges = true };
                }

                thread.SeccompFilter = filter;
            }

            return 0;
        }
    }
}
