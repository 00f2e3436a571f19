using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>Owners of descriptors for SIGIO (fcntl(2), "Managing signals"). They are kept and told; signals are not sent yet.</summary>
internal static class AsyncIo
{
    private const int F_SETOWN_TID = 0, F_SETOWN_PID = 1, F_SETOWN_PGRP = 2;

    public static long Control(Task task, FileDescription file, int command, ulong argument)
    {
        AsyncOwner owner = file.AsyncOwner;
        switch (command)
        {
            case Fcntl.F_GETOWN:
                return owner.Kind == F_SETOWN_PGRP ? -owner.Id : owner.Id;
            case Fcntl.F_SETOWN:
            {
                int id = unchecked((int)argument);
                file.AsyncOwner = id < 0 ? owner with { Kind = F_SETOWN_PGRP, Id = unchecked(-id) } : owner with { Kind = F_SETOWN_PID, Id = id };
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

                file.AsyncOwner = owner with { Kind = kind, Id = who };
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
