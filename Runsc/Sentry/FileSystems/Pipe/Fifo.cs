using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Pipe;

/// <summary>Opening a FIFO (fifo(7)): it waits for the other end.</summary>
internal static class Fifo
{
    /// <summary>ENXIO for a writer that does not want to wait; ERESTARTSYS when interrupted.</summary>
    public static Errno Open(ICaller caller, in VfsPath path, int flags, out FileDescription? file)
    {
        Inode inode = path.Dentry.Inode!;
        Pipe pipe = inode.Special as Pipe ?? Interlocked.CompareExchange(ref inode.Special, new Pipe(), null) as Pipe ?? (Pipe)inode.Special!;
        bool waits = (flags & Fcntl.O_NONBLOCK) == 0 && !pipe.IsAnonymous;
        int access = flags & Fcntl.O_ACCMODE;
        file = null;
        if (access == Fcntl.O_WRONLY && !waits && !pipe.IsAnonymous && !pipe.Ends.HasReaders)
        {
            return Errno.ENXIO;
        }

        (long readers, long writers) = pipe.EverOpened;
        PipeDescription made = new(pipe, path, flags);
        Errno error = Errno.None;
        if (waits && access == Fcntl.O_RDONLY)
        {
            error = WaitFor(caller, pipe, () => pipe.Ends.HasWriters || pipe.EverOpened.Writers != writers);
        }
        else if (waits && access == Fcntl.O_WRONLY)
        {
            error = WaitFor(caller, pipe, () => pipe.Ends.HasReaders || pipe.EverOpened.Readers != readers);
        }

        if (error == Errno.None)
        {
            file = made;
            return Errno.None;
        }

        // The caller keeps the references of the path when open fails.
        path.IncRef();
        made.DecRef();
        return error;
    }

    private static Errno WaitFor(ICaller caller, Pipe pipe, System.Func<bool> holds)
    {
        if (caller is not Task task)
        {
            return holds() ? Errno.None : Errno.EAGAIN;
        }

        TaskWaiter waiter = task.BeginWait(EventMask.All);
        pipe.Events.Register(waiter);
        Errno error = Errno.None;
        while (!holds() && error == Errno.None)
        {
            error = task.Block(Deadline.Infinite);
        }

        pipe.Events.Unregister(waiter);
        task.EndWait(waiter);
        return error;
    }
}
