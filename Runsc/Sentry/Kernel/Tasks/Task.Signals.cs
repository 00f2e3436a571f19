using System.Threading;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;

namespace Runsc.Sentry.Kernel.Tasks;

internal sealed partial class Task
{
    /// <summary>SIGKILL and SIGSTOP: never blocked, caught or ignored.</summary>
    public const ulong Unblockable = (1UL << (Signal.SIGKILL - 1)) | (1UL << (Signal.SIGSTOP - 1));

    internal const ulong StopSignals =
        (1UL << (Signal.SIGSTOP - 1)) | (1UL << (Signal.SIGTSTP - 1)) | (1UL << (Signal.SIGTTIN - 1)) | (1UL << (Signal.SIGTTOU - 1));

    /// <summary>Signals sent to this task alone. Guarded by the task lock.</summary>
    internal readonly SignalQueue Pending = new();

    // Like Linux's TIF_SIGPENDING: there is something for HandleInterrupts. Set under the task lock by anyone; cleared by the task under it.
    private volatile bool _interrupt;

    // Set once, under the task lock: the task ends as soon as it looks.
    private volatile bool _mustEnd;

    // Guarded by the task lock. The task is to take part in a stop of the process; it is stopped.
    private bool _stopPending;
    private volatile bool _isStopped;

    // Guarded by the task lock; written by the task only.
    private ulong _signalMask;

    // Signals blocked by the application while sigtimedwait has taken them out of the mask.
    private ulong _realMask;

    // The mask to go back to after sigsuspend, ppoll and the like. Own thread.
    private ulong _savedMask;
    private bool _hasSavedMask;

    /// <summary>The signal stack. Own thread; /proc does not show it.</summary>
    internal SignalStack SignalStack = SignalStack.Disabled;

    /// <summary>A signal, a stop or the end waits: blocking calls return ERESTARTSYS.</summary>
    public bool HasInterrupt => _interrupt;

    /// <summary>The process is being killed, or another thread calls execve.</summary>
    public bool MustEnd => _mustEnd;

    /// <summary>Stopped by job control, for the state letter of /proc.</summary>
    public bool IsStopped => _isStopped;

    /// <summary>Blocked signals; bit N−1 for signal N. Written by the task's own thread.</summary>
    public ulong SignalMask => Volatile.Read(ref _signalMask);

    /// <summary>Signals sent to this task, or to the process, that have not been taken. For sigpending(2) and /proc.</summary>
    public (ulong Task, ulong Process) PendingSignals
    {
        get
        {
            lock (Kernel.TaskLock)
            {
                return (Pending.Pending, ThreadGroup.SharedPending.Pending);
            }
        }
    }

    /// <summary>Replaces the mask (sigprocmask(2)). Own thread.</summary>
    public void SetSignalMask(ulong mask)
    {
        lock (Kernel.TaskLock)
        {
            SetSignalMaskLocked(mask & ~Unblockable);
        }
    }

    /// <summary>
    /// Sets a mask for the duration of a call (ppoll, pselect, epoll_pwait, sigsuspend). When the call ends with a restart code the mask stays
    /// until a handler's frame is made; else call <see cref="RestoreTemporaryMask"/>. Own thread.
    /// </summary>
    public void SetTemporaryMask(ulong mask)
    {
        _savedMask = _signalMask;
        _hasSavedMask = true;
        SetSignalMask(mask);
    }

    /// <summary>Goes back to the mask from before <see cref="SetTemporaryMask"/>; nothing if there was none.</summary>
    public void RestoreTemporaryMask()
    {
        if (_hasSavedMask)
        {
            _hasSavedMask = false;
            SetSignalMask(_savedMask);
        }
    }

    private void SetSignalMaskLocked(ulong mask)
    {
        ulong blocked = mask & ~_signalMask;
        Volatile.Write(ref _signalMask, mask);

        // A shared signal that this task was woken for and now blocks must find another taker.
        ulong shared = ThreadGroup.SharedPending.Pending & blocked;
        if (shared != 0)
        {
            ThreadGroup.RetargetLocked(this, shared);
        }

        UpdateInterruptLocked();
    }

