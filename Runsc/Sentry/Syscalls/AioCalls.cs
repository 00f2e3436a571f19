using System;
using System.Buffers;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.FileSystems.Events;
using Runsc.Sentry.Kernel.Aio;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>Asynchronous input and output (aio(7), io_submit(2)). A request is done by the time io_submit returns, as with buffered files on Linux.</summary>
internal static unsafe class AioCalls
{
    private const ulong RingSize = 4096;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.io_setup, "io_setup", &Setup, "uint,ptr");
        b.Add(SysNo.io_destroy, "io_destroy", &Destroy, "ptr");
        b.Add(SysNo.io_submit, "io_submit", &Submit, "ptr,int,ptr");
        b.Add(SysNo.io_getevents, "io_getevents", &GetEvents, "ptr,int,int,ptr,timespec");
        b.Add(SysNo.io_pgetevents, "io_pgetevents", &PGetEvents, "ptr,int,int,ptr,timespec,ptr");
        b.Add(SysNo.io_cancel, "io_cancel", &Cancel, "ptr,ptr,ptr");
    }

    private static long Setup(Task task, in SyscallArguments a)
    {
        if (task.Memory.CopyIn(a.A1, out ulong present) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if (present != 0 || a.UInt0 == 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (a.UInt0 > Aio.MaxEvents)
        {
            return -(long)Errno.EAGAIN;
        }

        // The id is the address of a ring in the application's memory. Libraries look whether it is one that they may read by themselves; this one says no.
        MmapRequest ring = new() { Length = RingSize, Protection = AccessType.Read | AccessType.Write, Name = "/[aio] (deleted)" };
        Errno error = task.Memory.Mmap(ring, out ulong id);
        if (error == Errno.None)
        {
            error = task.Aio.Add(id, a.Int0);
            if (error == Errno.None && task.Memory.CopyOut(a.A1, id) != Errno.None)
            {
                _ = task.Aio.Remove(id);
                error = Errno.EFAULT;
            }

            if (error != Errno.None)
            {
                _ = task.Memory.Munmap(id, RingSize);
            }
        }

        return -(long)error;
    }

    private static long Destroy(Task task, in SyscallArguments a)
    {
        if (!task.Aio.Remove(a.A0))
        {
            return -(long)Errno.EINVAL;
        }

        _ = task.Memory.Munmap(a.A0, RingSize);
        return 0;
    }

    private static long Submit(Task task, in SyscallArguments a)
    {
        if (a.Long1 < 0 || task.Aio.Find(a.A0) is not AioContext context)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = Errno.None;
        long count = Math.Min(a.Long1, context.Capacity), done = 0;
        while (done < count)
        {
            error = task.Memory.CopyIn(a.A2 + ((ulong)done * 8), out ulong address);
            error = error != Errno.None ? error : SubmitOne(task, context, address);
            if (error != Errno.None)
            {
                break;
            }

            done++;
        }

        return done > 0 ? done : -(long)error;
    }

    private static Errno SubmitOne(Task task, AioContext context, ulong address)
    {
        if (task.Memory.CopyIn(address, out Iocb request) != Errno.None)
        {
            return Errno.EFAULT;
        }

        if (request.AioReserved2 != 0 || request.AioNbytes > long.MaxValue)
        {
            return Errno.EINVAL;
        }

        if (!context.TryReserve())
        {
            return Errno.EAGAIN;
        }

        EventDescription? notified = null;
        FileDescription? file = task.Files.Get((int)request.AioFildes);
        Errno error = file is null or PathDescription ? Errno.EBADF : Errno.None;
        if (error == Errno.None && (request.AioFlags & Aio.IOCB_FLAG_RESFD) != 0)
        {
            FileDescription? other = task.Files.Get((int)request.AioResfd);
            notified = other as EventDescription;
            error = other is null ? Errno.EBADF : notified is null ? Errno.EINVAL : Errno.None;
            if (notified is null)
            {
                other?.DecRef();
            }
        }

        if (error == Errno.None && task.Memory.CopyOut(address + Iocb.KeyOffset, 0) != Errno.None)
        {
            error = Errno.EFAULT;
        }

        long result = 0;
        if (error == Errno.None)
        {
            error = CarryOut(task, file!, request, out result);
        }

        if (error != Errno.None)
        {
            context.GiveBack();
        }
        else
        {
            bool interrupted = result is <= -(long)Errno.ERESTARTSYS and >= -(long)Errno.ERESTART_RESTARTBLOCK;
            context.Complete(new IoEvent { Data = request.AioData, Obj = address, Res = interrupted ? -(long)Errno.EINTR : result });
            if (notified is not null)
            {
                ulong one = 1;
                IoBuffer buffer = new(MemoryMarshal.AsBytes(new Span<ulong>(ref one)));
                _ = notified.Write(task, ref buffer);
            }
        }

        notified?.DecRef();
        file?.DecRef();
        return error;
    }

    /// <summary>An error is one of the request, which then has no result; an error of the file is the result.</summary>
    private static Errno CarryOut(Task task, FileDescription file, in Iocb request, out long result)
    {
        result = 0;
        bool write = request.AioLioOpcode is Aio.IOCB_CMD_PWRITE or Aio.IOCB_CMD_PWRITEV;
        switch (request.AioLioOpcode)
        {
            case Aio.IOCB_CMD_FSYNC:
            case Aio.IOCB_CMD_FDSYNC:
                if (request.AioBuf != 0 || request.AioOffset != 0 || request.AioNbytes != 0 || request.AioRwFlags != 0)
                {
                    return Errno.EINVAL;
                }

                Errno synced = file.Sync(request.AioLioOpcode == Aio.IOCB_CMD_FDSYNC);
                result = -(long)synced;
                return synced == Errno.EINVAL ? Errno.EINVAL : Errno.None;
            case Aio.IOCB_CMD_PREAD:
            case Aio.IOCB_CMD_PWRITE:
            case Aio.IOCB_CMD_PREADV:
            case Aio.IOCB_CMD_PWRITEV:
                break;
            default:
                return Errno.EINVAL;
        }

        if (write ? !file.IsWritable : !file.IsReadable)
        {
            return Errno.EBADF;
        }

        if (file.Inode.IsDirectory || request.AioOffset < 0)
        {
            return Errno.EINVAL;
        }

        if ((request.AioRwFlags & ~FileReadWrite.KnownFlags) != 0)
        {
            return Errno.EOPNOTSUPP;
        }

        // What has no position is read and written as it comes.
        long offset = file.Seek(task, 0, Fcntl.SEEK_CUR) < 0 ? -1 : request.AioOffset;
        if (request.AioLioOpcode is Aio.IOCB_CMD_PREAD or Aio.IOCB_CMD_PWRITE)
        {
            IoBuffer buffer = new(task.Memory, request.AioBuf, Math.Min(request.AioNbytes, FileReadWrite.MaxCount));
            result = FileReadWrite.Do(task, file, ref buffer, offset, request.AioRwFlags, write);
            return Errno.None;
        }

        if (request.AioNbytes > FileReadWrite.MaxVectors)
        {
            return Errno.EINVAL;
        }

        IoVec[] rented = ArrayPool<IoVec>.Shared.Rent((int)request.AioNbytes);
        Span<IoVec> vectors = rented.AsSpan(0, (int)request.AioNbytes);
        Errno error = FileReadWrite.ReadVectors(task, request.AioBuf, vectors);
        if (error == Errno.None)
        {
            IoBuffer buffer = new(task.Memory, vectors);
            result = FileReadWrite.Do(task, file, ref buffer, offset, request.AioRwFlags, write);
        }

        ArrayPool<IoVec>.Shared.Return(rented);
        return error;
    }

    private static long GetEvents(Task task, in SyscallArguments a) => Wait(task, a.A0, a.Long1, a.Long2, a.A3, a.A4);

    /// <summary>As io_getevents, with a signal mask meanwhile: a struct of its address and size.</summary>
    private static long PGetEvents(Task task, in SyscallArguments a)
    {
        ulong address = 0, size = 0;
        if (a.A5 != 0 && (task.Memory.CopyIn(a.A5, out address) != Errno.None || task.Memory.CopyIn(a.A5 + 8, out size) != Errno.None))
        {
            return -(long)Errno.EFAULT;
        }

        if (address != 0)
        {
            if (size != sizeof(ulong))
            {
                return -(long)Errno.EINVAL;
            }

            if (task.Memory.CopyIn(address, out ulong mask) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            task.SetTemporaryMask(mask);
        }

        long result = Wait(task, a.A0, a.Long1, a.Long2, a.A3, a.A4);
        if (result == -(long)Errno.EINTR)
        {
            // The mask stays until the handler's frame is made.
            return -(long)Errno.ERESTARTNOHAND;
        }

        task.RestoreTemporaryMask();
        return result;
    }

    private static long Wait(Task task, ulong id, long least, long most, ulong address, ulong timeout)
    {
        // Nanoseconds are not looked at whether they are less than a second's.
        Errno error = Errno.None;
        Deadline deadline = Deadline.Infinite;
        if (timeout != 0)
        {
            if (task.Memory.CopyIn(timeout, out Timespec time) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            Int128 nanoseconds = ((Int128)time.Seconds * 1_000_000_000) + time.Nanoseconds;
            deadline = Deadline.After(nanoseconds < 0 ? 0 : nanoseconds > long.MaxValue ? long.MaxValue : (long)nanoseconds);
        }

        if (least < 0 || least > most || task.Aio.Find(id) is not AioContext context)
        {
            return -(long)Errno.EINVAL;
        }

        Span<IoEvent> some = stackalloc IoEvent[16];
        TaskWaiter waiter = task.BeginWait(EventMask.Internal);
        context.Events.Register(waiter);
        long done = 0;
        while (true)
        {
            int taken = context.Take(some[..(int)Math.Min(most - done, some.Length)]);
            ReadOnlySpan<byte> bytes = MemoryMarshal.AsBytes(some[..taken]);
            if (task.Memory.CopyOut(address + (ulong)(done * IoEvent.SizeInBytes), bytes) != bytes.Length)
            {
                context.PutBack(some[..taken]);
                error = Errno.EFAULT;
                break;
            }

            done += taken;
            if (done >= most || (taken == 0 && (done >= least || error != Errno.None)))
            {
                break;
            }

            if (taken == 0)
            {
                error = context.IsDestroyed ? Errno.EINVAL : task.Block(deadline);
            }
        }

        context.Events.Unregister(waiter);
        task.EndWait(waiter);
        return done > 0 || error is Errno.None or Errno.ETIMEDOUT ? done : error == Errno.ERESTARTSYS ? -(long)Errno.EINTR : -(long)error;
    }

    /// <summary>Nothing is ever under way that could be cancelled.</summary>
    private static long Cancel(Task task, in SyscallArguments a) =>
        task.Memory.CopyIn(a.A1 + Iocb.KeyOffset, out uint _) != Errno.None ? -(long)Errno.EFAULT : -(long)Errno.EINVAL;
}
