using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Time;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>The interval timers (setitimer(2)) and POSIX timers (timer_create(2)) of a process. Guarded by the kernel's task lock.</summary>
internal sealed class ProcessTimers(ThreadGroup group)
{
    // Seconds that fit in nanoseconds.
    private const ulong MaxSeconds = 9_000_000_000;

    private readonly IntervalTimer[] _intervals =
        [new(group, Signal.SIGALRM, ProcessClock.Realtime), new(group, Signal.SIGVTALRM, ProcessClock.User), new(group, Signal.SIGPROF, ProcessClock.Processor)];

    private readonly SortedList<int, PosixTimer> _posix = [];

    // RLIMIT_CPU: made when there is such a limit.
    private Countdown? _processorLimit;
    private int _nextId;

    /// <summary>ITIMER_REAL, ITIMER_VIRTUAL or ITIMER_PROF.</summary>
    public IntervalTimer Interval(int which) => _intervals[which];

    /// <summary>
    /// Lock held: task lock. RLIMIT_CPU was set or inherited: beyond the soft limit SIGXCPU comes every second, at the hard limit SIGKILL (getrlimit(2)).
    /// </summary>
    public void SetProcessorLimitLocked(ulong softSeconds)
    {
        if (softSeconds == Resource.RLIM_INFINITY)
        {
            _processorLimit?.ArmLocked(-1, 0);
            return;
        }

        _processorLimit ??= new Countdown(group, ProcessClock.Processor, ProcessorLimitReachedLocked);
        _processorLimit.ArmLocked((long)Math.Min(softSeconds, MaxSeconds) * ClockMath.Second, 0);
    }

    private void ProcessorLimitReachedLocked(Countdown limit, long count)
    {
        long now = limit.NowLocked();
        bool isHard = (ulong)(now / ClockMath.Second) >= group.Limits.Get(Resource.RLIMIT_CPU).Hard;
        _ = group.SendLocked(SignalInfo.Kernel(isHard ? Signal.SIGKILL : Signal.SIGXCPU), null);
        limit.ArmLocked(now + ClockMath.Second, 0);
    }

    /// <summary>Lock held: task lock. A new timer, disarmed.</summary>
    public PosixTimer AddLocked(int clock, int notify, int signal, ulong value, Task? target)
    {
        PosixTimer timer = new(group, _nextId++, clock, notify, signal, value, target);
        _posix.Add(timer.Id, timer);
        return timer;
    }

    public PosixTimer? FindLocked(int id) => _posix.GetValueOrDefault(id);

    public int CountLocked => _posix.Count;

    public IEnumerable<PosixTimer> AllLocked => _posix.Values;

    /// <summary>Lock held: task lock. timer_delete(2).</summary>
    public void DeleteLocked(PosixTimer timer)
    {
        _posix.Remove(timer.Id);
        timer.DisarmLocked();
    }

    /// <summary>Lock held: task lock. execve: POSIX timers go, interval timers stay.</summary>
    public void DeletePosixLocked()
    {
        foreach (PosixTimer timer in _posix.Values)
        {
            timer.DisarmLocked();
        }

        _posix.Clear();
    }

    /// <summary>Lock held: task lock. The process ends.</summary>
    public void StopLocked()
    {
        DeletePosixLocked();
        foreach (IntervalTimer timer in _intervals)
        {
            timer.SetLocked(0, 0);
        }

        _processorLimit?.ArmLocked(-1, 0);
    }

    /// <summary>Lock held: task lock. The signal of a POSIX timer is being delivered: it carries the overruns until now.</summary>
    public void SignalTakenLocked(ref SignalInfo info)
    {
        if (_posix.TryGetValue(info.ProcessId, out PosixTimer? timer))
        {
            info.Uid = (uint)timer.TakeOverrunLocked();
        }
    }
}

/// <summary>What a timer of a process counts.</summary>
internal enum ProcessClock
{
    Realtime,

    /// <summary>Time in the application.</summary>
    User,

    /// <summary>Time in the application and in the kernel for it.</summary>
    Processor,
}

/// <summary>
/// A countdown on real or processor time. Processor time is looked at again when it could be up at the earliest: it goes at most as
/// fast as real time does on each processor.
/// </summary>
internal sealed class Countdown
{
    // With all processors busy, this fraction of a second at least lies between two looks.
    private const long ShortestLook = 1_000_000;

    private readonly ThreadGroup _group;
    private readonly ProcessClock _clock;
    private readonly Action<Countdown, long> _expired;
    private readonly KernelTimer _timer;

    // Guarded by the task lock. In units of the clock; negative: disarmed.
    private long _expiry = -1;
    private long _period;

    public Countdown(ThreadGroup group, ProcessClock clock, Action<Countdown, long> expired)
    {
        _group = group;
        _clock = clock;
        _expired = expired;
        _timer = new KernelTimer(group.Kernel.Timers, OnTimer);
    }

    /// <summary>Lock held: task lock. What the clock shows, in nanoseconds.</summary>
    public long NowLocked()
    {
        if (_clock == ProcessClock.Realtime)
        {
            return _group.Kernel.Clock.Monotonic;
        }

        (long user, long system) = _group.CpuTimeLocked();
        return _clock == ProcessClock.User ? user : user + system;
    }