    /// <summary>Lock held: task lock. Own thread. Works out whether there is anything to handle.</summary>
    private void UpdateInterruptLocked() =>
        _interrupt = _mustEnd || _stopPending || _trapStop || _trapNotify || ((Pending.Pending | ThreadGroup.SharedPending.Pending) & ~_signalMask) != 0;

    /// <summary>Lock held: task lock. Makes the task look at its signals: out of the application, out of a blocking call.</summary>
    internal void InterruptLocked()
    {
        _interrupt = true;
        Kick();
        Wake();
    }

    /// <summary>Gets the task out of the application, so that its loop turns. Any thread.</summary>
    internal void Kick()
    {
        Interlocked.MemoryBarrier();
        if (_inApplication)
        {
            Context.Interrupt();
        }
    }

    /// <summary>Lock held: task lock. The task ends as soon as it can.</summary>
    internal void EndLocked()
    {
        _mustEnd = true;
        _stopPending = false;
        _isStopped = false;
        ResumeTraceLocked(0);
        InterruptLocked();
    }

    /// <summary>Lock held: task lock. The task is to stop with its process, which waits for it. False: it will not, or has stopped before.</summary>
    internal bool RequestStopLocked(int signal)
    {
        if (_mustEnd || HasExited || _isStopped)
        {
            return false;
        }

        _stopPending = true;
        _countsForStop = true;
        _jobStopSignal = signal;
        if (_isSeized && _tracer is not null)
        {
            _trapNotify = true;
            RequestTrapLocked();
        }
        else if (!_isTraceStopped)
        {
            InterruptLocked();
        }

        return true;
    }

    /// <summary>Lock held: task lock. SIGCONT.</summary>
    internal void ContinueLocked()
    {
        _stopPending = false;
        _countsForStop = false;
        if (_isStopped)
        {
            _isStopped = false;
            Wake();
        }

        if (_isSeized && _tracer is not null)
        {
            _trapNotify = true;
            RequestTrapLocked();
        }
    }

    /// <summary>Lock held: task lock. May this task be woken for a signal sent to the process?</summary>
    internal bool WantsLocked(int signal) =>
        !HasExited && !_mustEnd && (_signalMask & SignalQueue.Bit(signal)) == 0 && (signal == Signal.SIGKILL || (!_isStopped && !_isTraceStopped));

    /// <summary>Lock held: task lock. Is the signal blocked, now or once sigtimedwait is over? Then it is kept even if it would be ignored.</summary>
    internal bool BlocksLocked(int signal) => ((_signalMask | _realMask) & SignalQueue.Bit(signal)) != 0;

    /// <summary>Lock held: task lock. Has sigtimedwait(2) taken the signal out of the mask to get it?</summary>
    internal bool AwaitsLocked(int signal) => (_realMask & SignalQueue.Bit(signal)) != 0;

    /// <summary>Sends a signal to this task (tkill(2)). EAGAIN when a real-time queue is full. Any thread, without the task lock.</summary>
    public Errno SendSignal(in SignalInfo info)
    {
        lock (Kernel.TaskLock)
        {
            return ThreadGroup.SendLocked(info, this);
        }
    }

    /// <summary>
    /// A signal that the application's instruction has caused: it cannot be blocked or ignored, a handler apart it ends the process. Own thread.
    /// </summary>
    public void ForceSignal(in SignalInfo info)
    {
        lock (Kernel.TaskLock)
        {
            ulong bit = SignalQueue.Bit(info.Signal);
            ref SignalAction action = ref ThreadGroup.Actions[info.Signal];
            bool blocked = (_signalMask & bit) != 0;
            if (blocked || action.Handler == SignalAction.SIG_IGN)
            {
                action.Handler = SignalAction.SIG_DFL;
                if (blocked)
                {
                    SetSignalMaskLocked(_signalMask & ~bit);
                }
            }

            if (action.Handler == SignalAction.SIG_DFL && _tracer is null)
            {
                ThreadGroup.IsProtected = false;
            }

            _ = ThreadGroup.SendLocked(info, this);
        }
    }

