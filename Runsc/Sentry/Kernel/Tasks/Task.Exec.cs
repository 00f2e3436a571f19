using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>execve(2). On the task's own thread.</summary>
internal sealed partial class Task
{
    /// <summary>
    /// Replaces the program. Until the last thread but this one has ended a failure leaves everything as it was; then there is no way back.
    /// <paramref name="file"/> stays the caller's. On None the registers are the new program's.
    /// </summary>
    public Errno Execute(FileDescription file, byte[] path, List<byte[]> arguments, List<byte[]> environment)
    {
        Errno error = Kernel.Loader(this, file, path, arguments, environment, out LoadedProgram? program);
        if (error != Errno.None)
        {
            return error;
        }

        error = EndOtherThreads();
        if (error != Errno.None)
        {
            program!.Executable.DecRef();
            program.Memory.DecUsers();
            return error;
        }

        int oldId = _idBeforeExec;
        Become(program!);
        Context.Frame.OrigRax = SysNo.execve;
        ReportEvent(Misc.PTRACE_EVENT_EXEC, (ulong)oldId);
        return Errno.None;
    }

    /// <summary>Puts a program that was loaded before the task began into it: the first process of a container, exec into one.</summary>
    public void Become(LoadedProgram program)
    {
        DropRseq();
        _processors = null;
        ReleaseAio();
        ReleaseMemory();
        MemoryManager old = _memory;
        lock (Kernel.TaskLock)
        {
            _memory = program.Memory;
            Name = program.Name;
            FileDescription? oldExecutable = ThreadGroup.Executable;
            ThreadGroup.Executable = program.Executable;
            oldExecutable?.DecRef();
            ThreadGroup.HasExecuted = true;
            ThreadGroup.ExitSignal = Signal.SIGCHLD;
            Credentials now = program.Credentials;
            ThreadGroup.Dumpable = now.EffectiveUid == now.RealUid && now.EffectiveGid == now.RealGid && !program.IsUnreadable ? 1 : 0;
            ThreadGroup.ProgramNamespace = program.IsUnreadable ? UserNamespace.Initial : now.UserNamespace;
            if (GainsRights(Credentials, now))
            {
                ThreadGroup.Dumpable = 0;
                ParentDeathSignal = 0;
            }

            SignalActions shared = ThreadGroup.Actions;
            if (shared.Users > 1)
            {
                shared.Users--;
                ThreadGroup.Actions = shared.Fork();
            }

            ThreadGroup.Actions.ResetHandlers();
        }

        old.DecUsers();
        ReleaseVforkParent();
        ThreadGroup.DeletePosixTimers();
        UnshareFiles();
        _files.CloseOnExec(this);
        Credentials = program.Credentials with { SecureBits = program.Credentials.SecureBits & ~(uint)Prctl.SECBIT_KEEP_CAPS };
        SignalStack = SignalStack.Disabled;

        ref TrapFrame frame = ref Context.Frame;
        frame = default;
        frame.Rip = program.EntryPoint;
        frame.Rsp = program.StackPointer;
        frame.Rflags = 0x202;
        frame.OrigRax = NoSystemCall;
        Context.ResetXState();
        SkipResult();
    }

    /// <summary>Other users or more capabilities: what was readable to others before is so no longer (commit_creds of Linux).</summary>
    internal static bool GainsRights(Credentials old, Credentials now) =>
        old.EffectiveUid != now.EffectiveUid || old.EffectiveGid != now.EffectiveGid || old.FsUid != now.FsUid || old.FsGid != now.FsGid
        || (now.UserNamespace == old.UserNamespace ? (now.Permitted & ~old.Permitted) != 0 : !OwnsWithin(old, now.UserNamespace));

    // Who made a namespace has all capabilities in it already, and in those below.
    private static bool OwnsWithin(Credentials owner, UserNamespace space)
    {
        UserNamespace? at = space;
        while (at is not null && (at.Parent != owner.UserNamespace || at.OwnerUid != owner.EffectiveUid))
        {
            at = at.Parent;
        }

        return at is not null;
    }

    /// <summary>Ends the other threads of the process and takes over the leader's id. ERESTARTNOINTR when the process is ending.</summary>
    private Errno EndOtherThreads()
    {
        lock (Kernel.TaskLock)
        {
            if (ThreadGroup.IsExiting || ThreadGroup.ExecutingTask is not null)
            {
                return Errno.ERESTARTNOINTR;
            }

            ThreadGroup.ExecutingTask = this;
            foreach (Task other in ThreadGroup.Tasks)
            {
                if (other != this && !other.HasExited)
                {
                    other.EndLocked();
                }
            }
        }

        while (true)
        {
            lock (Kernel.TaskLock)
            {
                if (_mustEnd)
                {
                    ThreadGroup.ExecutingTask = null;
                    return Errno.ERESTARTNOINTR;
                }

                if (ThreadGroup.LiveCountLocked() == 1)
                {
                    _idBeforeExec = ThreadId;
                    TakeLeadershipLocked();
                    ThreadGroup.ExecutingTask = null;
                    return Errno.None;
                }
            }

            _ = BlockKillable(Deadline.Infinite);
        }
    }

    // The id that the thread had before execve made it the leader, for PTRACE_EVENT_EXEC. Own thread.
    private int _idBeforeExec;

    private void TakeLeadershipLocked()
    {
        Task leader = ThreadGroup.Leader;
        if (leader == this)
        {
            return;
        }

        ThreadGroup.Tasks.Remove(leader);
        leader.UnlinkTracerLocked();
        Kernel.RemoveTaskLocked(leader);
        Kernel.RenameTaskLocked(this, ThreadGroup.Id);
        ThreadGroup.Leader = this;
    }
}
