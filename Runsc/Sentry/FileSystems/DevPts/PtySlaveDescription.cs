using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.DevPts;

/// <summary>A terminal that programs use, opened as /dev/pts/N, /dev/tty or /dev/console.</summary>
internal sealed class PtySlaveDescription(Pty pty, in VfsPath path, int flags) : FileDescription(path, flags)
{
    private const int ChunkSize = 1024;

    /// <summary>VTIME is in tenths of a second.</summary>
    private const long TimeUnit = 100_000_000;

    private readonly int _generation = pty.Generation;

    public Pty Pty => pty;

    /// <summary>The line was hung up since it was opened.</summary>
    public bool IsHungUp => _generation != pty.Generation;

    public override bool SupportsPoll => true;

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        if (IsHungUp)
        {
            return 0;
        }

        Errno error = caller is Task task ? pty.CheckJob(task, Signal.SIGTTIN) : Errno.None;
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (destination.Remaining == 0)
        {
            return 0;
        }

        TerminalModes modes = pty.Modes;
        int minimum = modes.Character(Ioctls.VMIN), time = modes.Character(Ioctls.VTIME);
        if (modes.ReadsLines || (minimum == 1 && time == 0))
        {
            return ReadNow(ref destination, modes.ReadsLines);
        }

        return minimum == 0 ? ReadWithTimeout(caller, ref destination, time) : ReadAtLeast(caller, ref destination, minimum, time);
    }

    /// <summary>What is there: at most a line in canonical mode.</summary>
    private long ReadNow(ref IoBuffer destination, bool line)
    {
        Span<byte> chunk = stackalloc byte[ChunkSize];
        long done = 0;
        while (destination.Remaining > 0)
        {
            long n = pty.ReadInput(chunk[..(int)Math.Min(destination.Remaining, ChunkSize)], out bool ended);
            if (n < 0)
            {
                return done > 0 ? done : IsHungUp ? 0 : n;
            }

            long copied = n == 0 ? 0 : destination.CopyOut(chunk[..(int)n]);
            if (copied < 0)
            {
                return done > 0 ? done : copied;
            }

            done += copied;
            if (ended || copied < n || (line && n < ChunkSize))
            {
                break;
            }
        }

        return done;
    }

    /// <summary>VMIN 0: what is there, or what comes within the time.</summary>
    private long ReadWithTimeout(ICaller caller, ref IoBuffer destination, int time)
    {
        long n = ReadNow(ref destination, line: false);
        if (n != -(long)Errno.EAGAIN || time == 0)
        {
            return n == -(long)Errno.EAGAIN ? 0 : n;
        }

        if (IsNonBlocking || caller is not Task task)
        {
            return n;
        }

        Errno error = Wait(task, ref destination, Deadline.After(time * TimeUnit), out n);
        return error == Errno.None ? n : error == Errno.ETIMEDOUT ? 0 : -(long)error;
    }

    /// <summary>VMIN &gt; 0: at least so many bytes, unless the time between two runs out, a signal comes, or the caller has less room.</summary>
    private long ReadAtLeast(ICaller caller, ref IoBuffer destination, int minimum, int time)
    {
        long done = 0;
        while (true)
        {
            long n = ReadNow(ref destination, line: false);
            if (n > 0)
            {
                done += n;
            }

            if (done >= minimum || destination.Remaining == 0 || IsHungUp || n is < 0 and not -(long)Errno.EAGAIN)
            {
                return done > 0 ? done : n;
            }

            if (IsNonBlocking || caller is not Task task)
            {
                return done > 0 ? done : n < 0 ? n : -(long)Errno.EAGAIN;
            }

            Errno error = Wait(task, ref destination, done > 0 && time > 0 ? Deadline.After(time * TimeUnit) : Deadline.Infinite, out n);
            done += Math.Max(n, 0);
            if (error != Errno.None)
            {
                return done > 0 ? done : error == Errno.ETIMEDOUT ? 0 : -(long)error;
            }

            if (done >= minimum || n == 0)
            {
                return done;
            }
        }
    }

    /// <summary>Sleeps until something can be read, and reads it. ETIMEDOUT, ERESTARTSYS.</summary>
    private Errno Wait(Task task, ref IoBuffer destination, in Deadline deadline, out long n)
    {
        TaskWaiter waiter = task.BeginWait(EventMask.Readable);
        Register(waiter);
        Errno error = Errno.None;
        while ((n = ReadNow(ref destination, line: false)) == -(long)Errno.EAGAIN && error == Errno.None)
        {
            error = task.Block(deadline);
        }

        Unregister(waiter);
        task.EndWait(waiter);
        if (n != -(long)Errno.EAGAIN)
        {
            error = n < 0 ? (Errno)(-n) : Errno.None;
        }

        n = Math.Max(n, 0);
        return error;
    }

    public override long Write(ICaller caller, ref IoBuffer source)
    {
        if (IsHungUp)
        {
            return -(long)Errno.EIO;
        }

        if (caller is Task task && pty.Modes.HasLocal(Ioctls.TOSTOP))
        {
            Errno error = pty.CheckJob(task, Signal.SIGTTOU);
            if (error != Errno.None)
            {
                return -(long)error;
            }
        }

        Span<byte> chunk = stackalloc byte[ChunkSize];
        long done = 0;
        while (source.Remaining > 0)
        {
            IoBuffer rest = source;
            long n = rest.CopyIn(chunk);
            n = n < 0 ? n : pty.WriteOutput(chunk[..(int)n]);
            if (n < 0)
            {
                return done > 0 ? done : n;
            }

            source.Advance(n);
            done += n;
        }

        return done;
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument) => TerminalIoctls.Slave(this, caller, command, argument);

    public override EventMask Readiness(EventMask mask) =>
        IsHungUp
            ? (EventMask.Readable | EventMask.Writable | EventMask.Err | EventMask.Hup) & (mask | EventMask.Unmaskable)
            : pty.SlaveReadiness(mask);

    public override void Register(Waiter waiter) => pty.SlaveEvents.Register(waiter);

    public override void Unregister(Waiter waiter) => pty.SlaveEvents.Unregister(waiter);

    protected override void OnRelease() => pty.ReleaseSlave();
}
