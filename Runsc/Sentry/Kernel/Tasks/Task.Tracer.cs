using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>What a tracer does with its tracees (ptrace(2)). On the tracer's own thread, without locks.</summary>
internal sealed partial class Task
{
    /// <summary>PTRACE_TRACEME: the parent is the tracer from now on. EPERM.</summary>
    public Errno TraceMe()
    {
        lock (Kernel.TaskLock)
        {
            Task parent = ParentTask;
            if (_tracer is not null || parent == this || ThreadGroup.Parent is null || !TraceAccess.MayBeTracer(parent.Credentials, Credentials))
            {
                return Errno.EPERM;
            }

            if (!parent.HasExited)
            {
                LinkTracerLocked(parent, isSeized: false, 0);
            }

            return Errno.None;
        }
    }

    /// <summary>PTRACE_ATTACH, PTRACE_SEIZE. EPERM.</summary>
    public Errno Attach(Task target, bool seize, uint options)
    {
        lock (Kernel.TaskLock)
        {
            if (target.ThreadGroup == ThreadGroup || target.HasExited || target._tracer is not null
                || !TraceAccess.IsAllowed(Credentials, ThreadGroup, target, realIds: true))
            {
                return Errno.EPERM;
            }

            target.LinkTracerLocked(this, seize, options);
            if (!seize)
            {
                _ = target.ThreadGroup.SendLocked(SignalInfo.Kernel(Signal.SIGSTOP), target);
            }

            if (target._isStopped)
            {
                // From a stop of its process into one of its tracer.
                target._isStopped = false;
                target._trapStop = true;
                target.InterruptLocked();
            }

            return Errno.None;
        }
    }

    /// <summary>
    /// A tracee with an id, which is stopped and does not go on until <see cref="EndRequest"/>. ESRCH: it is no tracee of this task, or does not stand still.
    /// </summary>
    public Errno BeginRequest(int id, out Task? tracee)
    {
        lock (Kernel.TaskLock)
        {
            tracee = FindTraceeLocked(id);
            if (tracee is null || !tracee._isTraceStopped || tracee._isListening)
            {
                tracee = null;
                return Errno.ESRCH;
            }

            tracee._isHeld = true;
            return Errno.None;
        }
    }

    public void EndRequest(Task tracee)
    {
        lock (Kernel.TaskLock)
        {
            tracee._isHeld = false;
            tracee.Wake();
        }
    }

    private Task? FindTraceeLocked(int id)
    {
        Task? found = Kernel.FindTaskLocked(id, ThreadGroup.Container);
        return found is not null && found._tracer == this && !found.HasExited ? found : null;
    }

    /// <summary>PTRACE_CONT and its like. The tracee is held. EIO for what is no signal.</summary>
    public Errno Resume(Task tracee, TraceMode mode, ulong signal)
    {
        if (signal > 64)
        {
            return Errno.EIO;
        }

        lock (Kernel.TaskLock)
        {
            tracee._traceMode = mode;
            tracee.ResumeTraceLocked((int)signal);
            return Errno.None;
        }
    }

    /// <summary>PTRACE_DETACH. The tracee is held. EIO.</summary>
    public Errno Detach(Task tracee, ulong signal)
    {
        if (signal > 64)
        {
            return Errno.EIO;
        }

        lock (Kernel.TaskLock)
        {
            tracee._traceCode = (int)signal;
            tracee._isSignalStop = true;
            tracee.UnlinkTracerLocked();
            return Errno.None;
        }
    }

    /// <summary>PTRACE_INTERRUPT. ESRCH, EIO when it was not seized.</summary>
    public Errno InterruptTracee(int id)
    {
        lock (Kernel.TaskLock)
        {
            if (FindTraceeLocked(id) is not Task tracee)
            {
                return Errno.ESRCH;
            }

            if (!tracee._isSeized)
            {
                return Errno.EIO;
            }

            tracee._trapStop = true;
            tracee.RequestTrapLocked();
            return Errno.None;
        }
    }