    /// <summary>The frame of a handler could not be written or read: SIGSEGV, and without a handler if that was SIGSEGV's own.</summary>
    internal void ForceSegmentationFault(int signal)
    {
        if (signal == Signal.SIGSEGV)
        {
            lock (Kernel.TaskLock)
            {
                ThreadGroup.Actions[Signal.SIGSEGV].Handler = SignalAction.SIG_DFL;
            }
        }

        ForceSignal(SignalInfo.Kernel(Signal.SIGSEGV));
    }

    /// <summary>What a task has to do before it goes back to the application.</summary>
    private enum Step
    {
        Nothing,
        End,

        /// <summary>It has been stopped with its process and must sleep.</summary>
        Stop,

        /// <summary>It is to stop for its tracer.</summary>
        Trap,

        /// <summary>A signal is to be delivered.</summary>
        Deliver,
    }

    /// <summary>
    /// What happens before the application goes on: end, stop, signals; then what is left of an interrupted system call. False when the task is to end.
    /// The counterpart of Linux's arch_do_signal_or_restart.
    /// </summary>
    private bool HandleInterrupts()
    {
        while (true)
        {
            SignalInfo info;
            SignalAction action = default;
            Step step;
            bool isReported;
            lock (Kernel.TaskLock)
            {
                step = NextStepLocked(out info);

                // Without a tracer nothing may come between the signal and what it does: SIGCONT would be too early for a stop.
                isReported = step == Step.Deliver && _tracer is not null;
                if (step == Step.Deliver && !isReported)
                {
                    step = ActLocked(info, out action);
                }
            }

            if (isReported)
            {
                if (!ReportSignal(ref info))
                {
                    continue;
                }

                lock (Kernel.TaskLock)
                {
                    step = ActLocked(info, out action);
                }
            }

            switch (step)
            {
                case Step.End:
                    return false;
                case Step.Stop:
                    SleepWhileStopped();
                    continue;
                case Step.Trap:
                    ReportTrap();
                    continue;
                case Step.Deliver:
                    RestartBeforeHandler(action);
                    if (!EnterHandler(info, action))
                    {
                        ForceSegmentationFault(info.Signal);
                    }
                    else if ((_traceMode & TraceMode.Step) != 0)
                    {
                        _ = NotifyTracer(Signal.SIGTRAP, 0);
                    }

                    continue;
                case Step.Nothing when info.Signal != 0:
                    continue;
            }

            break;
        }

        RestartWithoutHandler();
        RestoreTemporaryMask();
        return !_mustEnd;
    }

    /// <summary>Lock held: task lock. <see cref="Step.Deliver"/> with a signal that was pending; <see cref="Step.Nothing"/> when nothing is left.</summary>
    private Step NextStepLocked(out SignalInfo info)
    {
        info = default;
        if (_mustEnd)
        {
            return Step.End;
        }

        if (_stopPending)
        {
            _stopPending = false;
            bool isTraced = _tracer is not null;
            _trapStop |= isTraced;
            _isStopped = !isTraced;
            if (_countsForStop)
            {
                _countsForStop = false;
                ThreadGroup.TaskStoppedLocked(this);
            }

            if (!isTraced)
            {
                return Step.Stop;
            }
        }

        if (_trapStop || _trapNotify)
        {
            return Step.Trap;
        }

        if (DequeueLocked(~_signalMask, out info))
        {
            return Step.Deliver;
        }

        UpdateInterruptLocked();
        info = default;
        return Step.Nothing;
    }

