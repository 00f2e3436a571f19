using System;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>What a tracee lets run until its next stop.</summary>
[Flags]
internal enum TraceMode
{
    None = 0,

    /// <summary>Stops at both ends of a system call (PTRACE_SYSCALL).</summary>
    SystemCalls = 1,

    /// <summary>Stops before a system call, which is then not made (PTRACE_SYSEMU).</summary>
    Emulate = 2,

    /// <summary>Stops after an instruction (PTRACE_SINGLESTEP).</summary>
    Step = 4,
}

/// <summary>
/// A task that is traced (ptrace(2)): its stops. Where a tracer looks into a stopped task or changes it, the task is held: it does not go on, even if it is killed, until
/// it is let go. A task in a stop sleeps with no lock held.
/// </summary>
internal sealed partial class Task
{
    // Guarded by the task lock; _tracer and _traceMode are read without it on the own thread, which sees changes at its next stop at the latest.
    private volatile Task? _tracer;
    private bool _isSeized;
    private uint _traceOptions;
    private bool _tracerMayRaise;
    private volatile TraceMode _traceMode;

    // The stop. Guarded by the task lock; the task reads the first two without it to see whether it may go on.
    private volatile bool _isTraceStopped;
    private volatile bool _isHeld;
    private bool _isListening;
    private bool _isSignalStop;

    // As Linux's exit_code: what wait reports, 0 once it did; then the signal that the tracer lets the task go on with.
    private int _traceCode;
    private bool _hasTraceInfo;
    private SignalInfo _traceInfo;
    private ulong _traceMessage;

    // The task is to stop for its tracer: PTRACE_INTERRUPT, a stop of the process, an automatic attach; the end of the process's stop is to be told.
    private bool _trapStop;
    private bool _trapNotify;

    // The signal of the last stop of the process that the task took part in, and whether that stop counts on it.
    private int _jobStopSignal;
    private bool _countsForStop;

    /// <summary>Who traces it; null: nobody. Guarded by the task lock for writing.</summary>
    public Task? Tracer => _tracer;

    /// <summary>In a stop of its tracer's, for the state letter of /proc.</summary>
    public bool IsTraceStopped => _isTraceStopped;

    /// <summary>The tracer had no CAP_SYS_PTRACE when it attached: execve gives no more rights than there are.</summary>
    public bool TracerLimitsRights => _tracer is not null && !_tracerMayRaise;

    /// <summary>Lock held: task lock. A stop that wait has not reported.</summary>
    internal bool HasTraceReportLocked => _isTraceStopped && !_isListening && _traceCode != 0;

    /// <summary>Lock held: task lock. What wait reports of the stop, once unless <paramref name="keep"/>.</summary>
    internal int TakeTraceReportLocked(bool keep)
    {
        int code = _traceCode;
        _traceCode = keep ? code : 0;
        return code;
    }

    /// <summary>
    /// Stops for the tracer until it says how to go on: the signal to go on with, or 0; <paramref name="otherwise"/> when there is no tracer (any more) or the task is to end.
    /// <paramref name="info"/> is what PTRACE_GETSIGINFO shows, if anything, and the tracer may change it. Own thread, no locks.
    /// </summary>
    private int StopForTracer(int code, int why, ulong message, ref SignalInfo info, bool hasInfo, int otherwise, bool isEnding = false)
    {
        lock (Kernel.TaskLock)
        {
            if (_tracer is null || (_mustEnd && !isEnding))
            {
                return otherwise;
            }

            _trapStop = false;
            if (hasInfo && info.Code >> 8 == Misc.PTRACE_EVENT_STOP)
            {
                _trapNotify = false;
            }

            _isTraceStopped = true;
            _isListening = false;
            _isSignalStop = otherwise != 0;
            _traceCode = code;
            _traceMessage = message;
            _traceInfo = info;
            _hasTraceInfo = hasInfo;
            NotifyTracerLocked(why, code & 0x7f);
        }

        while (_isTraceStopped || _isHeld)
        {
            _ = Sleep(Deadline.Infinite);
        }

        lock (Kernel.TaskLock)
        {
            info = _traceInfo;
            _hasTraceInfo = false;
            _isListening = false;
            int result = _traceCode;
            _traceCode = 0;
            UpdateInterruptLocked();
            return _mustEnd ? 0 : result;
        }
    }

    /// <summary>Lock held: task lock. Tells the tracer's process of a change.</summary>
    internal void NotifyTracerLocked(int why, int status)
    {
        ThreadGroup group = _tracer!.ThreadGroup;
        ref SignalAction action = ref group.Actions[Signal.SIGCHLD];
        if (action.Handler != SignalAction.SIG_IGN && !action.Has(Signal.SA_NOCLDSTOP))
        {
            SignalInfo info = ThreadGroup.ChildInfoLocked(Signal.SIGCHLD, why, status);
            info.ProcessId = ThreadId;
            _ = group.SendLocked(info, null);
        }

        group.ChildEvents.Notify(EventMask.Internal);
    }

