using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Signals;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>A job (setpgid(2)). Guarded by the kernel's task lock.</summary>
internal sealed class ProcessGroup
{
    public ProcessGroup(int id, Session session)
    {
        Id = id;
        Session = session;
        session.Groups.Add(this);
    }

    public int Id { get; }

    public Session Session { get; }

    public readonly List<ThreadGroup> Members = [];

    /// <summary>
    /// No member has a parent in another group of the same session: nobody is left to continue a stopped job (credentials(7)).
    /// </summary>
    public bool IsOrphanedLocked => IsOrphanedWithoutLocked(null);

    /// <summary>As <see cref="IsOrphanedLocked"/>, as if <paramref name="ignored"/> were gone.</summary>
    public bool IsOrphanedWithoutLocked(ThreadGroup? ignored)
    {
        foreach (ThreadGroup member in Members)
        {
            if (member == ignored || member.IsZombie || member.Parent is not ThreadGroup parent || parent.IsZombie)
            {
                continue;
            }

            if (parent.ProcessGroup != this && parent.Session == Session)
            {
                return false;
            }
        }

        return true;
    }

    public bool HasStoppedMemberLocked
    {
        get
        {
            foreach (ThreadGroup member in Members)
            {
                if (member.StopSignal != 0)
                {
                    return true;
                }
            }

            return false;
        }
    }

    public void AddLocked(ThreadGroup group) => Members.Add(group);

    /// <summary>A process leaves; with the last one the group goes, and with the last group the session.</summary>
    public void RemoveLocked(ThreadGroup group)
    {
        Members.Remove(group);
        if (Members.Count > 0)
        {
            return;
        }

        // A terminal keeps its foreground group although nobody is in it: other jobs stay in the background until the session's leader chooses one.
        Session.Groups.Remove(this);
    }

    /// <summary>Sends a signal to every member. Takes the task lock.</summary>
    public void SendSignal(SentryKernel kernel, in SignalInfo info)
    {
        lock (kernel.TaskLock)
        {
            SendSignalLocked(info);
        }
    }

    public void SendSignalLocked(in SignalInfo info)
    {
        foreach (ThreadGroup member in Members)
        {
            _ = member.SendLocked(info, null);
        }
    }

    /// <summary>A job that has just become orphaned with stopped members is told so: SIGHUP, then SIGCONT.</summary>
    public void NotifyIfOrphanedLocked(ThreadGroup? leaving)
    {
        if (IsOrphanedWithoutLocked(leaving) && HasStoppedMemberLocked)
        {
            SendSignalLocked(SignalInfo.Kernel(Signal.SIGHUP));
            SendSignalLocked(SignalInfo.Kernel(Signal.SIGCONT));
        }
    }
}

/// <summary>A session (setsid(2)). Guarded by the kernel's task lock.</summary>
internal sealed class Session(int id)
{
    public int Id { get; } = id;

    /// <summary>Process groups with members.</summary>
    public readonly List<ProcessGroup> Groups = [];

    /// <summary>The controlling terminal.</summary>
    public IControllingTerminal? Terminal { get; set; }

    /// <summary>The process that made the session; null when it has ended and was waited for.</summary>
    public ThreadGroup? FindLeaderLocked()
    {
        foreach (ProcessGroup group in Groups)
        {
            foreach (ThreadGroup member in group.Members)
            {
                if (member.IsSessionLeader)
                {
                    return member;
                }
            }
        }

        return null;
    }
}

/// <summary>A terminal, as sessions know it.</summary>
internal interface IControllingTerminal
{
    /// <summary>st_rdev, for /proc/PID/stat.</summary>
    ulong DeviceNumber { get; }

    /// <summary>The foreground process group; null when there is none. Guarded by the kernel's task lock.</summary>
    ProcessGroup? ForegroundGroup { get; set; }

    /// <summary>The session that it controls. Guarded by the kernel's task lock.</summary>
    Session? Session { get; set; }
}

/// <summary>Names of the system (uts_namespaces(7)).</summary>
internal sealed class UtsNamespace(UserNamespace owner, ulong number) : Namespace(owner, number)
{
    public const int MaximumLength = 64;

    public UtsNamespace()
        : this(UserNamespace.Initial, NewNumber())
    {
    }

    public override int Type => Sched.CLONE_NEWUTS;

    public override string Kind => "uts";

    public volatile string HostName = "runsc";

    public volatile string DomainName = "(none)";

    public UtsNamespace Clone(UserNamespace owner) => new(owner, NewNumber()) { HostName = HostName, DomainName = DomainName };
}