    /// <summary>
    /// Lock held: task lock. Carries out a signal's default action, or finds its handler: <see cref="Step.Deliver"/>. <see cref="Step.Nothing"/>: it is done with.
    /// </summary>
    private Step ActLocked(in SignalInfo info, out SignalAction action)
    {
        action = default;
        if (_mustEnd)
        {
            return Step.End;
        }

        int signal = info.Signal;
        ref SignalAction current = ref ThreadGroup.Actions[signal];
        if (current.Handler == SignalAction.SIG_IGN)
        {
            return Step.Nothing;
        }

        if (current.Handler != SignalAction.SIG_DFL)
        {
            action = current;
            if (current.Has(Signal.SA_RESETHAND))
            {
                current.Handler = SignalAction.SIG_DFL;
            }

            return Step.Deliver;
        }

        DefaultAction what = SignalActions.Default(signal);
        if (what is DefaultAction.Ignore or DefaultAction.Continue
            || (ThreadGroup.IsProtected && signal is not (Signal.SIGKILL or Signal.SIGSTOP)))
        {
            return Step.Nothing;
        }

        if (what == DefaultAction.Stop)
        {
            if (signal == Signal.SIGSTOP || !ThreadGroup.ProcessGroup.IsOrphanedLocked)
            {
                ThreadGroup.StartStopLocked(signal);
            }

            return Step.Nothing;
        }

        Log.Debug($"process {ProcessId} ({Name}) is ended by signal {signal}, code {info.Code}, address {info.Address:x}, rip {Context.Frame.Rip:x}");
        LogRegisters();
        ThreadGroup.StartExitLocked(signal);
        return Step.End;
    }

    // What a debugger would want to see of a process that a signal ends.
    private void LogRegisters()
    {
        if (!Log.IsDebug)
        {
            return;
        }

        ref TrapFrame f = ref Context.Frame;
        Log.Debug($"rax {f.Rax:x} rbx {f.Rbx:x} rcx {f.Rcx:x} rdx {f.Rdx:x} rsi {f.Rsi:x} rdi {f.Rdi:x} rbp {f.Rbp:x} rsp {f.Rsp:x}");
        Log.Debug($"r8 {f.R8:x} r9 {f.R9:x} r10 {f.R10:x} r11 {f.R11:x} r12 {f.R12:x} r13 {f.R13:x} r14 {f.R14:x} r15 {f.R15:x}");
        foreach (MappingReport mapping in Memory.Report(count: false))
        {
            Log.Debug($"{mapping.Start:x}-{mapping.End:x} {mapping.Protection} {mapping.Offset:x} {mapping.Name ?? mapping.Mappable?.Identity.Name}");
        }
    }

    /// <summary>Lock held: task lock. Takes a pending signal of the task, else of the process.</summary>
    private bool DequeueLocked(ulong set, out SignalInfo info)
    {
        if (Pending.TryTake(set, out info))
        {
            return true;
        }

        if (!ThreadGroup.SharedPending.TryTake(set, out info))
        {
            return false;
        }

        ThreadGroup.SignalTakenLocked(ref info);
        return true;
    }

    private void SleepWhileStopped()
    {
        while (_isStopped && !_mustEnd)
        {
            _ = Sleep(Deadline.Infinite);
        }
    }

    /// <summary>
    /// Takes one signal of a set, waiting for it until the deadline (sigtimedwait(2), signalfd). None with the signal; EAGAIN when none came;
    /// ERESTARTNOHAND/EINTR: another signal is to be handled first. Own thread.
    /// </summary>
    public Errno TakeSignal(ulong set, in Deadline deadline, out SignalInfo info)
    {
        set &= ~Unblockable;
        lock (Kernel.TaskLock)
        {
            if (DequeueLocked(set, out info))
            {
                UpdateInterruptLocked();
                return Errno.None;
            }

            if (deadline.HasPassed)
            {
                return Errno.EAGAIN;
            }

            // Signals of the set wake us although they are blocked.
            _realMask = _signalMask;
            Volatile.Write(ref _signalMask, _signalMask & ~set);
            UpdateInterruptLocked();
        }

        Errno error;
        do
        {
            error = Block(deadline);
        }
        while (error == Errno.None);

        lock (Kernel.TaskLock)
        {
            bool taken = DequeueLocked(set, out info);
            ulong mask = _realMask;
            _realMask = 0;
            SetSignalMaskLocked(mask);
            return taken ? Errno.None : error == Errno.ETIMEDOUT ? Errno.EAGAIN : Errno.EINTR;
        }
    }

    /// <summary>Takes one pending signal of a set without waiting, as signalfd does; false when there is none.</summary>
    public bool TryTakeSignal(ulong set, out SignalInfo info)
    {
        lock (Kernel.TaskLock)
        {
            bool taken = DequeueLocked(set & ~Unblockable, out info);
            UpdateInterruptLocked();
            return taken;
        }
    }
}
