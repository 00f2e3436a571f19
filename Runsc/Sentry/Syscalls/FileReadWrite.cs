using System;
using System.Buffers;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>read(2), write(2) and their vector and positional forms, lseek(2), sendfile(2), copy_file_range(2).</summary>
internal static unsafe class FileReadWrite
{
    /// <summary>MAX_RW_COUNT: what one call moves at most.</summary>
    public const ulong MaxCount = 0x7ffff000;

    public const int MaxVectors = 1024;

    /// <summary>RWF_* of preadv2(2).</summary>
    public const int KnownFlags = Fcntl.RWF_DSYNC | Fcntl.RWF_HIPRI | Fcntl.RWF_SYNC | Fcntl.RWF_NOWAIT | Fcntl.RWF_APPEND;

    /// <summary>Vectors up to this many are kept on the stack.</summary>
    private const int StackVectors = 16;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.read, "read", &Read, "fd,outbuf,size");
        b.Add(SysNo.write, "write", &Write, "fd,buf,size");
        b.Add(SysNo.pread64, "pread64", &PRead, "fd,outbuf,size,off");
        b.Add(SysNo.pwrite64, "pwrite64", &PWrite, "fd,buf,size,off");
        b.Add(SysNo.readv, "readv", &ReadV, "fd,ptr,int");
        b.Add(SysNo.writev, "writev", &WriteV, "fd,ptr,int");
        b.Add(SysNo.preadv, "preadv", &PReadV, "fd,ptr,int,off");
        b.Add(SysNo.pwritev, "pwritev", &PWriteV, "fd,ptr,int,off");
        b.Add(SysNo.preadv2, "preadv2", &PReadV2, "fd,ptr,int,off,hex,hex");
        b.Add(SysNo.pwritev2, "pwritev2", &PWriteV2, "fd,ptr,int,off,hex,hex");
        b.Add(SysNo.lseek, "lseek", &Seek, "fd,off,int");
        b.Add(SysNo.sendfile, "sendfile", &SendFile, "fd,fd,ptr,size");
        b.Add(SysNo.copy_file_range, "copy_file_range", &CopyFileRange, "fd,ptr,fd,ptr,size,hex");
    }

    private static long Read(Task task, in SyscallArguments a)
    {
        if (GetFile(task, a.Int0, write: false, out Errno error) is not FileDescription file)
        {
            return -(long)error;
        }

        IoBuffer buffer = new(task.Memory, a.A1, Math.Min(a.A2, MaxCount));
        long result = DoRead(task, file, ref buffer, -1, dontWait: false);
        file.DecRef();
        return result;
    }

    private static long Write(Task task, in SyscallArguments a)
    {
        if (GetFile(task, a.Int0, write: true, out Errno error) is not FileDescription file)
        {
            return -(long)error;
        }

        IoBuffer buffer = new(task.Memory, a.A1, Math.Min(a.A2, MaxCount));
        long result = DoWrite(task, file, ref buffer, -1, dontWait: false);
        file.DecRef();
        return result;
    }

    private static long PRead(Task task, in SyscallArguments a)
    {
        if (a.Long3 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (GetFile(task, a.Int0, write: false, out Errno error) is not FileDescription file)
        {
            return -(long)error;
        }

        IoBuffer buffer = new(task.Memory, a.A1, Math.Min(a.A2, MaxCount));
        long result = DoRead(task, file, ref buffer, a.Long3, dontWait: false);
        file.DecRef();
        return result;
    }

    private static long PWrite(Task task, in SyscallArguments a)
    {
        if (a.Long3 < 0)
        {
            return -(long)Errno.EINVAL;
        }

        if (GetFile(task, a.Int0, write: true, out Errno error) is not FileDescription file)
        {
            return -(long)error;
        }

        IoBuffer buffer = new(task.Memory, a.A1, Math.Min(a.A2, MaxCount));
        long result = DoWrite(task, file, ref buffer, a.Long3, dontWait: false);
        file.DecRef();
        return result;
    }

    private static long ReadV(Task task, in SyscallArguments a) => Vector(task, a.Int0, a.A1, a.A2, -1, 0, write: false);

    private static long WriteV(Task task, in SyscallArguments a) => Vector(task, a.Int0, a.A1, a.A2, -1, 0, write: true);

    private static long PReadV(Task task, in SyscallArguments a) => a.Long3 < 0 ? -(long)Errno.EINVAL : Vector(task, a.Int0, a.A1, a.A2, a.Long3, 0, write: false);

    private static long PWriteV(Task task, in SyscallArguments a) => a.Long3 < 0 ? -(long)Errno.EINVAL : Vector(task, a.Int0, a.A1, a.A2, a.Long3, 0, write: true);

    private static long PReadV2(Task task, in SyscallArguments a) => a.Long3 < -1 ? -(long)Errno.EINVAL : Vector(task, a.Int0, a.A1, a.A2, a.Long3, a.Int5, write: false);

    private static long PWriteV2(Task task, in SyscallArguments a) => a.Long3 < -1 ? -(long)Errno.EINVAL : Vector(task, a.Int0, a.A1, a.A2, a.Long3, a.Int5, write: true);

    /// <summary>readv(2), writev(2) and their kin; offset −1 is the description's own position.</summary>
    public static long Vector(Task task, int fd, ulong address, ulong count, long offset, int flags, bool write)
    {
        if ((flags & ~KnownFlags) != 0)
        {
            return -(long)Errno.EOPNOTSUPP;
        }

        if (count > MaxVectors)
        {
            return -(long)Errno.EINVAL;
        }

        if (GetFile(task, fd, write, out Errno error) is not FileDescription file)
        {
            return -(long)error;
        }

        IoVec[]? rented = count > StackVectors ? ArrayPool<IoVec>.Shared.Rent((int)count) : null;
        Span<IoVec> vectors = rented is null ? stackalloc IoVec[StackVectors] : rented;
        vectors = vectors[..(int)count];
        long result = -(long)ReadVectors(task, address, vectors);
        if (result == 0)
        {
            IoBuffer buffer = new(task.Memory, vectors);
            result = Do(task, file, ref buffer, offset, flags, write);
        }

        if (rented is not null)
        {
            ArrayPool<IoVec>.Shared.Return(rented);
        }

        file.DecRef();
        return result;
    }

    /// <summary>Reads or writes with RWF_* flags, of which all are known.</summary>
    public static long Do(Task task, FileDescription file, ref IoBuffer buffer, long offset, int flags, bool write)
    {
        bool dontWait = (flags & Fcntl.RWF_NOWAIT) != 0;
        long result = !write ? DoRead(task, file, ref buffer, offset, dontWait)
            : (flags & Fcntl.RWF_APPEND) != 0 && file.Inode.IsRegular ? file.Append(task, ref buffer, offset < 0)
            : DoWrite(task, file, ref buffer, offset, dontWait);
        if (write && result > 0 && (flags & (Fcntl.RWF_DSYNC | Fcntl.RWF_SYNC)) != 0)
        {
            Errno synced = file.Sync((flags & Fcntl.RWF_SYNC) == 0);
            result = synced is Errno.None or Errno.EINVAL ? result : -(long)synced;
        }

        return result;
    }

    /// <summary>Copies iovecs in and checks them: EFAULT, EINVAL for a negative length; what exceeds MAX_RW_COUNT is cut off.</summary>
    public static Errno ReadVectors(Task task, ulong address, Span<IoVec> vectors)
    {
        Span<byte> bytes = MemoryMarshal.AsBytes(vectors);
        if (task.Memory.CopyIn(address, bytes) != bytes.Length)
        {
            return Errno.EFAULT;
        }

        ulong left = MaxCount;
        foreach (ref IoVec vector in vectors)
        {
            if (vector.Length > long.MaxValue)
            {
                return Errno.EINVAL;
            }

            vector.Length = Math.Min(vector.Length, left);
            left -= vector.Length;
        }

        return Errno.None;
    }

    /// <summary>Reads at the description's position (offset −1) or at an offset, waiting as the description says.</summary>
    public static long DoRead(Task task, FileDescription file, ref IoBuffer buffer, long offset, bool dontWait)
    {
        if (file is SocketDescription socket && offset < 0)
        {
            if (buffer.Remaining == 0)
            {
                return 0;
            }

            ReceiveRequest request = new() { Flags = dontWait ? Socket.MSG_DONTWAIT : 0, IsPlainRead = true };
            return SocketIo.Receive(task, socket, ref buffer, ref request);
        }

        long n = offset < 0 ? file.Read(task, ref buffer) : file.PRead(task, ref buffer, offset);
        if (n != -(long)Errno.EAGAIN || dontWait || file.IsNonBlocking)
        {
            return n;
        }

        TaskWaiter waiter = task.BeginWait(EventMask.Readable | EventMask.ReadHup);
        file.Register(waiter);
        while (true)
        {
            n = offset < 0 ? file.Read(task, ref buffer) : file.PRead(task, ref buffer, offset);
            if (n != -(long)Errno.EAGAIN)
            {
                break;
            }

            Errno error = task.Block(Deadline.Infinite);
            if (error != Errno.None)
            {
                n = -(long)error;
                break;
            }
        }

        file.Unregister(waiter);
        task.EndWait(waiter);
        return n;
    }

    /// <summary>Writes all that the buffer holds, waiting as the description says: a blocking write is complete unless a signal or an error ends it.</summary>
    public static long DoWrite(Task task, FileDescription file, ref IoBuffer buffer, long offset, bool dontWait)
    {
        if (file is SocketDescription socket && offset < 0)
        {
            SendRequest request = new() { Flags = dontWait ? Socket.MSG_DONTWAIT : 0 };
            return SocketIo.Send(task, socket, ref buffer, ref request);
        }

        long n = offset < 0 ? file.Write(task, ref buffer) : file.PWrite(task, ref buffer, offset);
        if (dontWait || file.IsNonBlocking || !file.SupportsPoll || (n != -(long)Errno.EAGAIN && (n < 0 || buffer.Remaining == 0)))
        {
            return n;
        }

        long done = Math.Max(n, 0);
        TaskWaiter waiter = task.BeginWait(EventMask.Writable);
        file.Register(waiter);
        while (buffer.Remaining > 0)
        {
            n = offset < 0 ? file.Write(task, ref buffer) : file.PWrite(task, ref buffer, offset + done);
            if (n > 0)
            {
                done += n;
                continue;
            }

            if (n != -(long)Errno.EAGAIN)
            {
                done = done > 0 ? done : n;
                break;
            }

            Errno error = task.Block(Deadline.Infinite);
            if (error != Errno.None)
            {
                done = done > 0 ? done : -(long)error;
                break;
            }
        }

        file.Unregister(waiter);
        task.EndWait(waiter);
        return done;
    }

    private static long Seek(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        long result = file is PathDescription ? -(long)Errno.EBADF : file.Seek(task, a.Long1, a.Int2);
        file.DecRef();
        return result;
    }

    private static long SendFile(Task task, in SyscallArguments a)
    {
        long offset = -1;
        if (a.A2 != 0)
        {
            Errno copy = task.Memory.CopyIn(a.A2, out offset);
            if (copy != Errno.None || offset < 0)
            {
                return copy != Errno.None ? -(long)copy : -(long)Errno.EINVAL;
            }
        }

        if (GetFile(task, a.Int1, write: false, out Errno error) is not FileDescription source)
        {
            return -(long)error;
        }

        if (GetFile(task, a.Int0, write: true, out error) is not FileDescription target)
        {
            source.DecRef();
            return -(long)error;
        }

        // What has no position goes into pipes only, one read's worth; and never out of a pipe.
        bool hasPosition = source.Seek(task, 0, Fcntl.SEEK_CUR) >= 0;
        bool takes = !target.IsAppend && source is not IPipeCapacity && (hasPosition || target is IPipeCapacity);
        long done = !takes ? -(long)Errno.EINVAL : Transfer(task, source, offset, target, -1, Math.Min(a.A3, MaxCount), once: !hasPosition);
        if (a.A2 != 0)
        {
            long end = offset + Math.Max(done, 0);
            if (task.Memory.CopyOut(a.A2, end) != Errno.None)
            {
                done = -(long)Errno.EFAULT;
            }
        }

        source.DecRef();
        target.DecRef();
        return done;
    }

    private static long CopyFileRange(Task task, in SyscallArguments a)
    {
        long from = -1, to = -1;
        if (a.UInt5 != 0)
        {
            return -(long)Errno.EINVAL;
        }

        if ((a.A1 != 0 && task.Memory.CopyIn(a.A1, out from) != Errno.None) || (a.A3 != 0 && task.Memory.CopyIn(a.A3, out to) != Errno.None))
        {
            return -(long)Errno.EFAULT;
        }

        if (GetFile(task, a.Int0, write: false, out Errno error) is not FileDescription source)
        {
            return -(long)error;
        }

        if (GetFile(task, a.Int2, write: true, out error) is not FileDescription target)
        {
            source.DecRef();
            return -(long)error;
        }

        long done;
        if (source.Inode.IsDirectory || target.Inode.IsDirectory)
        {
            done = -(long)Errno.EISDIR;
        }
        else if (!source.Inode.IsRegular || !target.Inode.IsRegular || (a.A1 != 0 && from < 0) || (a.A3 != 0 && to < 0))
        {
            done = -(long)Errno.EINVAL;
        }
        else if (target.IsAppend)
        {
            done = -(long)Errno.EBADF;
        }
        else
        {
            done = Transfer(task, source, from, target, to, Math.Min(a.A4, MaxCount));
        }

        if (done > 0)
        {
            from += done;
            to += done;
            if ((a.A1 != 0 && task.Memory.CopyOut(a.A1, from) != Errno.None) || (a.A3 != 0 && task.Memory.CopyOut(a.A3, to) != Errno.None))
            {
                done = -(long)Errno.EFAULT;
            }
        }

        source.DecRef();
        target.DecRef();
        return done;
    }

    /// <summary>Moves bytes between two descriptions through a buffer of the kernel's.</summary>
    private static long Transfer(Task task, FileDescription source, long from, FileDescription target, long to, ulong count, bool once = false)
    {
        byte[] chunk = ArrayPool<byte>.Shared.Rent(64 << 10);
        long done = 0;
        while ((ulong)done < count)
        {
            int want = (int)Math.Min(count - (ulong)done, (ulong)chunk.Length);
            IoBuffer read = new(chunk.AsSpan(0, want));
            long n = done > 0 && source.SupportsPoll && (source.Readiness(EventMask.Readable) & EventMask.Readable) == 0
                ? 0
                : DoRead(task, source, ref read, from < 0 ? -1 : from + done, dontWait: false);
            if (n <= 0)
            {
                done = done > 0 ? done : n;
                break;
            }

            IoBuffer write = new(chunk.AsSpan(0, (int)n));
            long w = DoWrite(task, target, ref write, to < 0 ? -1 : to + done, dontWait: false);
            if (w < n && from < 0 && !source.SupportsPoll)
            {
                // What was read but not written goes back.
                source.Seek(task, Math.Max(w, 0) - n, Fcntl.SEEK_CUR);
            }

            if (w <= 0)
            {
                done = done > 0 ? done : w;
                break;
            }

            done += w;
            if (w < n || once)
            {
                break;
            }
        }

        ArrayPool<byte>.Shared.Return(chunk);
        return done;
    }

    /// <summary>A description open for reading or writing, with a reference; EBADF.</summary>
    public static FileDescription? GetFile(Task task, int fd, bool write, out Errno error)
    {
        error = Errno.EBADF;
        FileDescription? file = task.Files.Get(fd);
        if (file is null)
        {
            return null;
        }

        if (write ? file.IsWritable : file.IsReadable)
        {
            return file;
        }

        file.DecRef();
        return null;
    }
}