    /// <summary>Stops with SIGTRAP and this code (ptrace_notify of Linux). 0 or the signal that the tracer wants sent.</summary>
    private int NotifyTracer(int code, ulong message, bool isEnding = false)
    {
        SignalInfo info = new() { Signal = Signal.SIGTRAP, Code = code, ProcessId = ThreadId, Uid = Credentials.RealUid };
        return StopForTracer(code, SignalInfo.CLD_TRAPPED, message, ref info, hasInfo: true, 0, isEnding);
    }

    /// <summary>Lock held: task lock. The tracer wants to hear of such events.</summary>
    private bool TracesLocked(int what) => _tracer is not null && (_traceOptions & (1u << what)) != 0;

    /// <summary>One of PTRACE_EVENT_*: a stop if the tracer wants it. Own thread.</summary>
    private void ReportEvent(int what, ulong message)
    {
        if (_tracer is null)
        {
            return;
        }

        bool wanted, isLegacy;
        lock (Kernel.TaskLock)
        {
            wanted = TracesLocked(what);
            isLegacy = !wanted && what == Misc.PTRACE_EVENT_EXEC && _tracer is not null && !_isSeized;
            if (isLegacy)
            {
                _ = ThreadGroup.SendLocked(new SignalInfo { Signal = Signal.SIGTRAP, Code = SignalInfo.SI_USER, ProcessId = ProcessId, Uid = Credentials.RealUid }, this);
            }
        }

        if (wanted)
        {
            _ = NotifyTracer((what << 8) | Signal.SIGTRAP, message, what == Misc.PTRACE_EVENT_EXIT);
        }
    }

    /// <summary>A signal is about to be delivered. False: the tracer has taken it away, or it is blocked by now and queued again. Own thread.</summary>
    private bool ReportSignal(ref SignalInfo info)
    {
        if (_tracer is null || info.Signal == Signal.SIGKILL)
        {
            return true;
        }

        int signal = StopForTracer(info.Signal, SignalInfo.CLD_TRAPPED, 0, ref info, hasInfo: true, info.Signal);
        if (signal == 0)
        {
            return false;
        }

        lock (Kernel.TaskLock)
        {
            if (signal != info.Signal)
            {
                info = new SignalInfo { Signal = signal, Code = SignalInfo.SI_USER, ProcessId = _tracer?.ProcessId ?? 0, Uid = _tracer?.Credentials.RealUid ?? 0 };
            }

            if ((_signalMask & SignalQueue.Bit(signal)) == 0)
            {
                return true;
            }

            _ = ThreadGroup.SendLocked(info, this);
            return false;
        }
    }

    /// <summary>The task was to stop for its tracer: a stop of its process, or PTRACE_EVENT_STOP. Own thread.</summary>
    private void ReportTrap()
    {
        bool isSeized;
        int signal;
        lock (Kernel.TaskLock)
        {
            isSeized = _isSeized;
            signal = _jobStopSignal;
            if (isSeized && !ThreadGroup.IsStoppingLocked)
            {
                signal = Signal.SIGTRAP;
            }

            if (_tracer is null || signal == 0)
            {
                _trapStop = _trapNotify = false;
                return;
            }
        }

        if (isSeized)
        {
            int code = signal | (Misc.PTRACE_EVENT_STOP << 8);
            SignalInfo info = new() { Signal = signal, Code = code, ProcessId = ThreadId, Uid = Credentials.RealUid };
            _ = StopForTracer(code, SignalInfo.CLD_STOPPED, 0, ref info, hasInfo: true, 0);
        }
        else
        {
            SignalInfo none = default;
            _ = StopForTracer(signal, SignalInfo.CLD_STOPPED, 0, ref none, hasInfo: false, 0);
        }
    }

    /// <summary>
    /// Before a system call, if there is a mode to care about. False: the call is not made, and its result is in RAX. Own thread.
    /// </summary>
    private bool ReportEntry(ref TrapFrame frame)
    {
        if ((_traceMode & (TraceMode.SystemCalls | TraceMode.Emulate)) == 0)
        {
            return true;
        }

        bool isEmulated = (_traceMode & TraceMode.Emulate) != 0;
        frame.Rax = unchecked((ulong)-(long)Errno.ENOSYS);
        ReportSystemCall(Ptrace.PTRACE_EVENTMSG_SYSCALL_ENTRY);
        return !_mustEnd && !isEmulated && unchecked((int)frame.OrigRax) != -1;
    }

