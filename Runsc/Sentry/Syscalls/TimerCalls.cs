using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Syscalls;

/// <summary>alarm(2), setitimer(2), timer_create(2) and their kin.</summary>
internal static unsafe class TimerCalls
{
    private const int ITIMER_REAL = 0, ITIMER_PROF = 2;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.alarm, "alarm", &Alarm, "uint");
        b.Add(SysNo.getitimer, "getitimer", &GetInterval, "int,ptr");
        b.Add(SysNo.setitimer, "setitimer", &SetInterval, "int,ptr,ptr");
        b.Add(SysNo.timer_create, "timer_create", &Create, "clock,ptr,ptr");
        b.Add(SysNo.timer_settime, "timer_settime", &SetTimer, "int,hex,ptr,ptr");
        b.Add(SysNo.timer_gettime, "timer_gettime", &GetTimer, "int,ptr");
        b.Add(SysNo.timer_getoverrun, "timer_getoverrun", &GetOverrun, "int");
        b.Add(SysNo.timer_delete, "timer_delete", &Delete, "int");
    }

    private static long Alarm(Task task, in SyscallArguments a)
    {
        lock (task.Kernel.TaskLock)
        {
            IntervalTimer timer = task.ThreadGroup.TimersLocked.Interval(ITIMER_REAL);
            long left = timer.GetLocked(out _);
            timer.SetLocked(a.UInt0 * ClockMath.Second, 0);

            // Rounded, but an alarm that is set is never reported as 0.
            return left == 0 ? 0 : System.Math.Max((left + (ClockMath.Second / 2)) / ClockMath.Second, 1);
        }
    }

    private static long GetInterval(Task task, in SyscallArguments a)
    {
        if (a.Int0 is < ITIMER_REAL or > ITIMER_PROF)
        {
            return -(long)Errno.EINVAL;
        }

        return task.Memory.CopyOut(a.A1, Describe(task, a.Int0)) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static Itimerval Describe(Task task, int which)
    {
        lock (task.Kernel.TaskLock)
        {
            long left = task.ThreadGroup.TimersLocked.Interval(which).GetLocked(out long period);

            // A timer that is set is never reported as 0 microseconds.
            return new Itimerval { Interval = Timeval.FromNanoseconds(period), Value = Timeval.FromNanoseconds(left is > 0 and < 1000 ? 1000 : left) };
        }
    }

    private static long SetInterval(Task task, in SyscallArguments a)
    {
        if (a.Int0 is < ITIMER_REAL or > ITIMER_PROF)
        {
            return -(long)Errno.EINVAL;
        }

        Itimerval wanted = default;
        if (a.A1 != 0 && task.Memory.CopyIn(a.A1, out wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (!IsValid(wanted.Value) || !IsValid(wanted.Interval))
        {
            return -(long)Errno.EINVAL;
        }

        Itimerval old = Describe(task, a.Int0);
        lock (task.Kernel.TaskLock)
        {
            task.ThreadGroup.TimersLocked.Interval(a.Int0).SetLocked(ToNanoseconds(wanted.Value), ToNanoseconds(wanted.Interval));
        }

        return a.A2 != 0 && task.Memory.CopyOut(a.A2, old) != Errno.None ? -(long)Errno.EFAULT : 0;
    }

    private static bool IsValid(in Timeval time) => time.Seconds >= 0 && time.Microseconds is >= 0 and < 1_000_000;

    private static long ToNanoseconds(in Timeval time) => new Timespec { Seconds = time.Seconds, Nanoseconds = time.Microseconds * 1000 }.ToNanoseconds();

    /// <summary>struct sigevent, as far as the kernel reads it.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 64)]
    private struct SignalEvent
    {
        public ulong Value;
        public int Signal;
        public int Notify;
        public int ThreadId;
    }

    private static long Create(Task task, in SyscallArguments a)
    {
        bool known = a.Int0 is TimeConstants.CLOCK_REALTIME or TimeConstants.CLOCK_MONOTONIC or TimeConstants.CLOCK_BOOTTIME or TimeConstants.CLOCK_TAI
            or TimeConstants.CLOCK_PROCESS_CPUTIME_ID or TimeConstants.CLOCK_THREAD_CPUTIME_ID;
        if (!known)
        {
            return -(long)(a.Int0 is TimeConstants.CLOCK_MONOTONIC_RAW or TimeConstants.CLOCK_REALTIME_COARSE or TimeConstants.CLOCK_MONOTONIC_COARSE
                ? Errno.EOPNOTSUPP
                : Errno.EINVAL);
        }

        SignalEvent wanted = new() { Signal = Signal.SIGALRM, Notify = Signal.SIGEV_SIGNAL };
        if (a.A1 != 0 && task.Memory.CopyIn(a.A1, out wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if ((wanted.Notify & ~Signal.SIGEV_THREAD_ID) is not (Signal.SIGEV_SIGNAL or Signal.SIGEV_NONE or Signal.SIGEV_THREAD)
            || (wanted.Notify != Signal.SIGEV_NONE && wanted.Signal is < 1 or > 64))
        {
            return -(long)Errno.EINVAL;
        }

        PosixTimer timer;
        lock (task.Kernel.TaskLock)
        {
            Task? target = null;
            if ((wanted.Notify & Signal.SIGEV_THREAD_ID) != 0)
            {
                target = task.Kernel.FindTaskLocked(wanted.ThreadId, task.ThreadGroup.Container);
                if (target is null || target.ThreadGroup != task.ThreadGroup)
                {
                    return -(long)Errno.EINVAL;
                }
            }

            ProcessTimers timers = task.ThreadGroup.TimersLocked;
            if ((ulong)timers.CountLocked >= task.ThreadGroup.Limit(Resource.RLIMIT_SIGPENDING))
            {
                return -(long)Errno.EAGAIN;
            }

            timer = timers.AddLocked(a.Int0, wanted.Notify, wanted.Signal, 0, target);
            timer.Value = a.A1 == 0 ? (ulong)timer.Id : wanted.Value;
        }

        if (task.Memory.CopyOut(a.A2, timer.Id) == Errno.None)
        {
            return 0;
        }

        lock (task.Kernel.TaskLock)
        {
            task.ThreadGroup.TimersLocked.DeleteLocked(timer);
        }

        return -(long)Errno.EFAULT;
    }

    private static long SetTimer(Task task, in SyscallArguments a)
    {
        if (a.A2 == 0)
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

        Itimerspec old;
        lock (task.Kernel.TaskLock)
        {
            PosixTimer? timer = task.ThreadGroup.TimersLocked.FindLocked(a.Int0);
            if (timer is null)
            {
                return -(long)Errno.EINVAL;
            }

            old = DescribeLocked(timer);
            long value = wanted.Value.ToNanoseconds(), expiry = -1;
            if (value != 0)
            {
                bool isProcessor = timer.Clock is TimeConstants.CLOCK_PROCESS_CPUTIME_ID or TimeConstants.CLOCK_THREAD_CPUTIME_ID;
                expiry = (a.Int1 & TimeConstants.TIMER_ABSTIME) == 0 ? timer.AfterLocked(value)
                    : isProcessor ? value
                    : TimeArguments.ToMonotonic(task, timer.Clock, value);
            }

            timer.ArmLocked(expiry, wanted.Interval.ToNanoseconds());
        }

        return a.A3 != 0 && task.Memory.CopyOut(a.A3, old) != Errno.None ? -(long)Errno.EFAULT : 0;
    }

    private static Itimerspec DescribeLocked(PosixTimer timer)
    {
        long left = timer.RemainingLocked(out long period);
        return new Itimerspec { Interval = Timespec.FromNanoseconds(period), Value = Timespec.FromNanoseconds(left) };
    }

    private static long GetTimer(Task task, in SyscallArguments a)
    {
        Itimerspec now;
        lock (task.Kernel.TaskLock)
        {
            PosixTimer? timer = task.ThreadGroup.TimersLocked.FindLocked(a.Int0);
            if (timer is null)
            {
                return -(long)Errno.EINVAL;
            }

            now = DescribeLocked(timer);
        }

        return task.Memory.CopyOut(a.A1, now) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long GetOverrun(Task task, in SyscallArguments a)
    {
        lock (task.Kernel.TaskLock)
        {
            PosixTimer? timer = task.ThreadGroup.TimersLocked.FindLocked(a.Int0);
            return timer is null ? -(long)Errno.EINVAL : timer.OverrunLocked;
        }
    }

    private static long Delete(Task task, in SyscallArguments a)
    {
        lock (task.Kernel.TaskLock)
        {
            PosixTimer? timer = task.ThreadGroup.TimersLocked.FindLocked(a.Int0);
            if (timer is null)
            {
                return -(long)Errno.EINVAL;
            }

            task.ThreadGroup.TimersLocked.DeleteLocked(timer);
            return 0;
        }
    }
}
