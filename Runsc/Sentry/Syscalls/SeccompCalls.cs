using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Seccomp;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>seccomp(2). No listeners: SECCOMP_FILTER_FLAG_NEW_LISTENER is EINVAL.</summary>
internal static unsafe class SeccompCalls
{
    private const ulong KnownFlags = Misc.SECCOMP_FILTER_FLAG_TSYNC | Misc.SECCOMP_FILTER_FLAG_LOG | Misc.SECCOMP_FILTER_FLAG_SPEC_ALLOW | Misc.SECCOMP_FILTER_FLAG_TSYNC_ESRCH;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.seccomp, "seccomp", &Seccomp, "int,hex,ptr");
    }

    private static long Seccomp(Task task, in SyscallArguments a)
    {
        switch (a.Int0)
        {
            case Misc.SECCOMP_SET_MODE_STRICT:
                return a.UInt1 != 0 || a.A2 != 0 ? -(long)Errno.EINVAL : -(long)task.SetStrictSeccomp();
            case Misc.SECCOMP_SET_MODE_FILTER:
                return SetFilter(task, a.UInt1, a.A2);
            case Misc.SECCOMP_GET_ACTION_AVAIL:
                return a.UInt1 != 0 ? -(long)Errno.EINVAL : task.Memory.CopyIn(a.A2, out uint action) != Errno.None ? -(long)Errno.EFAULT : IsAvailable(action);
            case Misc.SECCOMP_GET_NOTIF_SIZES:
            {
                // seccomp_notif, seccomp_notif_resp, seccomp_data.
                ReadOnlySpan<ushort> sizes = [80, 24, SeccompData.SizeInBytes];
                return a.UInt1 != 0 ? -(long)Errno.EINVAL : task.Memory.CopyOut(a.A2, MemoryMarshal.AsBytes(sizes)) == 6 ? 0 : -(long)Errno.EFAULT;
            }

            default:
                return -(long)Errno.EINVAL;
        }
    }

    private static long IsAvailable(uint action) => action switch
    {
        Misc.SECCOMP_RET_KILL_PROCESS or Misc.SECCOMP_RET_KILL_THREAD or Misc.SECCOMP_RET_TRAP or Misc.SECCOMP_RET_ERRNO or Misc.SECCOMP_RET_LOG or Misc.SECCOMP_RET_ALLOW => 0,
        _ => -(long)Errno.EOPNOTSUPP,
    };

    /// <summary>prctl(PR_SET_SECCOMP).</summary>
    public static long SetMode(Task task, ulong mode, ulong filter) => mode switch
    {
        Misc.SECCOMP_MODE_STRICT => -(long)task.SetStrictSeccomp(),
        Misc.SECCOMP_MODE_FILTER => SetFilter(task, 0, filter),
        _ => -(long)Errno.EINVAL,
    };

    private static long SetFilter(Task task, uint flags, ulong address)
    {
        const ulong both = Misc.SECCOMP_FILTER_FLAG_TSYNC | Misc.SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
        if ((flags & ~KnownFlags) != 0 || (flags & both) == Misc.SECCOMP_FILTER_FLAG_TSYNC_ESRCH)
        {
            return -(long)Errno.EINVAL;
        }

        // struct sock_fprog: a length, padding, a pointer.
        if (task.Memory.CopyIn(address, out ushort length) != Errno.None || task.Memory.CopyIn(address + 8, out ulong pointer) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (length is 0 or > ClassicBpf.MaxLength)
        {
            return -(long)Errno.EINVAL;
        }

        if (!task.Credentials.NoNewPrivileges && !task.Credentials.HasOwnCapability(Capability.CAP_SYS_ADMIN))
        {
            return -(long)Errno.EACCES;
        }

        Errno error = BpfProgram.TryRead(task.Memory, pointer, length, out BpfProgram? program);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        bool synchronize = (flags & Misc.SECCOMP_FILTER_FLAG_TSYNC) != 0;
        error = task.AddSeccompFilter(program!, (flags & Misc.SECCOMP_FILTER_FLAG_LOG) != 0, synchronize, out int obstacle);
        if (error == Errno.None && obstacle != 0)
        {
            return (flags & Misc.SECCOMP_FILTER_FLAG_TSYNC_ESRCH) != 0 ? -(long)Errno.ESRCH : obstacle;
        }

        return -(long)error;
    }
}
