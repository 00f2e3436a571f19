using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Syscalls;

/// <summary>Times in the application's memory.</summary>
internal static class TimeArguments
{
    /// <summary>A relative timeout as struct timespec; address 0: for ever. EFAULT, EINVAL.</summary>
    public static Errno ReadTimeout(Task task, ulong address, out Deadline deadline)
    {
        deadline = Deadline.Infinite;
        if (address == 0)
        {
            return Errno.None;
        }

        Errno error = task.Memory.CopyIn(address, out Timespec time);
        if (error != Errno.None)
        {
            return error;
        }

        if (!time.IsValid)
        {
            return Errno.EINVAL;
        }

        deadline = Deadline.After(time.ToNanoseconds());
        return Errno.None;
    }

    /// <summary>As <see cref="ReadTimeout"/>, for struct timeval; microseconds beyond a second are carried over as select(2) does.</summary>
    public static Errno ReadTimevalTimeout(Task task, ulong address, out Deadline deadline)
    {
        deadline = Deadline.Infinite;
        if (address == 0)
        {
            return Errno.None;
        }

        Errno error = task.Memory.CopyIn(address, out Timeval time);
        if (error != Errno.None)
        {
            return error;
        }

        if (time.Seconds < 0 || time.Microseconds < 0)
        {
            return Errno.EINVAL;
        }

        Timespec exact = new() { Seconds = unchecked(time.Seconds + (time.Microseconds / 1_000_000)), Nanoseconds = time.Microseconds % 1_000_000 * 1000 };
        deadline = Deadline.After(exact.Seconds < 0 ? long.MaxValue : exact.ToNanoseconds());
        return Errno.None;
    }

    /// <summary>A point of one of the caller's clocks as one of the kernel's CLOCK_MONOTONIC, in nanoseconds.</summary>
    public static long ToMonotonic(Task task, int clock, long point)
    {
        bool realtime = clock is TimeConstants.CLOCK_REALTIME or TimeConstants.CLOCK_TAI or TimeConstants.CLOCK_REALTIME_ALARM;
        return ClockMath.ToMonotonic(task.Kernel.Clock, realtime, realtime ? point : task.TimeOffsets.ToKernel(clock, point));
    }

    /// <summary>A point of a clock as a deadline; address 0: for ever. EFAULT, EINVAL.</summary>
    public static Errno ReadAbsolute(Task task, ulong address, int clock, out Deadline deadline)
    {
        deadline = Deadline.Infinite;
        if (address == 0)
        {
            return Errno.None;
        }

        Errno error = task.Memory.CopyIn(address, out Timespec time);
        if (error != Errno.None)
        {
            return error;
        }

        if (!time.IsValid)
        {
            return Errno.EINVAL;
        }

        deadline = new Deadline(ToMonotonic(task, clock, time.ToNanoseconds()));
        return Errno.None;
    }
}
