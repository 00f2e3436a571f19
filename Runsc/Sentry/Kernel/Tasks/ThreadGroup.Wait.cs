using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>Which children wait4(2) and waitid(2) mean.</summary>
internal enum WaitTarget
{
    Any,
    Process,
    ProcessGroup,
}

/// <summary>What a wait has found.</summary>
internal struct WaitResult
{
    public int ProcessId;
    public uint Uid;

    /// <summary>CLD_* code.</summary>
    public int Code;

    /// <summary>Status as wait4(2) stores it.</summary>
    public int Status;

    /// <summary>si_status: exit code or signal.</summary>
    public int Value;

    // Processor time of the child and its waited-for children, in nanoseconds.
    public long UserTime;
    public long SystemTime;
}

internal sealed partial class ThreadGroup
{
    /// <summary>
    /// Waits for a state change of a child; options are WNOHANG, WUNTRACED, WEXITED, WCONTINUED, WNOWAIT, __WALL, __WCLONE, __WNOTHREAD, with WEXITED
    /// set by the caller for wait4(2). None with ProcessId 0: nothing yet (WNOHANG). ECHILD, ERESTARTSYS. On the caller's own thread.
    /// </summary>
    public Errno WaitForChild(Task caller, WaitTarget which, int id, uint options, out WaitResult result)
    {
        TaskWaiter waiter = caller.BeginWait(EventMask.Internal);
        ChildEvents.Register(waiter);
        Errno error, interrupted = Errno.None;
        while (true)
        {
            lock (Kernel.TaskLock)
            {
                error = FindChildLocked(caller, which, id, options, out result);
            }

            if (error != Errno.EAGAIN)
            {
                break;
            }

            if ((options & (uint)Wait.WNOHANG) != 0)
            {
                error = Errno.None;
                break;
            }

            // A child's signal comes with its change: the change counts, and the signal afterwards.
            if (interrupted != Errno.None)
            {
                error = interrupted;
                break;
            }

            interrupted = caller.Block(Deadline.Infinite);
        }

        ChildEvents.Unregister(waiter);
        caller.EndWait(waiter);
        return error;
    }

    /// <summary>EAGAIN: there are such children, but none has changed.</summary>
    private Errno FindChildLocked(Task caller, WaitTarget which, int id, uint options, out WaitResult result)
    {
        result = default;
        bool found = false;
        foreach (ThreadGroup child in Children)
        {
            bool matches = which switch
            {
                WaitTarget.Process => child.Id == id,
                WaitTarget.ProcessGroup => child.ProcessGroup.Id == id,
                _ => true,
            };
            if (!matches || ((options & (uint)Wait.__WNOTHREAD) != 0 && child.ParentTask != caller))
            {
                continue;
            }

            bool isClone = child.ExitSignal != Signal.SIGCHLD, isTracee = TracesLocked(child);
            if (!isTracee && (options & (uint)Wait.__WALL) == 0 && isClone != ((options & Wait.__WCLONE) != 0))
            {
                continue;
            }

            if (child._endIsUntold)
            {
                found = true;
                continue;
            }

            if (child.IsZombie)
            {
                if ((options & (uint)Wait.WEXITED) == 0)
                {
                    // It will never stop or continue again.
                    continue;
                }

                result = child.DescribeExitLocked();
                if ((options & (uint)Wait.WNOWAIT) == 0)
                {
                    ReapLocked(child);
                }

                return Errno.None;
            }

            found = true;
            bool keep = (options & (uint)Wait.WNOWAIT) != 0;
            if (!isTracee && (options & (uint)Wait.WUNTRACED) != 0 && child.StopReportable && child.StopSignal != 0)
            {
                child.StopReportable = keep;
                result = child.DescribeLocked(SignalInfo.CLD_STOPPED, (child.StopSignal << 8) | 0x7f, child.StopSignal);
                return Errno.None;
            }

            if ((options & (uint)Wait.WCONTINUED) != 0 && child.ContinueReportable)
            {
                child.ContinueReportable = keep;
                result = child.DescribeLocked(SignalInfo.CLD_CONTINUED, 0xffff, Signal.SIGCONT);
                return Errno.None;
            }
        }

        Errno error = Tracees.Count == 0 ? Errno.ECHILD : FindChangedTraceeLocked(caller, which, id, options, out result);
        return error == Errno.ECHILD && found ? Errno.EAGAIN : error;
    }

    private WaitResult DescribeExitLocked() => DescribeExitLocked(ExitStatus);

    private WaitResult DescribeExitLocked(int status)
    {
        int signal = status & 0x7f;
        return signal == 0
            ? DescribeLocked(SignalInfo.CLD_EXITED, status, (status >> 8) & 0xff)
            : DescribeLocked((status & 0x80) != 0 ? SignalInfo.CLD_DUMPED : SignalInfo.CLD_KILLED, status, signal);
    }

    private WaitResult DescribeLocked(int code, int status, int value)
    {
        (long user, long system) = CpuTimeLocked();
        return new WaitResult
        {
            ProcessId = Id,
            Uid = Leader.Credentials.RealUid,
            Code = code,
            Status = status,
            Value = value,
            UserTime = user + ChildrenUserTime,
            SystemTime = system + ChildrenSystemTime,
        };
    }

    /// <summary>Lock held: task lock. A zombie child goes for good; its processor time is added to the children's.</summary>
    internal void ReapLocked(ThreadGroup child)
    {
        (long user, long system) = child.CpuTimeLocked();
        ChildrenUserTime += user + child.ChildrenUserTime;
        ChildrenSystemTime += system + child.ChildrenSystemTime;
        Children.Remove(child);
        child.ReleaseLocked();
    }

    /// <summary>Lock held: task lock. The process leaves the tables: its number is free.</summary>
    internal void ReleaseLocked()
    {
        IsDead = true;
        Leader.UnlinkTracerLocked();
        ProcessGroup.RemoveLocked(this);
        Kernel.RemoveTaskLocked(Leader);
        Tasks.Clear();
    }
}
