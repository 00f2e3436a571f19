using System;
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
    // The word that the task sleeps on: 1 when a wake-up is there to be taken. In native memory, since the host sleeps on its address;
    // freed by the finalizer, because others may call Wake as long as they hold the task.
    private int* _wake;

    // Reused by the task's own thread.
    private TaskWaiter? _freeWaiter;

    private volatile bool _isSleeping;

    /// <summary>True while the thread sleeps, for the state letter of /proc. Racy by design.</summary>
    public bool IsSleeping => _isSleeping;

    private void AllocateWakeWord()
    {
        _wake = (int*)NativeMemory.AllocZeroed(64);
        _freeWaiter = new TaskWaiter(this);
    }

    ~Task()
    {
        NativeMemory.Free(_wake);
    }

    /// <summary>
    /// Sleeps until somebody calls <see cref="Wake"/>, at most until the deadline. None: woken, look again (perhaps for nothing);
    /// ETIMEDOUT; ERESTARTSYS: a signal is to be taken, or the task is to stop or end. The one place where tasks wait;
    /// while the sandbox is paused it does not come back. Own thread, no locks.
    /// </summary>
    public Errno Block(in Deadline deadline)
    {
        if (HasInterrupt)
        {
            return Errno.ERESTARTSYS;
        }

        Errno error = Sleep(deadline);
        return HasInterrupt ? Errno.ERESTARTSYS : error;
    }

    /// <summary>As <see cref="Block"/> for waits that only the end of the process may break (vfork(2)): ERESTARTNOINTR then.</summary>
    public Errno BlockKillable(in Deadline deadline)
    {
        if (MustEnd)
        {
            return Errno.ERESTARTNOINTR;
        }

        Errno error = Sleep(deadline);
        return MustEnd ? Errno.ERESTARTNOINTR : error;
    }

    private Errno Sleep(in Deadline deadline)
    {
        Errno result = Errno.None;
        VoluntarySwitches++;
        YieldProcessor();
        _isSleeping = true;

        // Wake sets the word before it looks for sleepers, so a wake-up between the caller's look at its condition and here is seen.
        while (Interlocked.Exchange(ref *_wake, 0) == 0)
        {
            int waited = HostFutex.Wait(_wake, 0, deadline.Nanoseconds);
            if (waited == -(int)Errno.ETIMEDOUT && Volatile.Read(ref *_wake) == 0)
            {
                result = Errno.ETIMEDOUT;
                break;
            }
        }

        _isSleeping = false;
        Kernel.WaitWhilePaused(this);

        return result;
    }

    /// <summary>Makes the present or the next <see cref="Block"/> return. Any thread, any locks.</summary>
    public void Wake()
    {
        if (Interlocked.Exchange(ref *_wake, 1) == 0)
        {
            HostFutex.Wake(_wake);
        }

        GC.KeepAlive(this);
    }

    /// <summary>A waiter that wakes this task; give it back by <see cref="EndWait"/>. Own thread.</summary>
    public TaskWaiter BeginWait(EventMask mask)
    {
        TaskWaiter waiter = _freeWaiter ?? new TaskWaiter(this);
        _freeWaiter = null;
        waiter.Mask = mask;
        return waiter;
    }

    public void EndWait(TaskWaiter waiter) => _freeWaiter = waiter;

    /// <summary>Waits until <paramref name="source"/> shows one of the events. None, ETIMEDOUT, ERESTARTSYS.</summary>
    public Errno WaitFor(IWaitable source, EventMask mask, in Deadline deadline)
    {
        TaskWaiter waiter = BeginWait(mask);
        source.Register(waiter);
        Errno error = Errno.None;
        while (error == Errno.None && source.Readiness(mask) == EventMask.None)
        {
            error = Block(deadline);
        }

        source.Unregister(waiter);
        EndWait(waiter);
        return error;
    }

    /// <summary>Waits as <see cref="WaitFor"/> for a descriptor that said EAGAIN, unless it is non-blocking: then EAGAIN.</summary>
    public Errno WaitToRetry(FileDescription file, EventMask mask, in Deadline deadline) =>
        file.IsNonBlocking ? Errno.EAGAIN : WaitFor(file, mask, deadline);
}

/// <summary>Wakes a task.</summary>
internal sealed class TaskWaiter(Task task) : Waiter
{
    public override void Notify(EventMask events) => task.Wake();
}