    /// <summary>Lock held: task lock. Expires at <paramref name="expiry"/> on the clock (negative: never), then every <paramref name="period"/>.</summary>
    public void ArmLocked(long expiry, long period)
    {
        _expiry = expiry;
        _period = period;
        ScheduleLocked();
    }

    /// <summary>Lock held: task lock. Nanoseconds left (0: disarmed, else at least 1), and the period.</summary>
    public long RemainingLocked(out long period)
    {
        period = _period;
        return _expiry < 0 ? 0 : Math.Max(_expiry - NowLocked(), 1);
    }

    private void ScheduleLocked()
    {
        if (_expiry < 0)
        {
            _timer.Set(-1, 0);
        }
        else if (_clock == ProcessClock.Realtime)
        {
            _timer.Set(_expiry, 0);
        }
        else
        {
            int threads = Math.Clamp(_group.LiveCountLocked(), 1, _group.Kernel.Processors);
            long left = Math.Max((_expiry - NowLocked()) / threads, ShortestLook);
            long now = _group.Kernel.Clock.Monotonic;
            _timer.Set(left > long.MaxValue - now ? long.MaxValue : now + left, 0);
        }
    }

    private void OnTimer(KernelTimer timer)
    {
        lock (_group.Kernel.TaskLock)
        {
            if (_expiry < 0)
            {
                return;
            }

            long now = NowLocked();
            if (now >= _expiry)
            {
                long count = 1;
                if (_period > 0)
                {
                    count += (now - _expiry) / _period;
                    _expiry += count * _period;
                }
                else
                {
                    _expiry = -1;
                }

                _expired(this, count);
            }

            ScheduleLocked();
        }
    }
}

/// <summary>One of the three timers of setitimer(2).</summary>
internal sealed class IntervalTimer
{
    private readonly Countdown _countdown;

    public IntervalTimer(ThreadGroup group, int signal, ProcessClock clock)
    {
        _countdown = new Countdown(group, clock, (_, _) => group.SendLocked(SignalInfo.Kernel(signal), null));
    }

    /// <summary>Lock held: task lock. Value 0 disarms. Nanoseconds.</summary>
    public void SetLocked(long value, long period)
    {
        long now = value == 0 ? 0 : _countdown.NowLocked();
        _countdown.ArmLocked(value == 0 ? -1 : value > long.MaxValue - now ? long.MaxValue : now + value, period);
    }

    /// <summary>Lock held: task lock. Nanoseconds left and the period.</summary>
    public long GetLocked(out long period) => _countdown.RemainingLocked(out period);
}

/// <summary>A timer of timer_create(2).</summary>
internal sealed class PosixTimer
{
    private readonly ThreadGroup _group;
    private readonly Countdown _countdown;

    // Guarded by the task lock: expirations since the queued signal was made, and those of the last delivery.
    private long _overrun;
    private int _lastOverrun;

    public PosixTimer(ThreadGroup group, int id, int clock, int notify, int signal, ulong value, Task? target)
    {
        _group = group;
        Id = id;
        Clock = clock;
        Notify = notify;
        SignalNumber = signal;
        Value = value;
        Target = target;
        ProcessClock kind = clock is TimeConstants.CLOCK_PROCESS_CPUTIME_ID or TimeConstants.CLOCK_THREAD_CPUTIME_ID ? ProcessClock.Processor : ProcessClock.Realtime;
        _countdown = new Countdown(group, kind, Expired);
    }

    public int Id { get; }

    public int Clock { get; }

    public int Notify { get; }

    public int SignalNumber { get; }

    public ulong Value { get; set; }

    /// <summary>The thread that gets the signal (SIGEV_THREAD_ID); null: the process.</summary>
    public Task? Target { get; }

    /// <summary>Lock held: task lock. <paramref name="expiry"/> on CLOCK_MONOTONIC or the processor clock; negative disarms.</summary>
    public void ArmLocked(long expiry, long period)
    {
        DropSignalLocked();
        _countdown.ArmLocked(expiry, period);
    }

    /// <summary>Lock held: task lock. An expiry so far from now, for relative times.</summary>
    public long AfterLocked(long value)
    {
        long now = _countdown.NowLocked();
        return value > long.MaxValue - now ? long.MaxValue : now + value;
    }

    public void DisarmLocked() => ArmLocked(-1, 0);

    public long RemainingLocked(out long period) => _countdown.RemainingLocked(out period);

    /// <summary>timer_getoverrun(2): expirations missed at the last delivery.</summary>
    public int OverrunLocked => _lastOverrun;

    public int TakeOverrunLocked()
    {
        _lastOverrun = (int)Math.Min(_overrun, int.MaxValue);
        _overrun = 0;
        return _lastOverrun;
    }

    private SignalQueue Queue => Target?.Pending ?? _group.SharedPending;

    private void DropSignalLocked()
    {
        if (Notify != Signal.SIGEV_NONE)
        {
            Queue.DropTimer(SignalNumber, Id);
        }

        _overrun = 0;
        _lastOverrun = 0;
    }

    private void Expired(Countdown countdown, long count)
    {
        if (Notify == Signal.SIGEV_NONE)
        {
            return;
        }

        if (Queue.HasTimer(SignalNumber, Id))
        {
            _overrun += count;
            return;
        }

        _overrun = count - 1;
        SignalInfo info = new() { Signal = SignalNumber, Code = SignalInfo.SI_TIMER, ProcessId = Id, Value = Value };
        _ = _group.SendLocked(info, Target);
    }
}
