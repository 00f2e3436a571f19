using Runsc.Linux;
using Runsc.Sentry.FileSystems.Events;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Syscalls;

/// <summary>eventfd(2), timerfd_create(2), signalfd(2).</summary>
internal static unsafe class EventCalls
{
    private const int EFD_SEMAPHORE = 1;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.eventfd, "eventfd", &EventFd, "uint");
        b.Add(SysNo.eventfd2, "eventfd2", &EventFd2, "uint,hex");
        b.Add(SysNo.timerfd_create, "timerfd_create", &TimerFdCreate, "clock,hex");
        b.Add(SysNo.timerfd_settime, "timerfd_settime", &TimerFdSetTime, "fd,hex,ptr,ptr");
        b.Add(SysNo.timerfd_gettime, "timerfd_gettime", &TimerFdGetTime, "fd,ptr");
        b.Add(SysNo.signalfd, "signalfd", &SignalFd, "fd,sigset,size");
        b.Add(SysNo.signalfd4, "signalfd4", &SignalFd4, "fd,sigset,size,hex");
    }

    private static long Install(Task task, FileDescription file, int flags)
    {
        long fd = task.Files.Add(file, (flags & Fcntl.O_CLOEXEC) != 0, task.DescriptorLimit);
        if (fd < 0)
        {
            file.DecRef();
        }

        return fd;
    }

    private static long EventFd(Task task, in SyscallArguments a) => Install(task, new EventDescription(task.Kernel, a.UInt0, false, 0), 0);

    private static long EventFd2(Task task, in SyscallArguments a)
    {
        if ((a.Int1 & ~(EFD_SEMAPHORE | Fcntl.O_CLOEXEC | Fcntl.O_NONBLOCK)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        return Install(task, new EventDescription(task.Kernel, a.UInt0, (a.Int1 & EFD_SEMAPHORE) != 0, a.Int1 & Fcntl.O_NONBLOCK), a.Int1);
    }

    private static long TimerFdCreate(Task task, in SyscallArguments a)
    {
        bool known = a.Int0 is TimeConstants.CLOCK_REALTIME or TimeConstants.CLOCK_MONOTONIC or TimeConstants.CLOCK_BOOTTIME
            or TimeConstants.CLOCK_REALTIME_ALARM or TimeConstants.CLOCK_BOOTTIME_ALARM;
        if (!known || (a.Int1 & ~(TimeConstants.TFD_CLOEXEC | TimeConstants.TFD_NONBLOCK)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (a.Int0 is TimeConstants.CLOCK_REALTIME_ALARM or TimeConstants.CLOCK_BOOTTIME_ALARM && !task.Credentials.HasCapability(Capability.CAP_WAKE_ALARM))
        {
            return -(long)Errno.EPERM;
        }

        return Install(task, new TimerDescription(task.Kernel, a.Int0, a.Int1 & Fcntl.O_NONBLOCK), a.Int1);
    }

    private static long TimerFdSetTime(Task task, in SyscallArguments a)
    {
        if ((a.Int1 & ~(TimeConstants.TFD_TIMER_ABSTIME | TimeConstants.TFD_TIMER_CANCEL_ON_SET)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (task.Memory.CopyIn(a.A2, out Itimerspec wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (!wanted.Value.IsValid || !wanted.Interval.IsValid)
        {
            return -(long)Errno.EINVAL;
        }

        FileDescription? file = task.Files.Get(a.Int0);
        if (file is not TimerDescription timer)
        {
            long bad = file is null ? -(long)Errno.EBADF : -(long)Errno.EINVAL;
            file?.DecRef();
            return bad;
        }

        (long left, long period) = timer.Get();
        long value = wanted.Value.ToNanoseconds(), deadline = -1;
        if (value != 0)
        {
            deadline = (a.Int1 & TimeConstants.TFD_TIMER_ABSTIME) != 0
                ? TimeArguments.ToMonotonic(task, timer.Clock, value)
                : Deadline.After(value).Nanoseconds;
        }

        timer.Set(deadline, wanted.Interval.ToNanoseconds());
        file.DecRef();
        return a.A3 != 0 ? CopyOut(task, a.A3, left, period) : 0;
    }

    private static long CopyOut(Task task, ulong address, long left, long period)
    {
        Itimerspec time = new() { Interval = Timespec.FromNanoseconds(period), Value = Timespec.FromNanoseconds(left) };
        return task.Memory.CopyOut(address, time) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long TimerFdGetTime(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        long result = file switch
        {
            null => -(long)Errno.EBADF,
            TimerDescription timer => CopyOut(task, a.A1, timer.Get().Left, timer.Get().Period),
            _ => -(long)Errno.EINVAL,
        };
        file?.DecRef();
        return result;
    }

    private static long SignalFd(Task task, in SyscallArguments a) => DoSignalFd(task, a.Int0, a.A1, a.A2, 0);

    private static long SignalFd4(Task task, in SyscallArguments a) => DoSignalFd(task, a.Int0, a.A1, a.A2, a.Int3);

    private static long DoSignalFd(Task task, int fd, ulong address, ulong size, int flags)
    {
        if ((flags & ~(Fcntl.O_CLOEXEC | Fcntl.O_NONBLOCK)) != 0 || size != 8)
        {
            return -(long)Errno.EINVAL;
        }

        if (task.Memory.CopyIn(address, out ulong set) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        set &= ~Task.Unblockable;
        if (fd == -1)
        {
            return Install(task, new SignalDescription(task.Kernel, task, set, flags & Fcntl.O_NONBLOCK), flags);
        }

        FileDescription? file = task.Files.Get(fd);
        if (file is not SignalDescription signals)
        {
            long bad = file is null ? -(long)Errno.EBADF : -(long)Errno.EINVAL;
            file?.DecRef();
            return bad;
        }

        signals.Set = set;
        file.DecRef();
        return fd;
    }
}
