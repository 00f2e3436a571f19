using System.Collections.Generic;
using Runsc.Common;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

internal sealed partial class ThreadGroup
{
    /// <summary>Lock held: task lock. A thread has given up its resources; with the last one the process becomes a zombie.</summary>
    internal void TaskExitedLocked(Task task)
    {
        (long user, long system) = task.CpuTime;
        EndedUserTime += user;
        EndedSystemTime += system;
        int status = task.MarkExitedLocked(out bool wasToStop);
        TaskWillNotStopLocked(task, wasToStop);
        task.ReleaseTraceesLocked();
        if (SharedPending.Pending != 0 && !IsExiting)
        {
            RetargetLocked(task, SharedPending.Pending);
        }

        if (task == Leader)
        {
            _leaderStatus = status;
        }
        else
        {
            Tasks.Remove(task);
            if (!KeepForTracerLocked(task))
            {
                Kernel.RemoveTaskLocked(task);
            }
        }

        if (LiveCountLocked() > 0)
        {
            AdoptChildrenOfLocked(task, FirstLiveLocked());
            ExecutingTask?.Wake();
            return;
        }

        // All threads have called exit(2): the leader's status is the process's.
        SetExitStatusLocked(_leaderStatus);
        EndLocked();
    }

    private int _leaderStatus;

    private Task FirstLiveLocked()
    {
        foreach (Task task in Tasks)
        {
            if (!task.HasExited)
            {
                return task;
            }
        }

        return Leader;
    }

    /// <summary>Children that a thread has made go to another thread of the process.</summary>
    private void AdoptChildrenOfLocked(Task from, Task to)
    {
        foreach (ThreadGroup child in Children)
        {
            if (child.ParentTask == from)
            {
                child.ParentTask = to;
                foreach (Task task in child.Tasks)
                {
                    task.ParentExitedLocked(to);
                }
            }
        }
    }

    /// <summary>The last thread has gone: what exit_notify and forget_original_parent do in Linux.</summary>
    private void EndLocked()
    {
        Log.Debug($"process {Id} ({Leader.Name}) has ended, status {ExitStatus:x}");
        if (IsInit)
        {
            KillContainerLocked();
        }

        ReparentChildrenLocked();
        if (IsSessionLeader)
        {
            HangUpTerminalLocked(exiting: true);
        }

        IsZombie = true;
        ProcessGroup.NotifyIfOrphanedLocked(this);
        Executable?.DecRef();
        Executable = null;
        if (--Actions.Users == 0)
        {
            Actions = Actions.Fork();
        }

        if (!TellTracerOfEndLocked())
        {
            TellEndLocked();
        }
    }

    /// <summary>The parent learns of the end; if it does not care, the process goes at once.</summary>
    private void TellEndLocked()
    {
        bool reapedAtOnce = Parent is null && !IsInit && !KeepAfterExit;
        if (Parent is ThreadGroup parent && ExitSignal != 0)
        {
            ref SignalAction action = ref parent.Actions[Signal.SIGCHLD];
            bool ignored = action.Handler == SignalAction.SIG_IGN;
            reapedAtOnce = ExitSignal == Signal.SIGCHLD && (ignored || action.Has(Signal.SA_NOCLDWAIT));
            if (!(ExitSignal == Signal.SIGCHLD && ignored))
            {
                WaitResult result = DescribeExitLocked();
                _ = parent.SendLocked(ChildInfoLocked(ExitSignal, result.Code, result.Value), null);
            }
        }

        if (reapedAtOnce)
        {
            if (Parent is not null)
            {
                Parent.ReapLocked(this);
            }
            else
            {
                ReleaseLocked();
            }
        }

        Parent?.ChildEvents.Notify(EventMask.Internal);
        ExitEvents.Notify(EventMask.Internal | EventMask.Readable);
    }

    /// <summary>The control server waits for this process and releases it itself.</summary>
    public bool KeepAfterExit { get; init; }

    /// <summary>init has ended: so does everything else in its container (pid_namespaces(7)).</summary>
    private void KillContainerLocked()
    {
        foreach (Task task in Kernel.SnapshotTasksLocked(Container))
        {
            ThreadGroup other = task.ThreadGroup;
            if (other != this && !other.IsZombie)
            {
                other.StartExitLocked(Signal.SIGKILL);
            }
        }
    }

