using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Terminals;

/// <summary>
/// A terminal as job control knows it (credentials(7), ioctl_tty(2)): which session it controls, which job is in the foreground, and who may
/// use it. What goes through it is the affair of subclasses. Members are guarded by the kernel's task lock, which the methods take.
/// </summary>
internal abstract class Terminal(SentryKernel kernel) : IControllingTerminal
{
    public SentryKernel Kernel { get; } = kernel;

    public abstract ulong DeviceNumber { get; }

    public ProcessGroup? ForegroundGroup { get; set; }

    public Session? Session { get; set; }

    /// <summary>Opens it by another name (/dev/tty, /dev/console); the references of <paramref name="path"/> pass to the description.</summary>
    public abstract Errno OpenAgain(ICaller caller, in VfsPath path, int flags, out FileDescription? file);

    /// <summary>The controlling terminal of a process, or null. Takes the task lock.</summary>
    public static Terminal? Of(ThreadGroup group)
    {
        lock (group.Kernel.TaskLock)
        {
            return group.TerminalLocked as Terminal;
        }
    }

    /// <summary>open(2) without O_NOCTTY: a session leader without a terminal gets this one if it is free.</summary>
    public void TakeOnOpen(Task task, int flags)
    {
        if ((flags & Fcntl.O_NOCTTY) != 0 || (flags & Fcntl.O_ACCMODE) == Fcntl.O_WRONLY)
        {
            return;
        }

        lock (Kernel.TaskLock)
        {
            ThreadGroup group = task.ThreadGroup;
            if (group.IsSessionLeader && group.TerminalLocked is null && Session is null)
            {
                AttachLocked(group);
            }
        }
    }

    /// <summary>TIOCSCTTY. EPERM when the caller leads no session, has a terminal, or may not take this one from another session.</summary>
    public Errno SetControlling(Task task, bool steal, bool readable)
    {
        bool privileged = task.Credentials.HasCapability(Capability.CAP_SYS_ADMIN);
        lock (Kernel.TaskLock)
        {
            ThreadGroup group = task.ThreadGroup;
            if (group.IsSessionLeader && group.Session == Session)
            {
                return Errno.None;
            }

            if (!group.IsSessionLeader || group.TerminalLocked is not null || (!readable && !privileged))
            {
                return Errno.EPERM;
            }

            if (Session is Session owner)
            {
                if (!steal || !privileged)
                {
                    return Errno.EPERM;
                }

                owner.Terminal = null;
            }

            AttachLocked(group);
            return Errno.None;
        }
    }

    private void AttachLocked(ThreadGroup leader)
    {
        leader.HasLeftTerminal = false;
        Session = leader.Session;
        Session.Terminal = this;
        ForegroundGroup = leader.ProcessGroup;
    }

    /// <summary>TIOCNOTTY. ENOTTY when it is not the caller's terminal.</summary>
    public Errno GiveUp(Task task)
    {
        lock (Kernel.TaskLock)
        {
            ThreadGroup group = task.ThreadGroup;
            if (group.TerminalLocked != this)
            {
                return Errno.ENOTTY;
            }

            if (group.IsSessionLeader)
            {
                group.HangUpTerminalLocked(exiting: false);
            }
            else
            {
                group.HasLeftTerminal = true;
            }

            return Errno.None;
        }
    }

    /// <summary>
    /// May this process change or use the terminal now? A process of a background job gets <paramref name="signal"/> (SIGTTIN or SIGTTOU) with its whole
    /// job, and ERESTARTSYS; EIO when that would do nothing.
    /// </summary>
    public Errno CheckJob(Task task, int signal)
    {
        lock (Kernel.TaskLock)
        {
            ThreadGroup group = task.ThreadGroup;
            if (group.TerminalLocked != this || ForegroundGroup is null || ForegroundGroup == group.ProcessGroup)
            {
                return Errno.None;
            }

            if (task.BlocksLocked(signal) || group.Actions[signal].Handler == SignalAction.SIG_IGN)
            {
                return signal == Signal.SIGTTIN ? Errno.EIO : Errno.None;
            }

            if (group.ProcessGroup.IsOrphanedLocked)
            {
                return Errno.EIO;
            }

            group.ProcessGroup.SendSignalLocked(SignalInfo.Kernel(signal));
            return Errno.ERESTARTSYS;
        }
    }

    /// <summary>TIOCGPGRP: the foreground job's id, 0 when there is none, −ENOTTY when it is not the caller's terminal (the master side may always ask).</summary>
    public long GetForeground(Task task, bool asMaster)
    {
        lock (Kernel.TaskLock)
        {
            return asMaster || task.ThreadGroup.TerminalLocked == this ? ForegroundGroup?.Id ?? 0 : -(long)Errno.ENOTTY;
        }
    }

    /// <summary>TIOCGSID: the id of its session. ENOTTY.</summary>
    public long GetSession(Task task, bool asMaster)
    {
        lock (Kernel.TaskLock)
        {
            return (asMaster || task.ThreadGroup.TerminalLocked == this) && Session is Session session ? session.Id : -(long)Errno.ENOTTY;
        }
    }

    /// <summary>TIOCSPGRP: another job of the caller's session comes to the foreground. ENOTTY, EINVAL, ESRCH, EPERM, ERESTARTSYS.</summary>
    public Errno SetForeground(Task task, int id)
    {
        Errno error = CheckJob(task, Signal.SIGTTOU);
        if (error != Errno.None)
        {
            return error == Errno.EIO ? Errno.ENOTTY : error;
        }

        lock (Kernel.TaskLock)
        {
            ThreadGroup group = task.ThreadGroup;
            if (group.TerminalLocked != this || Session != group.Session)
            {
                return Errno.ENOTTY;
            }

            if (id < 0)
            {
                return Errno.EINVAL;
            }

            ProcessGroup? wanted = Kernel.FindProcessGroupLocked(id);
            if (wanted is null)
            {
                return Errno.ESRCH;
            }

            if (wanted.Session != group.Session)
            {
                return Errno.EPERM;
            }

            ForegroundGroup = wanted;
            return Errno.None;
        }
    }

    /// <summary>A signal that the terminal makes (a typed ^C, a new window size), for the foreground job.</summary>
    public void SignalForeground(int signal)
    {
        lock (Kernel.TaskLock)
        {
            ForegroundGroup?.SendSignalLocked(SignalInfo.Kernel(signal));
        }
    }

    /// <summary>The line is gone: the session loses the terminal and its leader gets SIGHUP and SIGCONT; the job in the foreground gets them when the leader ends.</summary>
    protected void HangUpSession()
    {
        lock (Kernel.TaskLock)
        {
            if (Session is Session session)
            {
                session.Terminal = null;
                if (session.FindLeaderLocked() is ThreadGroup leader)
                {
                    leader.FormerForeground = ForegroundGroup;
                    _ = leader.SendLocked(SignalInfo.Kernel(Signal.SIGHUP), null);
                    _ = leader.SendLocked(SignalInfo.Kernel(Signal.SIGCONT), null);
                }
            }

            Session = null;
            ForegroundGroup = null;
        }
    }
}
