using Runsc.Linux;
using Runsc.Sentry.Kernel.Ipc;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>System V IPC of a task. Own thread.</summary>
internal sealed unsafe partial class Task
{
    private IpcNamespace? _ipc;
    private SemaphoreUndoList? _semaphoreUndo;

    /// <summary>Its IPC namespace; the task is one of the namespace's users.</summary>
    public IpcNamespace Ipc
    {
        get => _ipc!;
        set
        {
            _ = value.TryIncUsers();
            _ipc?.DecUsers();
            _ipc = value;
        }
    }

    /// <summary>The task's SEM_UNDO adjustments for a set.</summary>
    public SemaphoreUndo UndoFor(SemaphoreSet set) => (_semaphoreUndo ??= new SemaphoreUndoList()).For(set);

    /// <summary>unshare(2) with CLONE_SYSVSEM or CLONE_NEWIPC: what there is to give back is given back now.</summary>
    public void UnshareSemaphores()
    {
        _semaphoreUndo?.DecUsers(ProcessId);
        _semaphoreUndo = null;
    }

    /// <summary>clone(2): CLONE_SYSVSEM shares the adjustments, CLONE_NEWIPC gives a new namespace.</summary>
    private void ShareIpcWith(Task child, in CloneArguments arguments)
    {
        if (arguments.Has(Sched.CLONE_SYSVSEM))
        {
            _semaphoreUndo ??= new SemaphoreUndoList();
            _semaphoreUndo.IncUsers();
            child._semaphoreUndo = _semaphoreUndo;
        }

        child.Ipc = arguments.Has(Sched.CLONE_NEWIPC) ? new IpcNamespace(child.Credentials.UserNamespace) : Ipc;
    }

    private void ReleaseIpc()
    {
        UnshareSemaphores();
        _ipc!.DecUsers();
    }
}
