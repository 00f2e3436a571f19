using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Syscalls;

/// <summary>Clocks and sleeping (clock_gettime(2), clock_nanosleep(2), times(2)).</summary>
internal static unsafe class ClockCalls
{
    private const long CoarseTick = 4_000_000;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.clock_gettime, "clock_gettime", &GetTime, "clock,ptr");
        b.Add(SysNo.clock_getres, "clock_getres", &GetResolution, "clock,ptr");
        b.Add(SysNo.clock_settime, "clock_settime", &SetTime, "clock,timespec");
        b.Add(SysNo.gettimeofday, "gettimeofday", &GetTimeOfDay, "ptr,ptr");
        b.Add(SysNo.settimeofday, "settimeofday", &SetTimeOfDay, "ptr,ptr");
        b.Add(SysNo.time, "time", &GetSeconds, "ptr");
        b.Add(SysNo.nanosleep, "nanosleep", &NanoSleep, "timespec,ptr");
        b.Add(SysNo.clock_nanosleep, "clock_nanosleep", &ClockNanoSleep, "clock,hex,timespec,ptr");
        b.Add(SysNo.times, "times", &Times, "ptr");
        b.Add(SysNo.adjtimex, "adjtimex", &AdjustTime, "ptr");
        b.Add(SysNo.clock_adjtime, "clock_adjtime", &AdjustClock, "clock,ptr");
    }

    /// <summary>What a clock shows, in nanoseconds; EINVAL when it is not there.</summary>
    private static Errno Read(Task task, int clock, out long now)
    {
        IClock source = task.Kernel.Clock;
        now = 0;
        switch (clock)
        {
            case TimeConstants.CLOCK_REALTIME:
            case TimeConstants.CLOCK_REALTIME_ALARM:
            case TimeConstants.CLOCK_TAI:
                now = source.Realtime;
                return Errno.None;
            case TimeConstants.CLOCK_REALTIME_COARSE:
                now = source.Realtime / CoarseTick * CoarseTick;
                return Errno.None;
            case TimeConstants.CLOCK_MONOTONIC:
            case TimeConstants.CLOCK_MONOTONIC_RAW:
            case TimeConstants.CLOCK_BOOTTIME:
            case TimeConstants.CLOCK_BOOTTIME_ALARM:
                now = source.Monotonic + task.TimeOffsets.Of(clock);
                return Errno.None;
            case TimeConstants.CLOCK_MONOTONIC_COARSE:
                now = (source.Monotonic / CoarseTick * CoarseTick) + task.TimeOffsets.Monotonic;
                return Errno.None;
            case TimeConstants.CLOCK_PROCESS_CPUTIME_ID:
                now = Sum(task.ThreadGroup.CpuTime, 2);
                return Errno.None;
            case TimeConstants.CLOCK_THREAD_CPUTIME_ID:
                now = Sum(task.CpuTime, 2);
                return Errno.None;
        }

        // A processor clock of a process or thread: the inverted id above three bits (clock_getcpuclockid(3)).
        if (clock >= 0)
        {
            return Errno.EINVAL;
        }

        int id = ~(clock >> 3), kind = clock & 3;
        bool isThread = (clock & 4) != 0;
        if (kind == 3)
        {
            return Errno.EINVAL;
        }

        Task? target = task;
        if (id != 0)
        {
            lock (task.Kernel.TaskLock)
            {
                target = task.Kernel.FindTaskLocked(id, task.ThreadGroup.Container);
            }
        }

        if (target is null || (isThread ? target.ThreadGroup != task.ThreadGroup : target.ThreadGroup.Leader != target && id != 0))
        {
            return Errno.EINVAL;
        }

        now = Sum(isThread ? target.CpuTime : target.ThreadGroup.CpuTime, kind);
        return Errno.None;
    }

    // CPUCLOCK_PROF: user and system; CPUCLOCK_VIRT: user; CPUCLOCK_SCHED: exact.
    private static long Sum((long User, long System) time, int kind) => kind == 1 ? time.User : time.User + time.System;

    private static long GetTime(Task task, in SyscallArguments a)
    {
        Errno error = Read(task, a.Int0, out long now);
        return error != Errno.None ? -(long)error : task.Memory.CopyOut(a.A1, Timespec.FromNanoseconds(now)) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long GetResolution(Task task, in SyscallArguments a)
    {
        Errno error = Read(task, a.Int0, out _);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long resolution = a.Int0 is TimeConstants.CLOCK_REALTIME_COARSE or TimeConstants.CLOCK_MONOTONIC_COARSE ? CoarseTick : 1;
        return a.A1 == 0 || task.Memory.CopyOut(a.A1, Timespec.FromNanoseconds(resolution)) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    // The clock belongs to the host: nobody inside has the right to set it.
    private static long SetTime(Task task, in SyscallArguments a)
    {
        if (a.Int0 != TimeConstants.CLOCK_REALTIME)
        {
            return -(long)Errno.EINVAL;
        }

        return task.Memory.CopyIn(a.A1, out Timespec _) != Errno.None ? -(long)Errno.EFAULT : -(long)Errno.EPERM;
    }

    private static long SetTimeOfDay(Task task, in SyscallArguments a) => -(long)Errno.EPERM;

    private static long AdjustTime(Task task, in SyscallArguments a) => Adjust(task, a.A0);

    private static long AdjustClock(Task task, in SyscallArguments a) => a.Int0 != TimeConstants.CLOCK_REALTIME ? -(long)Errno.EOPNOTSUPP : Adjust(task, a.A1);

    /// <summary>adjtimex(2): reading only. The clock is reported as not synchronised, since that is not known here.</summary>
    private static long Adjust(Task task, ulong address)
    {
        const int STA_UNSYNC = 0x40, TIME_ERROR = 5;
        if (task.Memory.CopyIn(address, out TimexBuffer timex) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (timex.Modes != 0)
        {
            return -(long)Errno.EPERM;
        }

        timex = default;
        timex.Status = STA_UNSYNC;
        timex.Tick = 10_000;
        timex.Tolerance = 32_768_000;
        timex.Time = Timeval.FromNanoseconds(task.Kernel.Clock.Realtime);
        return task.Memory.CopyOut(address, timex) == Errno.None ? TIME_ERROR : -(long)Errno.EFAULT;
    }

    /// <summary>struct timex.</summary>
    [System.Runtime.InteropServices.StructLayout(System.Runtime.InteropServices.LayoutKind.Explicit, Size = 208)]
    private struct TimexBuffer
    {
        [System.Runtime.InteropServices.FieldOffset(0)]
        public uint Modes;

        [System.Runtime.InteropServices.FieldOffset(40)]
        public int Status;

        [System.Runtime.InteropServices.FieldOffset(64)]
        public long Tolerance;

        [System.Runtime.InteropServices.FieldOffset(72)]
        public Timeval Time;

        [System.Runtime.InteropServices.FieldOffset(88)]
        public long Tick;
    }

    private static long GetTimeOfDay(Task task, in SyscallArguments a)
    {
        if (a.A0 != 0 && task.Memory.CopyOut(a.A0, Timeval.FromNanoseconds(task.Kernel.Clock.Realtime)) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        // struct timezone: two ints, UTC.
        return a.A1 != 0 && task.Memory.CopyOut(a.A1, 0UL) != Errno.None ? -(long)Errno.EFAULT : 0;
    }

    private static long GetSeconds(Task task, in SyscallArguments a)
    {
        long now = task.Kernel.Clock.Realtime / ClockMath.Second;
        return a.A0 != 0 && task.Memory.CopyOut(a.A0, now) != Errno.None ? -(long)Errno.EFAULT : now;
    }

    private static long NanoSleep(Task task, in SyscallArguments a)
    {
        Errno error = ReadSleep(task, a.A0, out long length);
        return error != Errno.None ? -(long)error : Sleep(task, Deadline.After(length), a.A1);
    }

    private static long ClockNanoSleep(Task task, in SyscallArguments a)
    {
        Errno error = Read(task, a.Int0, out long now);
        if (error != Errno.None || a.Int0 == TimeConstants.CLOCK_THREAD_CPUTIME_ID)
        {
            return -(long)Errno.EINVAL;
        }

        bool isProcessor = a.Int0 is TimeConstants.CLOCK_PROCESS_CPUTIME_ID or < 0;
        if (isProcessor || a.Int0 is TimeConstants.CLOCK_REALTIME_COARSE or TimeConstants.CLOCK_MONOTONIC_COARSE or TimeConstants.CLOCK_MONOTONIC_RAW)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        error = ReadSleep(task, a.A2, out long value);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if ((a.Int1 & TimeConstants.TIMER_ABSTIME) == 0)
        {
            return Sleep(task, Deadline.After(value), a.A3);
        }

        Deadline deadline = new(TimeArguments.ToMonotonic(task, a.Int0, value));
        while (true)
        {
            error = task.Block(deadline);
            if (error == Errno.ETIMEDOUT)
            {
                return 0;
            }

            if (error != Errno.None)
            {
                return -(long)Errno.ERESTARTNOHAND;
            }
        }
    }

    private static Errno ReadSleep(Task task, ulong address, out long length)
    {
        length = 0;
        if (task.Memory.CopyIn(address, out Timespec time) != Errno.None)
        {
            return Errno.EFAULT;
        }

        length = time.IsValid ? time.ToNanoseconds() : 0;
        return time.IsValid ? Errno.None : Errno.EINVAL;
    }

    private static long Sleep(Task task, in Deadline deadline, ulong remaining)
    {
        while (true)
        {
            Errno error = task.Block(deadline);
            if (error == Errno.ETIMEDOUT)
            {
                return 0;
            }

            if (error == Errno.None)
            {
                continue;
            }

            if (remaining != 0)
            {
                long left = deadline.Nanoseconds - task.Kernel.Clock.Monotonic;
                if (task.Memory.CopyOut(remaining, Timespec.FromNanoseconds(left > 0 ? left : 0)) != Errno.None)
                {
                    return -(long)Errno.EFAULT;
                }
            }

            task.RestartDeadline = deadline.Nanoseconds;
            task.RestartA = remaining;
            return task.SetRestart(&RestartSleep);
        }
    }

    private static long RestartSleep(Task task) => Sleep(task, new Deadline(task.RestartDeadline), task.RestartA);

    private static long Times(Task task, in SyscallArguments a)
    {
        if (a.A0 != 0)
        {
            (long user, long system) = task.ThreadGroup.CpuTime;
            (long childUser, long childSystem) children;
            lock (task.Kernel.TaskLock)
            {
                children = task.ThreadGroup.ChildrenTime;
            }

            System.Span<long> buffer =
            [
                user / ClockMath.NanosecondsPerTick, system / ClockMath.NanosecondsPerTick,
                children.childUser / ClockMath.NanosecondsPerTick, children.childSystem / ClockMath.NanosecondsPerTick,
            ];
            if (task.Memory.CopyOut(a.A0, System.Runtime.InteropServices.MemoryMarshal.AsBytes(buffer)) != 32)
            {
                return -(long)Errno.EFAULT;
            }
        }

        return task.Kernel.UptimeNanoseconds / ClockMath.NanosecondsPerTick;
    }
}
