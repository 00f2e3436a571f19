using System;
using System.Text;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Tasks;

namespace Runsc.Sentry.Syscalls;

/// <summary>prctl(2), arch_prctl(2), personality(2).</summary>
internal static unsafe class PrctlCalls
{
    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.prctl, "prctl", &DoPrctl, "prctl,hex,hex,hex,hex");
        b.Add(SysNo.arch_prctl, "arch_prctl", &ArchPrctl, "hex,ptr");
        b.Add(SysNo.personality, "personality", &Personality, "hex");
    }

    private static long DoPrctl(Task task, in SyscallArguments a)
    {
        ThreadGroup group = task.ThreadGroup;
        Credentials credentials = task.Credentials;
        bool restIsZero = (a.A2 | a.A3 | a.A4) == 0;
        switch (a.Int0)
        {
            case Prctl.PR_SET_PDEATHSIG:
                if (a.A1 > 64)
                {
                    return -(long)Errno.EINVAL;
                }

                task.ParentDeathSignal = (int)a.A1;
                return 0;
            case Prctl.PR_GET_PDEATHSIG:
                return CopyOut(task, a.A1, task.ParentDeathSignal);
            case Prctl.PR_GET_DUMPABLE:
                return group.Dumpable;
            case Prctl.PR_SET_DUMPABLE:
                if (a.A1 > 1)
                {
                    return -(long)Errno.EINVAL;
                }

                group.Dumpable = (int)a.A1;
                return 0;
            case Prctl.PR_GET_KEEPCAPS:
                return task.KeepCapabilities ? 1 : 0;
            case Prctl.PR_SET_KEEPCAPS:
                if (a.A1 > 1)
                {
                    return -(long)Errno.EINVAL;
                }

                if ((credentials.SecureBits & Prctl.SECBIT_KEEP_CAPS_LOCKED) != 0)
                {
                    return -(long)Errno.EPERM;
                }

                task.Credentials = credentials with
                {
                    SecureBits = a.A1 != 0 ? credentials.SecureBits | (uint)Prctl.SECBIT_KEEP_CAPS : credentials.SecureBits & ~(uint)Prctl.SECBIT_KEEP_CAPS,
                };
                return 0;
            case Prctl.PR_SET_NAME:
            {
                Span<byte> name = stackalloc byte[16];
                name.Clear();
                long length = task.Memory.CopyInString(a.A1, name);
                if (length < 0 && length != -(long)Errno.ENAMETOOLONG)
                {
                    return length;
                }

                name[15] = 0;
                task.Name = Encoding.Latin1.GetString(name[..name.IndexOf((byte)0)]);
                return 0;
            }

            case Prctl.PR_GET_NAME:
            {
                Span<byte> name = stackalloc byte[16];
                name.Clear();
                Encoding.Latin1.GetBytes(task.Name, name);
                return task.Memory.CopyOut(a.A1, name) == 16 ? 0 : -(long)Errno.EFAULT;
            }

            case Prctl.PR_GET_SECCOMP:
                return task.SeccompMode;
            case Prctl.PR_SET_SECCOMP:
                return SeccompCalls.SetMode(task, a.A1, a.A2);
            case Prctl.PR_CAPBSET_READ:
                return a.A1 > Capability.CAP_LAST_CAP ? -(long)Errno.EINVAL : (long)((credentials.Bounding >> (int)a.A1) & 1);
            case Prctl.PR_CAPBSET_DROP:
                if (!credentials.HasOwnCapability(Capability.CAP_SETPCAP))
                {
                    return -(long)Errno.EPERM;
                }

                if (a.A1 > Capability.CAP_LAST_CAP)
                {
                    return -(long)Errno.EINVAL;
                }

                task.Credentials = credentials with { Bounding = credentials.Bounding & ~(1UL << (int)a.A1) };
                return 0;
            case Prctl.PR_GET_SECUREBITS:
                return credentials.SecureBits;
            case Prctl.PR_SET_SECUREBITS:
                return SetSecureBits(task, a.A1);
            case Prctl.PR_SET_TIMERSLACK:
                task.TimerSlack = a.Long1 <= 0 ? 50_000 : a.A1;
                return 0;
            case Prctl.PR_GET_TIMERSLACK:
                return (long)task.TimerSlack;
            case Prctl.PR_SET_CHILD_SUBREAPER:
                lock (task.Kernel.TaskLock)
                {
                    group.IsChildSubreaper = a.A1 != 0;
                    if (a.A1 != 0)
                    {
                        group.MarkDescendantsOfSubreaperLocked();
                    }
                }

                return 0;
            case Prctl.PR_GET_CHILD_SUBREAPER:
                return CopyOut(task, a.A1, group.IsChildSubreaper ? 1 : 0);
            case Prctl.PR_SET_NO_NEW_PRIVS:
                if (a.A1 != 1 || !restIsZero)
                {
                    return -(long)Errno.EINVAL;
                }

                task.Credentials = credentials with { NoNewPrivileges = true };
                return 0;
            case Prctl.PR_GET_NO_NEW_PRIVS:
                return a.A1 != 0 || !restIsZero ? -(long)Errno.EINVAL : credentials.NoNewPrivileges ? 1 : 0;
            case Prctl.PR_GET_TID_ADDRESS:
                return task.Memory.CopyOut(a.A1, task.ClearThreadId) == Errno.None ? 0 : -(long)Errno.EFAULT;
            case Prctl.PR_GET_THP_DISABLE:
                return a.A1 != 0 || !restIsZero ? -(long)Errno.EINVAL : group.HugePagesDisabled ? 1 : 0;
            case Prctl.PR_SET_THP_DISABLE:
                if (!restIsZero)
                {
                    return -(long)Errno.EINVAL;
                }

                group.HugePagesDisabled = a.A1 != 0;
                return 0;
            case Prctl.PR_CAP_AMBIENT:
                return Ambient(task, a);
            case Prctl.PR_SET_VMA:
                return a.A1 != Prctl.PR_SET_VMA_ANON_NAME ? -(long)Errno.EINVAL : SetAnonymousName(task, a);
            case Prctl.PR_GET_TIMING:
                return Prctl.PR_TIMING_STATISTICAL;
            case Prctl.PR_SET_TIMING:
                return a.A1 == Prctl.PR_TIMING_STATISTICAL ? 0 : -(long)Errno.EINVAL;
            case Prctl.PR_GET_TSC:
                return CopyOut(task, a.A1, Prctl.PR_TSC_ENABLE);
            case Prctl.PR_SET_PTRACER:
                // Yama is not there.
                return -(long)Errno.EINVAL;
            case Prctl.PR_TASK_PERF_EVENTS_DISABLE:
            case Prctl.PR_TASK_PERF_EVENTS_ENABLE:
                return 0;
            default:
                Log.Debug($"prctl: operation {a.Int0} is not there");
                return -(long)Errno.EINVAL;
        }
    }

    private static long SetAnonymousName(Task task, in SyscallArguments a)
    {
        string? name = null;
        if (a.A4 != 0)
        {
            Span<byte> buffer = stackalloc byte[80];
            long length = task.Memory.CopyInString(a.A4, buffer);
            if (length < 0)
            {
                return length == -(long)Errno.ENAMETOOLONG ? -(long)Errno.EINVAL : length;
            }

            // Printable, and nothing that /proc/PID/maps gives a meaning.
            foreach (byte c in buffer[..(int)length])
            {
                if (c is < 0x20 or >= 0x7f or (byte)'\\' or (byte)'`' or (byte)'$' or (byte)'[' or (byte)']')
                {
                    return -(long)Errno.EINVAL;
                }
            }

            name = Encoding.ASCII.GetString(buffer[..(int)length]);
        }

        return -(long)task.Memory.SetAnonymousName(a.A2, a.A3, name);
    }

    private static long SetSecureBits(Task task, ulong wanted)
    {
        Credentials credentials = task.Credentials;
        const uint all = 0xff, locks = 0xaa;
        if (!credentials.HasOwnCapability(Capability.CAP_SETPCAP) || (wanted & ~all) != 0)
        {
            return -(long)Errno.EPERM;
        }

        uint bits = (uint)wanted, old = credentials.SecureBits;

        // Locks stay, and what is locked does not change.
        if ((old & locks & ~bits) != 0 || (((old & locks) >> 1) & (old ^ bits)) != 0)
        {
            return -(long)Errno.EPERM;
        }

        task.Credentials = credentials with { SecureBits = bits };
        return 0;
    }

    private static long Ambient(Task task, in SyscallArguments a)
    {
        Credentials credentials = task.Credentials;
        if (a.A1 == Prctl.PR_CAP_AMBIENT_CLEAR_ALL)
        {
            if ((a.A2 | a.A3 | a.A4) != 0)
            {
                return -(long)Errno.EINVAL;
            }

            task.Credentials = credentials with { Ambient = 0 };
            return 0;
        }

        if (a.A2 > Capability.CAP_LAST_CAP || (a.A3 | a.A4) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        ulong bit = 1UL << (int)a.A2;
        switch (a.A1)
        {
            case Prctl.PR_CAP_AMBIENT_IS_SET:
                return (credentials.Ambient & bit) != 0 ? 1 : 0;
            case Prctl.PR_CAP_AMBIENT_RAISE:
                if ((credentials.Permitted & credentials.Inheritable & bit) == 0 || (credentials.SecureBits & Prctl.SECBIT_NO_CAP_AMBIENT_RAISE) != 0)
                {
                    return -(long)Errno.EPERM;
                }

                task.Credentials = credentials with { Ambient = credentials.Ambient | bit };
                return 0;
            case Prctl.PR_CAP_AMBIENT_LOWER:
                task.Credentials = credentials with { Ambient = credentials.Ambient & ~bit };
                return 0;
            default:
                return -(long)Errno.EINVAL;
        }
    }

    private static long ArchPrctl(Task task, in SyscallArguments a)
    {
        ulong limit = task.Kernel.Platform.UserAddressLimit;
        switch (a.Int0)
        {
            case Prctl.ARCH_SET_FS:
                if (a.A1 >= limit)
                {
                    return -(long)Errno.EPERM;
                }

                task.Context.Frame.FsBase = a.A1;
                return 0;
            case Prctl.ARCH_SET_GS:
                if (a.A1 >= limit)
                {
                    return -(long)Errno.EPERM;
                }

                task.Context.Frame.GsBase = a.A1;
                return 0;
            case Prctl.ARCH_GET_FS:
                return task.Memory.CopyOut(a.A1, task.Context.Frame.FsBase) == Errno.None ? 0 : -(long)Errno.EFAULT;
            case Prctl.ARCH_GET_GS:
                return task.Memory.CopyOut(a.A1, task.Context.Frame.GsBase) == Errno.None ? 0 : -(long)Errno.EFAULT;
            case Prctl.ARCH_GET_CPUID:
                return 1;
            case Prctl.ARCH_SET_CPUID:
                return -(long)Errno.ENODEV;
            case Prctl.ARCH_GET_XCOMP_SUPP:
            case Prctl.ARCH_GET_XCOMP_PERM:
                return task.Memory.CopyOut(a.A1, task.Kernel.Platform.XFeatureMask) == Errno.None ? 0 : -(long)Errno.EFAULT;
            default:
                return -(long)Errno.EINVAL;
        }
    }

    private static long Personality(Task task, in SyscallArguments a)
    {
        uint old = task.Personality;
        if (a.UInt0 != uint.MaxValue)
        {
            task.Personality = a.UInt0;
        }

        return old;
    }

    private static long CopyOut(Task task, ulong address, int value) => task.Memory.CopyOut(address, value) == Errno.None ? 0 : -(long)Errno.EFAULT;
}
