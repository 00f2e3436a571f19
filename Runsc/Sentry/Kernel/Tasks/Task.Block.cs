using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

internal sealed unsafe partial class Task
{
    // The word that the task sleeps on: 1 when a wake-up is there to be taken. In native memory, since the host sleeps on its address.
    private int* _wake;

    // Reused by the task's own thread.
    private TaskWaiter? _freeWaiter;

    /// <summary>True while the thread sleeps, for the state letter of /proc. Racy by design.</summary>
    public bool IsSleeping { get; private set; }

    private void AllocateWakeWord()
    {
        _wake = (int*)NativeMemory.AllocZeroed(64);
        _freeWaiter = new TaskWaiter(this);
    }

    /// <summary>
    /// Sleeps until somebody calls <see cref="Wake"/>, at most until the deadline. None: woken, look again (perhaps for nothing);
    /// ETIMEDOUT; ERESTARTSYS: a signal is to be taken, or the task is to end. The one place where tasks wait.
    /// </summary>
    public Errno Block(Deadline deadline)
    {
        if (HasInterrupt)
        {
            return Errno.ERESTARTSYS;
        }

        IsSleeping = true;
        VoluntarySwitches++;
        Errno result = Errno.None;
        while (Interlocked.Exchange(ref *_wake, 0) == 0)
        {
            int waited = HostFutex.Wait(_wake, 0, deadline.Nanoseconds);
            if (waited == -(int)Errno.ETIMEDOUT && Volatile.Read(ref *_wake) == 0)
            {
                result = Errno.ETIMEDOUT;
                break;
            }
        }

        IsSleeping = false;
        return HasInterrupt ? Errno.ERESTARTSYS : result;
    }

    /// <summary>Makes the present or the next <see cref="Block"/> return. Any thread, any locks.</summary>
    public void Wake()
    {
        if (_wake is not null && Interlocked.Exchange(ref *_wake, 1) == 0)
        {
            HostFutex.Wake(_wake);
        }
    }

    /// <summary>A waiter that wakes this task; give it back by <see cref="EndWait"/>.</summary>
    public TaskWaiter BeginWait(EventMask mask)
    {
        TaskWaiter waiter = Interlocked.Exchange(ref _freeWaiter, null) ?? new TaskWaiter(this);
        waiter.Mask = mask;
        return waiter;
    }

    public void EndWait(TaskWaiter waiter) => _freeWaiter = waiter;

    /// <summary>Waits until <paramref name="source"/> shows one of the events. None, ETIMEDOUT, ERESTARTSYS.</summary>
    public Errno WaitFor(IWaitable source, EventMask mask, Deadline deadline)
    {
        TaskWaiter waiter = BeginWait(mask);
        source.Register(waiter);
        Errno error = Errno.None;
        while (source.Readiness(mask) == EventMask.None && error == Errno.None)
        {
            error = Block(deadline);
        }

        source.Unregister(waiter);
        EndWait(waiter);
        return error;
    }

    /// <summary>Waits as <see cref="WaitFor"/> for a descriptor that said EAGAIN, unless it is non-blocking: then EAGAIN.</summary>
    public Errno WaitToRetry(FileDescription file, EventMask mask, Deadline deadline) =>
        file.IsNonBlocking ? Errno.EAGAIN : WaitFor(file, mask, deadline);
}

/// <summary>Wakes a task.</summary>
internal sealed class TaskWaiter(Task task) : Waiter
{
    public override void Notify(EventMask events) => task.Wake();
}
