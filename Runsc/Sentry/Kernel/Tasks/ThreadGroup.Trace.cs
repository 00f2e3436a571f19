using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>A process whose threads trace others (ptrace(2)): what wait4(2) finds there, and how ended tracees go. Guarded by the task lock.</summary>
internal sealed partial class ThreadGroup
{
    /// <summary>Tasks that threads of this process trace. Ended ones stay until they were waited for.</summary>
    internal readonly List<Task> Tracees = [];

    // The process has ended; its tracer has been told, its parent has not.
    private bool _endIsUntold;

    /// <summary>Lock held: task lock. A stop of the whole process is under way or complete.</summary>
    internal bool IsStoppingLocked => StopSignal != 0 || _tasksToStop > 0;

    /// <summary>Nobody has to wait for what ends (SIGCHLD is ignored).</summary>
    private bool IgnoresEndsLocked
    {
        get
        {
            ref SignalAction action = ref Actions[Signal.SIGCHLD];
            return action.Handler == SignalAction.SIG_IGN || action.Has(Signal.SA_NOCLDWAIT);
        }
    }

    private bool TracesLocked(ThreadGroup child) => child.Leader.Tracer?.ThreadGroup == this;

    /// <summary>Lock held: task lock. Somebody else than the parent traces it, and hears of its end first.</summary>
    private bool IsTracedByStrangerLocked => Leader.Tracer is Task tracer && tracer.ThreadGroup != Parent;

    /// <summary>
    /// Lock held: task lock. A change of a tracee that a wait means. EAGAIN: there are such tracees, but none has changed; ECHILD: there are none.
    /// </summary>
    private Errno FindChangedTraceeLocked(Task caller, WaitTarget which, int id, uint options, out WaitResult result)
    {
        result = default;
        bool found = false, keep = (options & (uint)Wait.WNOWAIT) != 0;
        foreach (Task tracee in Tracees)
        {
            ThreadGroup group = tracee.ThreadGroup;
            bool matches = which switch
            {
                WaitTarget.Process => tracee.ThreadId == id,
                WaitTarget.ProcessGroup => group.ProcessGroup.Id == id,
                _ => true,
            };
            if (!matches || ((options & (uint)Wait.__WNOTHREAD) != 0 && tracee.Tracer != caller))
            {
                continue;
            }

            if (!tracee.HasExited)
            {
                found = true;
                if (tracee.HasTraceReportLocked)
                {
                    int code = tracee.TakeTraceReportLocked(keep);
                    result = group.DescribeLocked(SignalInfo.CLD_TRAPPED, (code << 8) | 0x7f, code);
                    result.ProcessId = tracee.ThreadId;
                    return Errno.None;
                }

                continue;
            }

            // A leader ends for others when its process does.
            bool isLeader = tracee == group.Leader;
            if (isLeader && (!group.IsZombie || group.Parent == this))
            {
                found |= !group.IsZombie;
                continue;
            }

            if ((options & (uint)Wait.WEXITED) == 0)
            {
                continue;
            }

            result = group.DescribeExitLocked(isLeader ? group.ExitStatus : tracee.TraceExitStatusLocked);
            result.ProcessId = tracee.ThreadId;
            if (!keep)
            {
                group.ReleaseFromTracerLocked(tracee);
            }

            return Errno.None;
        }

        return found ? Errno.EAGAIN : Errno.ECHILD;
    }

    /// <summary>Lock held: task lock. A task of this process is traced no longer; if it has ended, what was put off because of its tracer is done now.</summary>
    internal void ReleaseFromTracerLocked(Task task)
    {
        task.UnlinkTracerLocked();
        if (!task.HasExited)
        {
            return;
        }

        if (task != Leader)
        {
            Kernel.RemoveTaskLocked(task);
        }
        else if (_endIsUntold)
        {
            _endIsUntold = false;
            TellEndLocked();
        }
    }

    /// <summary>Lock held: task lock. A thread that is traced has ended, and others go on: its tracer waits for it. False: nobody does, and it goes at once.</summary>
    private static bool KeepForTracerLocked(Task task)
    {
        if (task.Tracer is not Task tracer)
        {
            return false;
        }

        int status = task.TraceExitStatusLocked;
        bool killed = (status & 0x7f) != 0;
        task.NotifyTracerLocked(killed ? SignalInfo.CLD_KILLED : SignalInfo.CLD_EXITED, killed ? status & 0x7f : (status >> 8) & 0xff);
        if (!tracer.ThreadGroup.IgnoresEndsLocked)
        {
            return true;
        }

        task.UnlinkTracerLocked();
        return false;
    }

    /// <summary>Lock held: task lock. The process has ended: its tracer hears of it before its parent. False: the parent is to be told now.</summary>
    private bool TellTracerOfEndLocked()
    {
        if (!IsTracedByStrangerLocked)
        {
            return false;
        }

        WaitResult end = DescribeExitLocked();
        Leader.NotifyTracerLocked(end.Code, end.Value);
        if (Leader.Tracer!.ThreadGroup.IgnoresEndsLocked)
        {
            Leader.UnlinkTracerLocked();
            return false;
        }

        _endIsUntold = true;
        ExitEvents.Notify(EventMask.Internal | EventMask.Readable);
        return true;
    }
}
