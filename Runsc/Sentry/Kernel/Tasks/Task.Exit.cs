using Runsc.Linux;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>The end of a task. On its own thread.</summary>
internal sealed partial class Task
{
    private int _exitStatus;

    /// <summary>It has ended; a leader stays as a zombie until its process is reaped. Guarded by the task lock for writing.</summary>
    public bool HasExited { get; private set; }

    /// <summary>Its processor time is part of the process's sums. Guarded by the task lock.</summary>
    internal bool IsCounted { get; private set; }

    /// <summary>exit(2): the present system call is the last; its result does not matter.</summary>
    public void BeginExit(int code)
    {
        _exitStatus = (code & 0xff) << 8;
        _ending = true;
    }

    /// <summary>exit_group(2).</summary>
    public void BeginGroupExit(int code)
    {
        lock (Kernel.TaskLock)
        {
            ThreadGroup.StartExitLocked((code & 0xff) << 8);
        }

        _ending = true;
    }

    private void Exit()
    {
        DropRseq();
        ReleaseMemory();
        ReleaseVforkParent();
        bool last;
        lock (Kernel.TaskLock)
        {
            last = ThreadGroup.LiveCountLocked() == 1;
        }

        if (last)
        {
            ThreadGroup.StopTimers();
        }

        DropResources();
        lock (Kernel.TaskLock)
        {
            FreezeCpuTime();
            ThreadGroup.TaskExitedLocked(this);
        }

        // Interrupts come under the task lock and leave tasks alone that have exited.
        Context.Dispose();
    }

    /// <summary>Lock held: task lock.</summary>
    internal int MarkExitedLocked(out bool wasToStop)
    {
        HasExited = true;
        IsCounted = true;
        wasToStop = _countsForStop;
        _stopPending = false;
        _countsForStop = false;
        _isStopped = false;
        return _exitStatus;
    }

    /// <summary>What other users of the address space must learn at exit and execve: robust futexes, clear_child_tid.</summary>
    private void ReleaseMemory()
    {
        if (RobustList != 0)
        {
            Futex.RobustList.Release(this, RobustList);
            RobustList = 0;
        }

        if (ClearThreadId != 0)
        {
            ulong address = ClearThreadId;
            ClearThreadId = 0;
            if (Memory.Users > 1 && Memory.CopyOut(address, 0) == Errno.None)
            {
                _ = Kernel.Futexes.Wake(Memory, address, isPrivate: false, 1, Linux.Futex.FUTEX_BITSET_MATCH_ANY);
            }
        }
    }

    /// <summary>Gives up address space, descriptors and directories. The task must not run any more.</summary>
    private void DropResources()
    {
        MemoryManager memory = _memory;
        FdTable files = _files;
        FsContext fs = _fs;
        ReleaseIpc();
        ReleaseAio();
        _files = new FdTable();
        files.DecUsers(this);
        fs.DecRef();
        memory.DecUsers();
        MountNamespace.DecUsers();
        _network?.DecUsers();
    }

    /// <summary>Gives up a task that never ran and that nobody knows.</summary>
    public void Discard()
    {
        DropResources();
        Context.Dispose();
    }

    /// <summary>Lock held: task lock. The parent thread of this task has ended (prctl(2), PR_SET_PDEATHSIG).</summary>
    internal void ParentExitedLocked(Task newParent)
    {
        ParentTask = newParent;
        if (ParentDeathSignal != 0)
        {
            _ = ThreadGroup.SendLocked(new SignalInfo { Signal = ParentDeathSignal, Code = SignalInfo.SI_USER, ProcessId = newParent.ThreadGroup.Id }, null);
        }
    }
}
