using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    // Job control. Guarded by the task lock.
    private int _stoppingSignal;
    private int _tasksToStop;

    /// <summary>Stopped as a whole by this signal (job control), 0 while running.</summary>
    public int StopSignal { get; private set; }

    /// <summary>A stop or continuation that the parent has not waited for yet.</summary>
    public bool StopReportable { get; internal set; }

    public bool ContinueReportable { get; internal set; }

    /// <summary>init of its container: children without a parent come to it.</summary>
    public bool IsInit { get; init; }

    /// <summary>Hears of signals that become pending, for signalfd. Notified with Internal | Readable.</summary>
    public readonly WaitQueue SignalEvents = new();

    /// <summary>Sends a signal to the process (kill(2)). EAGAIN when a real-time queue is full. Any thread, without the task lock.</summary>
    public Errno SendSignal(in SignalInfo info, bool fromOutside = false)
    {
        lock (Kernel.TaskLock)
        {
            return SendLocked(info, null, fromOutside);
        }
    }

    /// <summary>
    /// Lock held: task lock. Sends a signal to the process, or to one task of it. <paramref name="fromOutside"/>: by the control server, which
    /// stands above the container as an ancestor PID namespace does: its SIGKILL and SIGSTOP reach init.
    /// </summary>
    internal Errno SendLocked(in SignalInfo info, Task? target, bool fromOutside = false)
    {
        int signal = info.Signal;
        if (signal == 0 || IsZombie || IsDead || (target is not null && target.HasExited))
        {
            return Errno.None;
        }

        ulong bit = SignalQueue.Bit(signal);
        if (!IsExiting)
        {
            PrepareLocked(signal, bit);
        }

        Task probe = target ?? Leader;
        bool isTraced = probe.Tracer is not null && signal != Signal.SIGKILL;
        if (!probe.BlocksLocked(signal) && !isTraced && IsIgnoredLocked(signal, fromOutside))
        {
            return Errno.None;
        }

        if (IsExiting)
        {
            if (signal == Signal.SIGKILL)
            {
                // A thread may tell its tracer of its end, which must not hold up the end.
                foreach (Task task in Tasks)
                {
                    task.ResumeTraceLocked(0);
                }
            }

            return Errno.None;
        }

        SignalQueue queue = target?.Pending ?? SharedPending;
        bool refuse = info.Code is not (SignalInfo.SI_USER or SignalInfo.SI_KERNEL);
        if (!queue.Add(WithSeenSender(info, probe), Limit(Resource.RLIMIT_SIGPENDING), refuse))
        {
            return Errno.EAGAIN;
        }

        SignalEvents.Notify(EventMask.Internal | EventMask.Readable);
        Task? taker = target is null ? FindTakerLocked(signal, null) : target.WantsLocked(signal) ? target : null;
        if (taker is null)
        {
            return Errno.None;
        }

        ulong handler = Actions[signal].Handler;
        bool fatal = signal == Signal.SIGKILL
            || (handler == SignalAction.SIG_DFL && !isTraced && SignalActions.Default(signal) == DefaultAction.Terminate && !IsProtected && !taker.AwaitsLocked(signal));
        if (fatal)
        {
            // Nothing can save the process: all threads are told at once, as in Linux's complete_signal.
            StartExitLocked(signal);
            return Errno.None;
        }

        taker.InterruptLocked();
        return Errno.None;
    }

    /// <summary>The sender's user id as the receiver's user namespace has it, where the information has one (Linux: has_si_pid_and_uid).</summary>
    private static SignalInfo WithSeenSender(SignalInfo info, Task receiver)
    {
        UserNamespace users = receiver.Credentials.UserNamespace;
        if (users != UserNamespace.Initial
            && (info.Code is SignalInfo.SI_USER or SignalInfo.SI_QUEUE or SignalInfo.SI_MESGQ or SignalInfo.SI_TKILL || (info.Signal == Signal.SIGCHLD && info.Code is > 0 and < SignalInfo.SI_KERNEL)))
        {
            info.Uid = users.Uids.Shown(info.Uid);
        }

        return info;
    }

    /// <summary>What a signal does when it is made, even to those who block it: SIGCONT continues and stop signals cancel SIGCONT.</summary>
    private void PrepareLocked(int signal, ulong bit)
    {
        if (signal == Signal.SIGCONT)
        {
            DiscardLocked(Task.StopSignals);
            bool wasStopped = StopSignal != 0;
            _tasksToStop = 0;
            StopSignal = 0;
            StopReportable = false;
            foreach (Task task in Tasks)
            {
                task.ContinueLocked();
            }

            if (wasStopped)
            {
                ContinueReportable = true;
                NotifyParentOfStopLocked(SignalInfo.CLD_CONTINUED, Signal.SIGCONT);
            }
        }
        else if ((bit & Task.StopSignals) != 0)
        {
            DiscardLocked(SignalQueue.Bit(Signal.SIGCONT));
        }
    }

    /// <summary>Lock held: task lock. A signal is ignored from now on: pending ones are dropped (sigaction(2)).</summary>
    public void DiscardPendingLocked(int signal) => DiscardLocked(SignalQueue.Bit(signal));

    private void DiscardLocked(ulong set)
    {
        SharedPending.Discard(set);
        foreach (Task task in Tasks)
        {
            task.Pending.Discard(set);
        }
    }

    private bool IsIgnoredLocked(int signal, bool fromOutside)
    {
        ulong handler = Actions[signal].Handler;
        if (IsProtected && handler == SignalAction.SIG_DFL && !(fromOutside && signal is Signal.SIGKILL or Signal.SIGSTOP))
        {
            return true;
        }

        // SIGCONT has its effect when it is made; without a handler nothing is left to deliver.
        return Actions.IsIgnored(signal)
            || (handler == SignalAction.SIG_DFL && SignalActions.Default(signal) == DefaultAction.Continue);
    }

    /// <summary>A thread that can take a signal now: the leader first.</summary>
    private Task? FindTakerLocked(int signal, Task? except)
    {
        if (Leader != except && Leader.WantsLocked(signal))
        {
            return Leader;
        }

        foreach (Task task in Tasks)
        {
            if (task != except && task.WantsLocked(signal))
            {
                return task;
            }
        }

        return null;
    }

    /// <summary>Lock held: task lock. A task blocks, or ends with, shared signals that it may have been woken for: others are woken.</summary>
    internal void RetargetLocked(Task from, ulong signals)
    {
        foreach (Task task in Tasks)
        {
            if (task != from && !task.HasExited && (signals & ~task.SignalMask) != 0)
            {
                signals &= task.SignalMask;
                task.InterruptLocked();
                if (signals == 0)
                {
                    return;
                }
            }
        }
    }

    /// <summary>Lock held: task lock. A shared signal is being delivered: a POSIX timer of it is set going again.</summary>
    internal void SignalTakenLocked(ref SignalInfo info)
    {
        if (info.Code == SignalInfo.SI_TIMER)
        {
            _timers?.SignalTakenLocked(ref info);
        }
    }

    /// <summary>Lock held: task lock. All tasks end, with this wait status; the first caller's status counts.</summary>
    internal void StartExitLocked(int status)
    {
        if (IsExiting)
        {
            return;
        }

        IsExiting = true;
        ExitStatus = status;
        StopSignal = 0;
        _tasksToStop = 0;
        foreach (Task task in Tasks)
        {
            if (!task.HasExited)
            {
                task.EndLocked();
            }
        }

        // A paused sandbox lets the dead go.
        Kernel.PulsePaused();
    }

    /// <summary>Lock held: task lock. The status of a process whose last thread has called exit(2).</summary>
    internal void SetExitStatusLocked(int status)
    {
        if (!IsExiting)
        {
            IsExiting = true;
            ExitStatus = status;
        }
    }

    /// <summary>Lock held: task lock. A stop signal has been taken: every thread is to stop.</summary>
    internal void StartStopLocked(int signal)
    {
        if (IsExiting || ExecutingTask is not null)
        {
            return;
        }

        // A process that has stopped may have threads that their tracer lets run.
        if (_tasksToStop > 0)
        {
            return;
        }

        _stoppingSignal = StopSignal != 0 ? StopSignal : signal;
        foreach (Task task in Tasks)
        {
            if (task.RequestStopLocked(signal))
            {
                _tasksToStop++;
            }
        }
    }

    /// <summary>Lock held: task lock. One more thread has stopped; the last one tells the parent, unless that traces it and hears of each thread.</summary>
    internal void TaskStoppedLocked(Task task)
    {
        if (_tasksToStop == 0 || --_tasksToStop > 0 || StopSignal != 0)
        {
            return;
        }

        bool parentKnows = task.Tracer is Task tracer && tracer.ThreadGroup == Parent;
        StopSignal = _stoppingSignal;
        StopReportable = true;
        ContinueReportable = false;
        if (!parentKnows)
        {
            NotifyParentOfStopLocked(SignalInfo.CLD_STOPPED, StopSignal);
        }
    }

    /// <summary>Lock held: task lock. A thread ends that was to stop.</summary>
    internal void TaskWillNotStopLocked(Task task, bool wasPending)
    {
        if (wasPending)
        {
            TaskStoppedLocked(task);
        }
    }

    private void NotifyParentOfStopLocked(int code, int signal)
    {
        if (Parent is not ThreadGroup parent)
        {
            return;
        }

        ref SignalAction action = ref parent.Actions[Signal.SIGCHLD];
        if (action.Handler != SignalAction.SIG_IGN && !action.Has(Signal.SA_NOCLDSTOP))
        {
            _ = parent.SendLocked(ChildInfoLocked(Signal.SIGCHLD, code, signal), null);
        }

        parent.ChildEvents.Notify(EventMask.Internal);
    }

    /// <summary>Lock held: task lock. siginfo of SIGCHLD about this process.</summary>
    internal SignalInfo ChildInfoLocked(int signal, int code, int status)
    {
        (long user, long system) = CpuTimeLocked();
        return new SignalInfo
        {
            Signal = signal,
            Code = code,
            ProcessId = Id,
            Uid = Leader.Credentials.RealUid,
            Status = status,
            UserTime = user / Time.ClockMath.NanosecondsPerTick,
            SystemTime = system / Time.ClockMath.NanosecondsPerTick,
        };
    }
}
