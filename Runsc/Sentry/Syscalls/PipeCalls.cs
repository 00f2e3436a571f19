using System;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pipe;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>pipe(2), splice(2), tee(2), vmsplice(2).</summary>
internal static unsafe class PipeCalls
{
    private const int Chunk = 32 << 10;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.pipe, "pipe", &Pipe1, "ptr");
        b.Add(SysNo.pipe2, "pipe2", &Pipe2, "ptr,oflags");
        b.Add(SysNo.splice, "splice", &Splice, "fd,ptr,fd,ptr,size,hex");
        b.Add(SysNo.tee, "tee", &Tee, "fd,fd,size,hex");
        b.Add(SysNo.vmsplice, "vmsplice", &VmSplice, "fd,ptr,int,hex");
    }

    private static long Pipe1(Task task, in SyscallArguments a) => Make(task, a.A0, 0);

    private static long Pipe2(Task task, in SyscallArguments a) => Make(task, a.A0, a.Int1);

    private static long Make(Task task, ulong address, int flags)
    {
        if ((flags & ~(Fcntl.O_CLOEXEC | Fcntl.O_NONBLOCK | Fcntl.O_DIRECT)) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if ((flags & Fcntl.O_DIRECT) != 0)
        {
            // Packet mode is not there.
            return -(long)Errno.EINVAL;
        }

        bool close = (flags & Fcntl.O_CLOEXEC) != 0;
        PipeDescription.Create(task, task.Kernel, flags & Fcntl.O_NONBLOCK, out PipeDescription read, out PipeDescription write);
        int first = task.Files.Add(read, close, task.DescriptorLimit);
        if (first < 0)
        {
            read.DecRef();
            write.DecRef();
            return first;
        }

        int second = task.Files.Add(write, close, task.DescriptorLimit);
        if (second < 0)
        {
            _ = task.Files.Close(task, first);
            write.DecRef();
            return second;
        }

        if (task.Memory.CopyOut(address, (uint)first | ((ulong)(uint)second << 32)) != Errno.None)
        {
            _ = task.Files.Close(task, first);
            _ = task.Files.Close(task, second);
            return -(long)Errno.EFAULT;
        }

        return 0;
    }

    private static long Splice(Task task, in SyscallArguments a)
    {
        FileDescription? input = task.Files.Get(a.Int0), output = task.Files.Get(a.Int2);
        long result = input is null || output is null || !input.IsReadable || !output.IsWritable
            ? -(long)Errno.EBADF
            : DoSplice(task, input, a.A1, output, a.A3, a.A4, a.Int5);
        input?.DecRef();
        output?.DecRef();
        return result;
    }

    private static long DoSplice(Task task, FileDescription input, ulong inputOffset, FileDescription output, ulong outputOffset, ulong length, int flags)
    {
        bool fromPipe = input is PipeDescription, toPipe = output is PipeDescription;
        if (!fromPipe && !toPipe)
        {
            return -(long)Errno.EINVAL;
        }

        if ((fromPipe && inputOffset != 0) || (toPipe && outputOffset != 0))
        {
            return -(long)Errno.ESPIPE;
        }

        if ((inputOffset != 0 && input is SocketDescription) || (outputOffset != 0 && output is SocketDescription))
        {
            // No reads and writes at a position.
            return -(long)Errno.EINVAL;
        }

        if (input is PipeDescription one && output is PipeDescription other && one.Pipe == other.Pipe)
        {
            return -(long)Errno.EINVAL;
        }

        long inputAt = -1, outputAt = -1;
        if ((inputOffset != 0 && task.Memory.CopyIn(inputOffset, out inputAt) != Errno.None)
            || (outputOffset != 0 && task.Memory.CopyIn(outputOffset, out outputAt) != Errno.None))
        {
            return -(long)Errno.EFAULT;
        }

        if ((inputOffset != 0 && inputAt < 0) || (outputOffset != 0 && outputAt < 0))
        {
            return -(long)Errno.EINVAL;
        }

        if (output.IsAppend && !toPipe)
        {
            return -(long)Errno.EINVAL;
        }

        bool nonBlocking = (flags & Fcntl.SPLICE_F_NONBLOCK) != 0;
        long moved = Move(task, input, ref inputAt, output, ref outputAt, (long)Math.Min(length, int.MaxValue), nonBlocking);
        if (moved > 0)
        {
            if ((inputOffset != 0 && task.Memory.CopyOut(inputOffset, inputAt) != Errno.None)
                || (outputOffset != 0 && task.Memory.CopyOut(outputOffset, outputAt) != Errno.None))
            {
                return -(long)Errno.EFAULT;
            }
        }

        return moved;
    }

    /// <summary>Moves bytes in one go of at most a chunk at a time; stops at the first short step, as callers expect of splice.</summary>
    private static long Move(Task task, FileDescription input, ref long inputAt, FileDescription output, ref long outputAt, long length, bool nonBlocking)
    {
        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(Chunk);
        long total = 0;
        while (total < length)
        {
            // Room first: what was taken from a pipe cannot be put back.
            if (output is PipeDescription pipe)
            {
                Errno error = WaitUntil(task, output, EventMask.Writable, total > 0 || nonBlocking || output.IsNonBlocking);
                if (error != Errno.None)
                {
                    total = total > 0 ? total : -(long)error;
                    break;
                }

                if (!pipe.Pipe.Ends.HasReaders)
                {
                    IoBuffer nothing = new(buffer.AsSpan(0, 1));
                    long broken = output.Write(task, ref nothing);
                    total = total > 0 ? total : broken;
                    break;
                }
            }

            int room = output is PipeDescription target ? Math.Max(target.Pipe.Capacity - target.Pipe.Count, 1) : Chunk;
            int part = (int)Math.Min(Math.Min(length - total, Chunk), room);
            long n;
            while (true)
            {
                IoBuffer into = new(buffer.AsSpan(0, part));
                n = inputAt >= 0 ? input.PRead(task, ref into, inputAt) : input.Read(task, ref into);
                if (n != -(long)Errno.EAGAIN || total > 0 || nonBlocking)
                {
                    break;
                }

                Errno error = WaitUntil(task, input, EventMask.Readable, input.IsNonBlocking);
                if (error != Errno.None)
                {
                    n = -(long)error;
                    break;
                }
            }

            if (n <= 0)
            {
                total = total > 0 ? total : n;
                break;
            }

            inputAt = inputAt >= 0 ? inputAt + n : inputAt;
            long written = WriteAll(task, output, buffer.AsSpan(0, (int)n), ref outputAt);
            if (written < 0)
            {
                total = total > 0 ? total : written;
                break;
            }

            total += written;
            if (written < part)
            {
                break;
            }
        }

        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        return total;
    }

    private static long WriteAll(Task task, FileDescription output, Span<byte> bytes, ref long offset)
    {
        int done = 0;
        while (done < bytes.Length)
        {
            IoBuffer from = new(bytes[done..]);
            long n = offset >= 0 ? output.PWrite(task, ref from, offset) : output.Write(task, ref from);
            if (n == -(long)Errno.EAGAIN)
            {
                // These bytes have left their source: they must go, whatever comes.
                Errno error = WaitUntil(task, output, EventMask.Writable, false);
                if (error == Errno.None)
                {
                    continue;
                }

                n = -(long)error;
            }

            if (n <= 0)
            {
                return done > 0 ? done : n;
            }

            done += (int)n;
            offset = offset >= 0 ? offset + n : offset;
        }

        return done;
    }

    private static Errno WaitUntil(Task task, FileDescription file, EventMask mask, bool nonBlocking)
    {
        if ((file.Readiness(mask) & (mask | EventMask.Unmaskable)) != 0)
        {
            return Errno.None;
        }

        return nonBlocking ? Errno.EAGAIN : task.WaitFor(file, mask, Deadline.Infinite);
    }

    private static long Tee(Task task, in SyscallArguments a)
    {
        FileDescription? input = task.Files.Get(a.Int0), output = task.Files.Get(a.Int1);
        long result;
        if (input is null || output is null || !input.IsReadable || !output.IsWritable)
        {
            result = -(long)Errno.EBADF;
        }
        else if (input is not PipeDescription from || output is not PipeDescription to || from.Pipe == to.Pipe)
        {
            result = -(long)Errno.EINVAL;
        }
        else
        {
            result = DoTee(task, from, to, (int)Math.Min(a.A2, Chunk), (a.Int3 & Fcntl.SPLICE_F_NONBLOCK) != 0);
        }

        input?.DecRef();
        output?.DecRef();
        return result;
    }

    private static long DoTee(Task task, PipeDescription from, PipeDescription to, int length, bool nonBlocking)
    {
        Errno error = WaitUntil(task, from, EventMask.Readable, nonBlocking || from.IsNonBlocking);
        if (error == Errno.None)
        {
            error = WaitUntil(task, to, EventMask.Writable, nonBlocking || to.IsNonBlocking);
        }

        if (error != Errno.None)
        {
            return -(long)error;
        }

        byte[] buffer = System.Buffers.ArrayPool<byte>.Shared.Rent(Chunk);
        int room = Math.Max(to.Pipe.Capacity - to.Pipe.Count, 1);
        int n = from.Pipe.Peek(buffer.AsSpan(0, Math.Min(length, room)));
        long result = 0;
        if (n > 0)
        {
            IoBuffer source = new(buffer.AsSpan(0, n));
            result = to.Write(task, ref source);
        }

        System.Buffers.ArrayPool<byte>.Shared.Return(buffer);
        return result;
    }

    private static long VmSplice(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is not PipeDescription pipe)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        // Pages are copied, not given: what follows differs only in speed.
        long result = FileReadWrite.Vector(task, a.Int0, a.A1, a.A2, -1, 0, pipe.IsWritable);
        file.DecRef();
        return result;
    }
}
