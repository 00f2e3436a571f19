using System;
using System.Buffers;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Events;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>epoll_create(2), epoll_ctl(2), epoll_wait(2).</summary>
internal static unsafe class EpollCalls
{
    /// <summary>Events that one call gives at most; who has room for more asks again.</summary>
    private const int MaxBatch = 128;

    // What one call returns at most; a program with more ready files asks again.
    private const int MaxRented = 1 << 16;

    private const int MaxEvents = int.MaxValue / EpollEvent.SizeInBytes;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.epoll_create, "epoll_create", &EpollCreate, "int");
        b.Add(SysNo.epoll_create1, "epoll_create1", &EpollCreate1, "hex");
        b.Add(SysNo.epoll_ctl, "epoll_ctl", &EpollCtl, "fd,int,fd,ptr");
        b.Add(SysNo.epoll_wait, "epoll_wait", &EpollWait, "fd,ptr,int,int");
        b.Add(SysNo.epoll_pwait, "epoll_pwait", &EpollPWait, "fd,ptr,int,int,sigset,size");
        b.Add(SysNo.epoll_pwait2, "epoll_pwait2", &EpollPWait2, "fd,ptr,int,timespec,sigset,size");
    }

    private static long EpollCreate(Task task, in SyscallArguments a) => a.Int0 <= 0 ? -(long)Errno.EINVAL : Create(task, 0);

    private static long EpollCreate1(Task task, in SyscallArguments a) => (a.Int0 & ~Epoll.EPOLL_CLOEXEC) != 0 ? -(long)Errno.EINVAL : Create(task, a.Int0);

    private static long Create(Task task, int flags)
    {
        EpollDescription file = new(task.Kernel);
        long fd = task.Files.Add(file, (flags & Epoll.EPOLL_CLOEXEC) != 0, task.DescriptorLimit);
        if (fd < 0)
        {
            file.DecRef();
        }

        return fd;
    }

    private static long EpollCtl(Task task, in SyscallArguments a)
    {
        EpollEvent wanted = default;
        if (a.Int1 != Epoll.EPOLL_CTL_DEL && task.Memory.CopyIn(a.A3, out wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        FileDescription? set = task.Files.Get(a.Int0), file = task.Files.Get(a.Int2);
        Errno error;
        if (set is null || file is null || ((set.StatusFlags | file.StatusFlags) & Fcntl.O_PATH) != 0)
        {
            error = Errno.EBADF;
        }
        else if (set is not EpollDescription epoll)
        {
            error = file.SupportsPoll ? Errno.EINVAL : Errno.EPERM;
        }
        else
        {
            error = a.Int1 switch
            {
                Epoll.EPOLL_CTL_ADD => epoll.Add(file, a.Int2, wanted),
                Epoll.EPOLL_CTL_MOD when (wanted.Events & Epoll.EPOLLEXCLUSIVE) != 0 => Errno.EINVAL,
                Epoll.EPOLL_CTL_MOD => epoll.Modify(file, a.Int2, wanted),
                Epoll.EPOLL_CTL_DEL => epoll.Remove(file, a.Int2),
                _ => Errno.EINVAL,
            };
        }

        set?.DecRef();
        file?.DecRef();
        return -(long)error;
    }

    private static long EpollWait(Task task, in SyscallArguments a) => NotRestarted(Wait(task, a, Milliseconds(a.Int3)));

    private static long EpollPWait(Task task, in SyscallArguments a)
    {
        Errno error = PollCalls.SetMask(task, a.A4, a.A5);
        return error != Errno.None ? -(long)error : UnderMask(task, Wait(task, a, Milliseconds(a.Int3)));
    }

    private static long EpollPWait2(Task task, in SyscallArguments a)
    {
        Errno error = TimeArguments.ReadTimeout(task, a.A3, out Deadline deadline);
        error = error == Errno.None ? PollCalls.SetMask(task, a.A4, a.A5) : error;
        return error != Errno.None ? -(long)error : UnderMask(task, Wait(task, a, deadline));
    }

    private static Deadline Milliseconds(int timeout) => timeout < 0 ? Deadline.Infinite : Deadline.After(timeout * 1_000_000L);

    // epoll_wait(2) is never begun again after a signal (signal(7)).
    private static long NotRestarted(long result) => result == -(long)Errno.ERESTARTSYS ? -(long)Errno.EINTR : result;

    // An interrupted call leaves the mask in force until the handler's frame is made.
    private static long UnderMask(Task task, long result)
    {
        if (result == -(long)Errno.ERESTARTSYS)
        {
            return -(long)Errno.ERESTARTNOHAND;
        }

        task.RestoreTemporaryMask();
        return result;
    }

    private static long Wait(Task task, in SyscallArguments a, in Deadline deadline)
    {
        if (a.Int2 is <= 0 or > MaxEvents)
        {
            return -(long)Errno.EINVAL;
        }

        FileDescription? file = task.Files.Get(a.Int0);
        if (file is not EpollDescription epoll)
        {
            long bad = file is null || (file.StatusFlags & Fcntl.O_PATH) != 0 ? -(long)Errno.EBADF : -(long)Errno.EINVAL;
            file?.DecRef();
            return bad;
        }

        EpollEvent[]? rented = a.Int2 > MaxBatch ? ArrayPool<EpollEvent>.Shared.Rent(Math.Min(a.Int2, MaxRented)) : null;
        Span<EpollEvent> events = rented is null ? stackalloc EpollEvent[MaxBatch] : rented;
        long result = Wait(task, epoll, events[..Math.Min(a.Int2, events.Length)], a.A1, deadline);
        if (rented is not null)
        {
            ArrayPool<EpollEvent>.Shared.Return(rented);
        }

        return result;
    }

    private static long Wait(Task task, EpollDescription epoll, Span<EpollEvent> events, ulong address, in Deadline deadline)
    {
        int count = epoll.Collect(events);
        Errno error = Errno.None;
        if (count == 0 && deadline.Nanoseconds != 0 && !deadline.HasPassed)
        {
            TaskWaiter waiter = task.BeginWait(EventMask.Readable);
            epoll.Register(waiter);
            while ((count = epoll.Collect(events)) == 0 && error == Errno.None)
            {
                error = task.Block(deadline);
            }

            epoll.Unregister(waiter);
            task.EndWait(waiter);
        }

        epoll.DecRef();
        if (count > 0)
        {
            ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(events[..count]);
            return task.Memory.CopyOut(address, bytes) == bytes.Length ? count : -(long)Errno.EFAULT;
        }

        return error is Errno.None or Errno.ETIMEDOUT ? 0 : -(long)error;
    }
}