    /// <summary>Behind a system call, with its result in RAX; then the tracer may have changed that. Own thread.</summary>
    private void ReportExit()
    {
        if ((_traceMode & TraceMode.Step) != 0)
        {
            // The trap flag has no effect on the instruction that makes the call.
            ForceSignal(new SignalInfo { Signal = Signal.SIGTRAP, Code = SignalInfo.TRAP_BRKPT, Address = Context.Frame.Rip });
        }
        else if ((_traceMode & TraceMode.SystemCalls) != 0)
        {
            ReportSystemCall(Ptrace.PTRACE_EVENTMSG_SYSCALL_EXIT);
        }
    }

    private void ReportSystemCall(ulong message)
    {
        int signal = NotifyTracer(Signal.SIGTRAP | ((_traceOptions & Misc.PTRACE_O_TRACESYSGOOD) != 0 ? 0x80 : 0), message);
        if (signal is > 0 and <= 64)
        {
            _ = SendSignal(new SignalInfo { Signal = signal, Code = SignalInfo.SI_USER, ProcessId = ProcessId, Uid = Credentials.RealUid });
        }
    }

    /// <summary>A seccomp filter asks the tracer. False: there is none that wants to know.</summary>
    private bool ReportSeccomp(ref TrapFrame frame, uint data)
    {
        lock (Kernel.TaskLock)
        {
            if (!TracesLocked(Misc.PTRACE_EVENT_SECCOMP))
            {
                return false;
            }
        }

        frame.Rax = unchecked((ulong)-(long)Errno.ENOSYS);
        _ = NotifyTracer((Misc.PTRACE_EVENT_SECCOMP << 8) | Signal.SIGTRAP, data);
        return true;
    }

    /// <summary>The trap flag is ours for one switch. True when it has to be taken away afterwards.</summary>
    private bool SetTrapFlag()
    {
        ref TrapFrame frame = ref Context.Frame;
        bool isOurs = (frame.Rflags & TrapFlag) == 0;
        frame.Rflags |= TrapFlag;
        return isOurs;
    }

    /// <summary>Lock held: task lock. Links the task to a tracer.</summary>
    internal void LinkTracerLocked(Task tracer, bool isSeized, uint options)
    {
        _tracer = tracer;
        _isSeized = isSeized;
        _traceOptions = options;
        _tracerMayRaise = tracer.Credentials.HasCapability(Capability.CAP_SYS_PTRACE, Credentials.UserNamespace);
        tracer.ThreadGroup.Tracees.Add(this);
    }

    /// <summary>Lock held: task lock. A new child of a traced task is traced, too.</summary>
    private void AttachTracedChildLocked(Task child)
    {
        child.LinkTracerLocked(_tracer!, _isSeized, _traceOptions);
        child._tracerMayRaise = _tracerMayRaise;
        child._interrupt = true;
        if (_isSeized)
        {
            child._trapStop = true;
        }
        else
        {
            _ = child.Pending.Add(new SignalInfo { Signal = Signal.SIGSTOP, Code = SignalInfo.SI_USER }, ulong.MaxValue, refuse: false);
        }
    }

    /// <summary>Lock held: task lock. The tracer is gone, or detaches: the task goes on, or stops with its process.</summary>
    internal void UnlinkTracerLocked()
    {
        if (_tracer is not Task tracer)
        {
            return;
        }

        tracer.ThreadGroup.Tracees.Remove(this);
        _tracer = null;
        _traceOptions = 0;
        _traceMode = TraceMode.None;
        _trapStop = _trapNotify = false;
        if (HasExited)
        {
            return;
        }

        if (ThreadGroup.IsStoppingLocked && !_mustEnd)
        {
            _stopPending = true;
        }

        if (_isTraceStopped)
        {
            ResumeTraceLocked(_isSignalStop ? _traceCode : 0);
        }
        else if (_stopPending)
        {
            InterruptLocked();
        }
    }

    /// <summary>Lock held: task lock. Ends the task's stop; it goes on with a signal, or 0.</summary>
    internal void ResumeTraceLocked(int signal)
    {
        if (_isTraceStopped)
        {
            _traceCode = signal;
            _isTraceStopped = false;
            _isListening = false;
            Wake();
        }
    }

    /// <summary>Lock held: task lock. Makes the task stop for its tracer; one that listens shows its stop again.</summary>
    private void RequestTrapLocked()
    {
        if (_isTraceStopped)
        {
            if (_isListening)
            {
                ResumeTraceLocked(0);
            }

            return;
        }

        InterruptLocked();
    }

    /// <summary>Lock held: task lock. Status of the ended task for its tracer, as wait4(2) has it.</summary>
    internal int TraceExitStatusLocked => ThreadGroup.IsExiting ? ThreadGroup.ExitStatus : _exitStatus;
}