    private void ReparentChildrenLocked()
    {
        if (Children.Count == 0)
        {
            return;
        }

        ThreadGroup? heir = FindHeirLocked();
        foreach (ThreadGroup child in new List<ThreadGroup>(Children))
        {
            // Its job may have had its last link to the session here.
            if (child.ProcessGroup != ProcessGroup && child.Session == Session)
            {
                child.ProcessGroup.NotifyIfOrphanedLocked(this);
            }

            Children.Remove(child);
            child.Parent = heir;
            child.ParentTask = heir?.Leader;
            child.ExitSignal = Signal.SIGCHLD;
            if (heir is null)
            {
                if (child.IsZombie && !child._endIsUntold)
                {
                    child.ReleaseLocked();
                }

                continue;
            }

            heir.Children.Add(child);
            foreach (Task task in child.Tasks)
            {
                task.ParentExitedLocked(heir.Leader);
            }

            if (child.IsZombie && !child._endIsUntold)
            {
                ref SignalAction action = ref heir.Actions[Signal.SIGCHLD];
                if (action.Handler == SignalAction.SIG_IGN || action.Has(Signal.SA_NOCLDWAIT))
                {
                    heir.ReapLocked(child);
                }
                else
                {
                    WaitResult result = child.DescribeExitLocked();
                    _ = heir.SendLocked(child.ChildInfoLocked(Signal.SIGCHLD, result.Code, result.Value), null);
                    heir.ChildEvents.Notify(EventMask.Internal);
                }
            }
        }
    }

    /// <summary>The nearest living subreaper above, else the container's init; null when that is this process.</summary>
    private ThreadGroup? FindHeirLocked()
    {
        if (HasChildSubreaper)
        {
            for (ThreadGroup? up = Parent; up is not null; up = up.Parent)
            {
                if (up.IsChildSubreaper && !up.IsExiting && !up.IsZombie)
                {
                    return up;
                }
            }
        }

        ThreadGroup? init = Kernel.FindInitLocked(Container);
        return init == this || init is null || init.IsZombie ? null : init;
    }

    /// <summary>Lock held: task lock. This process became a subreaper: all below it may come to it.</summary>
    public void MarkDescendantsOfSubreaperLocked()
    {
        foreach (ThreadGroup child in Children)
        {
            if (!child.HasChildSubreaper)
            {
                child.HasChildSubreaper = true;
                child.MarkDescendantsOfSubreaperLocked();
            }
        }
    }

    /// <summary>
    /// Lock held: task lock. A session leader ends, or gives up its terminal: the foreground job gets SIGHUP, and SIGCONT if the leader goes on. A leader whose
    /// terminal has hung up before hands that on when it ends.
    /// </summary>
    internal void HangUpTerminalLocked(bool exiting)
    {
        Session session = Session;
        if (session.Terminal is not IControllingTerminal terminal)
        {
            if (exiting && FormerForeground is ProcessGroup former)
            {
                former.SendSignalLocked(SignalInfo.Kernel(Signal.SIGHUP));
                former.SendSignalLocked(SignalInfo.Kernel(Signal.SIGCONT));
                FormerForeground = null;
            }

            return;
        }

        session.Terminal = null;
        if (terminal.ForegroundGroup is ProcessGroup foreground)
        {
            foreground.SendSignalLocked(SignalInfo.Kernel(Signal.SIGHUP));
            if (!exiting)
            {
                foreground.SendSignalLocked(SignalInfo.Kernel(Signal.SIGCONT));
            }
        }

        terminal.ForegroundGroup = null;
        terminal.Session = null;
    }

    /// <summary>The job that was in the foreground of a terminal when it hung up; for its session's leader. Guarded by the task lock.</summary>
    internal ProcessGroup? FormerForeground { get; set; }

    /// <summary>It has given up its session's terminal for itself (TIOCNOTTY). Guarded by the task lock.</summary>
    internal bool HasLeftTerminal { get; set; }

    /// <summary>Lock held: task lock. Its controlling terminal, or null.</summary>
    internal IControllingTerminal? TerminalLocked => HasLeftTerminal ? null : Session.Terminal;
}