    /// <summary>PTRACE_LISTEN. The tracee is held. EIO unless it shows PTRACE_EVENT_STOP.</summary>
    public Errno Listen(Task tracee)
    {
        lock (Kernel.TaskLock)
        {
            if (!tracee._isSeized || !tracee._hasTraceInfo || tracee._traceInfo.Code >> 8 != Misc.PTRACE_EVENT_STOP)
            {
                return Errno.EIO;
            }

            tracee._isListening = true;
            if (tracee._trapNotify)
            {
                tracee.RequestTrapLocked();
            }

            return Errno.None;
        }
    }

    /// <summary>PTRACE_KILL. ESRCH.</summary>
    public Errno KillTracee(int id)
    {
        lock (Kernel.TaskLock)
        {
            if (FindTraceeLocked(id) is not Task tracee)
            {
                return Errno.ESRCH;
            }

            _ = tracee.ThreadGroup.SendLocked(new SignalInfo { Signal = Signal.SIGKILL, Code = SignalInfo.SI_USER, ProcessId = ProcessId, Uid = Credentials.RealUid }, tracee);
            return Errno.None;
        }
    }

    /// <summary>PTRACE_SETOPTIONS. The tracee is held.</summary>
    public void SetTraceOptions(Task tracee, uint options)
    {
        lock (Kernel.TaskLock)
        {
            tracee._traceOptions = options;
        }
    }

    /// <summary>PTRACE_GETEVENTMSG. The task is held by the caller.</summary>
    public ulong TraceMessage => _traceMessage;

    /// <summary>PTRACE_GETSIGINFO. The task is held by the caller. EINVAL: the stop has none.</summary>
    public Errno GetTraceInfo(out SignalInfo info)
    {
        info = _traceInfo;
        return _hasTraceInfo ? Errno.None : Errno.EINVAL;
    }

    /// <summary>PTRACE_SETSIGINFO. The task is held by the caller. EINVAL: the stop has none.</summary>
    public Errno SetTraceInfo(in SignalInfo info)
    {
        _traceInfo = info;
        return _hasTraceInfo ? Errno.None : Errno.EINVAL;
    }

    /// <summary>PTRACE_GETSIGMASK: with the mask that a call like ppoll(2) has put aside. The task is held by the caller.</summary>
    public ulong TracedSignalMask => _hasSavedMask ? _savedMask : _signalMask;

    /// <summary>PTRACE_SETSIGMASK. The task is held by the caller.</summary>
    public void SetTracedSignalMask(ulong mask)
    {
        lock (Kernel.TaskLock)
        {
            _hasSavedMask = false;
            SetSignalMaskLocked(mask & ~Unblockable);
        }
    }

    /// <summary>PTRACE_PEEKSIGINFO: queued signals of the task, or of its process, from a position on.</summary>
    public List<SignalInfo> PeekSignals(bool shared, ulong from, int count)
    {
        lock (Kernel.TaskLock)
        {
            return (shared ? ThreadGroup.SharedPending : Pending).Copy(from, count);
        }
    }

    /// <summary>Lock held: task lock. The tracer has ended: its tracees go on, or end with it (PTRACE_O_EXITKILL).</summary>
    internal void ReleaseTraceesLocked()
    {
        List<Task> tracees = ThreadGroup.Tracees;
        for (int i = tracees.Count - 1; i >= 0; i--)
        {
            Task tracee = tracees[i];
            if (tracee._tracer != this)
            {
                continue;
            }

            bool kills = (tracee._traceOptions & Misc.PTRACE_O_EXITKILL) != 0;
            tracee.ThreadGroup.ReleaseFromTracerLocked(tracee);
            if (kills && !tracee.HasExited)
            {
                _ = tracee.ThreadGroup.SendLocked(SignalInfo.Kernel(Signal.SIGKILL), tracee, fromOutside: true);
            }
        }
    }
}
