using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>Owners of files for SIGIO and SIGURG (fcntl(2), "Managing signals"): who they are, and that they are told.</summary>
internal static class AsyncIo
{
    private const int F_SETOWN_TID = 0, F_SETOWN_PID = 1, F_SETOWN_PGRP = 2;

    /// <summary>F_SETFL and FIOASYNC: the flags, and with O_ASYNC from now on signals.</summary>
    public static Errno SetFlags(Task task, FileDescription file, int descriptor, int flags)
    {
        Errno error = file.SetStatusFlags(flags);
        if (error == Errno.None && (file.StatusFlags & Fcntl.O_ASYNC) != 0 && file.SupportsPoll)
        {
            Notifier(task, file).Descriptor = descriptor;
        }

        return error;
    }

    /// <summary>SIOCGPGRP, FIOGETOWN.</summary>
    public static int GetOwner(FileDescription file)
    {
        AsyncOwner owner = file.AsyncOwner;
        return owner.Kind == F_SETOWN_PGRP ? -owner.Id : owner.Id;
    }

    private static AsyncNotifier Notifier(Task task, FileDescription file)
    {
        if (file.AsyncWaiter is null)
        {
            AsyncNotifier made = new(task.Kernel, file);
            if (Interlocked.CompareExchange(ref file.AsyncWaiter, made, null) is null)
            {
                file.Register(made);
            }
        }

        return (AsyncNotifier)file.AsyncWaiter;
    }

    // Only who is told may be signalled, by whom who made it owner might signal.
    private static void SetOwner(Task task, FileDescription file, AsyncOwner owner)
    {
        if (file.SupportsPoll)
        {
            AsyncNotifier notifier = Notifier(task, file);
            notifier.Sender = task.Credentials;
            notifier.Container = task.ThreadGroup.Container;
        }

        file.AsyncOwner = owner;
    }

    public static long Control(Task task, FileDescription file, int command, ulong argument)
    {
        AsyncOwner owner = file.AsyncOwner;
        switch (command)
        {
            case Fcntl.F_GETOWN:
                return GetOwner(file);
            case Fcntl.F_SETOWN:
            {
                int id = unchecked((int)argument);
                SetOwner(task, file, id < 0 ? owner with { Kind = F_SETOWN_PGRP, Id = unchecked(-id) } : owner with { Kind = F_SETOWN_PID, Id = id });
                return 0;
            }

            case Fcntl.F_GETOWN_EX:
                return task.Memory.CopyOut(argument, owner.Kind) == Errno.None && task.Memory.CopyOut(argument + 4, owner.Id) == Errno.None ? 0 : -(long)Errno.EFAULT;
            case Fcntl.F_SETOWN_EX:
                if (task.Memory.CopyIn(argument, out int kind) != Errno.None || task.Memory.CopyIn(argument + 4, out int who) != Errno.None)
                {
                    return -(long)Errno.EFAULT;
                }

                if (kind is < F_SETOWN_TID or > F_SETOWN_PGRP)
                {
                    return -(long)Errno.EINVAL;
                }

                SetOwner(task, file, owner with { Kind = kind, Id = who });
                return 0;
            case Fcntl.F_GETSIG:
                return owner.Signal;
            case Fcntl.F_SETSIG:
                if (argument > 64)
                {
                    return -(long)Errno.EINVAL;
                }

                file.AsyncOwner = owner with { Signal = (int)argument };
                return 0;
            default:
                return -(long)Errno.EINVAL;
        }
    }
}
