using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>fcntl(2), flock(2), ioctl(2).</summary>
internal static unsafe class FileControl
{
    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.fcntl, "fcntl", &DoFcntl, "fd,fcntl,hex");
        b.Add(SysNo.flock, "flock", &Flock, "fd,hex");
        b.Add(SysNo.ioctl, "ioctl", &Ioctl, "fd,hex,hex");
    }

    private static long DoFcntl(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        long result = DoFcntl(task, file, a);
        file.DecRef();
        return result;
    }

    private static long DoFcntl(Task task, FileDescription file, in SyscallArguments a)
    {
        int command = a.Int1;
        switch (command)
        {
            case Fcntl.F_DUPFD:
            case Fcntl.F_DUPFD_CLOEXEC:
                return Duplicate(task, file, a.Int2, command == Fcntl.F_DUPFD_CLOEXEC);
            case Fcntl.F_GETFD:
                return task.Files.GetCloseOnExec(a.Int0) switch { null => -(long)Errno.EBADF, true => Fcntl.FD_CLOEXEC, false => 0 };
            case Fcntl.F_SETFD:
                return task.Files.SetCloseOnExec(a.Int0, (a.Int2 & Fcntl.FD_CLOEXEC) != 0) ? 0 : -(long)Errno.EBADF;
            case Fcntl.F_GETFL:
                // Set by open(2) itself: pipes, sockets and the like do not have it.
                return file.StatusFlags | ((file.StatusFlags & Fcntl.O_PATH) == 0 && file.Inode.Super is not AnonymousFileSystem ? Fcntl.O_LARGEFILE : 0);
        }

        if ((file.StatusFlags & Fcntl.O_PATH) != 0)
        {
            return -(long)Errno.EBADF;
        }

        switch (command)
        {
            case Fcntl.F_SETFL:
                return -(long)AsyncIo.SetFlags(task, file, a.Int0, a.Int2);
            case Fcntl.F_GETLK:
            case Fcntl.F_OFD_GETLK:
                return GetLock(task, file, a.A2, command == Fcntl.F_OFD_GETLK);
            case Fcntl.F_SETLK:
            case Fcntl.F_SETLKW:
            case Fcntl.F_OFD_SETLK:
            case Fcntl.F_OFD_SETLKW:
                return SetLock(task, file, a.A2, command is Fcntl.F_OFD_SETLK or Fcntl.F_OFD_SETLKW, command is Fcntl.F_SETLKW or Fcntl.F_OFD_SETLKW);
            case Fcntl.F_ADD_SEALS:
                if (file.Inode is not TmpfsFile sealedFile || (a.UInt2 & ~0x1fu) != 0)
                {
                    return -(long)Errno.EINVAL;
                }

                return !file.IsWritable ? -(long)Errno.EPERM : -(long)sealedFile.AddSeals(a.UInt2);
            case Fcntl.F_GET_SEALS:
                return file.Inode is TmpfsFile { Seals: uint seals } ? seals : -(long)Errno.EINVAL;
            case Fcntl.F_SETPIPE_SZ:
            case Fcntl.F_GETPIPE_SZ:
                return file is IPipeCapacity pipe ? (command == Fcntl.F_GETPIPE_SZ ? pipe.Capacity : pipe.SetCapacity(task, a.Int2)) : -(long)Errno.EBADF;
            case Fcntl.F_GETOWN:
            case Fcntl.F_SETOWN:
            case Fcntl.F_GETOWN_EX:
            case Fcntl.F_SETOWN_EX:
            case Fcntl.F_GETSIG:
            case Fcntl.F_SETSIG:
                return AsyncIo.Control(task, file, command, a.A2);
            case Fcntl.F_GETLEASE:
                return Fcntl.F_UNLCK;
            default:
                return -(long)Errno.EINVAL;
        }
    }

    private static long Duplicate(Task task, FileDescription file, int minimum, bool closeOnExec)
    {
        if (minimum < 0 || (ulong)minimum >= task.DescriptorLimit)
        {
            return -(long)Errno.EINVAL;
        }

        file.IncRef();
        long fd = task.Files.Add(file, closeOnExec, task.DescriptorLimit, minimum);
        if (fd < 0)
        {
            file.DecRef();
        }

        return fd;
    }

    /// <summary>struct flock of x86-64.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct LockBuffer
    {
        public short Type;
        public short Whence;
        public int Padding;
        public long Start;
        public long Length;
        public int ProcessId;
        public int Padding2;
    }

    private static Errno ReadLock(Task task, FileDescription file, ulong address, out LockBuffer buffer, out ulong start, out ulong end)
    {
        start = end = 0;
        if (task.Memory.CopyIn(address, out buffer) != Errno.None)
        {
            return Errno.EFAULT;
        }

        long origin;
        switch (buffer.Whence)
        {
            case Fcntl.SEEK_SET:
                origin = 0;
                break;
            case Fcntl.SEEK_CUR:
                origin = file.Seek(task, 0, Fcntl.SEEK_CUR);
                break;
            case Fcntl.SEEK_END:
                Errno error = file.Inode.GetAttributes(out FileAttributes attributes);
                if (error != Errno.None)
                {
                    return error;
                }

                origin = attributes.Size;
                break;
            default:
                return Errno.EINVAL;
        }

        if (origin < 0)
        {
            origin = 0;
        }

        if (buffer.Start > long.MaxValue - origin)
        {
            return Errno.EOVERFLOW;
        }

        long first = origin + buffer.Start;
        if (first < 0)
        {
            return Errno.EINVAL;
        }

        if (buffer.Length < 0)
        {
            if (first + buffer.Length < 0)
            {
                return Errno.EINVAL;
            }

            start = (ulong)(first + buffer.Length);
            end = (ulong)first;
            return Errno.None;
        }

        if (buffer.Length > 0 && first > long.MaxValue - buffer.Length)
        {
            return Errno.EOVERFLOW;
        }

        start = (ulong)first;
        end = buffer.Length == 0 ? ulong.MaxValue : (ulong)first + (ulong)buffer.Length;
        return Errno.None;
    }

    private static long GetLock(Task task, FileDescription file, ulong address, bool byDescription)
    {
        Errno error = ReadLock(task, file, address, out LockBuffer buffer, out ulong start, out ulong end);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (buffer.Type is not (Fcntl.F_RDLCK or Fcntl.F_WRLCK) || (byDescription && buffer.ProcessId != 0))
        {
            return -(long)Errno.EINVAL;
        }

        object owner = byDescription ? file : task.Files;
        FileLocks.Held? held = FileLocks.Of(file.Inode).FindConflict(owner, buffer.Type == Fcntl.F_WRLCK, start, end);
        if (held is null)
        {
            buffer.Type = Fcntl.F_UNLCK;
        }
        else
        {
            buffer.Type = (short)(held.Exclusive ? Fcntl.F_WRLCK : Fcntl.F_RDLCK);
            buffer.Whence = Fcntl.SEEK_SET;
            buffer.Start = (long)held.Start;
            buffer.Length = held.End == ulong.MaxValue ? 0 : (long)(held.End - held.Start);
            buffer.ProcessId = held.Owner is FileDescription ? -1 : held.ProcessId;
        }

        return task.Memory.CopyOut(address, buffer) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }

    private static long SetLock(Task task, FileDescription file, ulong address, bool byDescription, bool wait)
    {
        Errno error = ReadLock(task, file, address, out LockBuffer buffer, out ulong start, out ulong end);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        if (byDescription && buffer.ProcessId != 0)
        {
            return -(long)Errno.EINVAL;
        }

        object owner = byDescription ? file : task.Files;
        FileLocks locks = FileLocks.Of(file.Inode);
        switch (buffer.Type)
        {
            case Fcntl.F_UNLCK:
                locks.UnlockRecord(owner, start, end);
                return 0;
            case Fcntl.F_RDLCK when !file.IsReadable:
            case Fcntl.F_WRLCK when !file.IsWritable:
                return -(long)Errno.EBADF;
            case Fcntl.F_RDLCK:
            case Fcntl.F_WRLCK:
                break;
            default:
                return -(long)Errno.EINVAL;
        }

        bool exclusive = buffer.Type == Fcntl.F_WRLCK;
        int process = byDescription ? -1 : task.ProcessId;
        error = locks.TryLockRecord(owner, process, exclusive, start, end);
        if (error != Errno.EAGAIN || !wait)
        {
            return -(long)error;
        }

        TaskWaiter waiter = task.BeginWait(EventMask.All);
        locks.Register(waiter);
        while ((error = locks.TryLockRecord(owner, process, exclusive, start, end)) == Errno.EAGAIN)
        {
            // Only processes are looked for in circles, as in Linux.
            error = byDescription ? Errno.None : locks.BeginWait(owner, exclusive, start, end);
            error = error == Errno.None ? task.Block(Deadline.Infinite) : error;
            if (error != Errno.None)
            {
                break;
            }
        }

        if (!byDescription)
        {
            FileLocks.EndWait(owner);
        }

        locks.Unregister(waiter);
        task.EndWait(waiter);
        return -(long)error;
    }

    private static long Flock(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null || (file.StatusFlags & Fcntl.O_PATH) != 0)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        FileLocks locks = FileLocks.Of(file.Inode);
        Errno error;
        switch (a.Int1 & ~Fcntl.LOCK_NB)
        {
            case Fcntl.LOCK_UN:
                locks.UnlockWhole(file);
                error = Errno.None;
                break;
            case Fcntl.LOCK_SH:
            case Fcntl.LOCK_EX:
                bool exclusive = (a.Int1 & Fcntl.LOCK_EX) != 0;
                error = locks.TryLockWhole(file, exclusive);
                if (error == Errno.EAGAIN && (a.Int1 & Fcntl.LOCK_NB) == 0)
                {
                    error = WaitForFlock(task, locks, file, exclusive);
                }

                break;
            default:
                error = Errno.EINVAL;
                break;
        }

        file.DecRef();
        return -(long)error;
    }

    private static Errno WaitForFlock(Task task, FileLocks locks, FileDescription file, bool exclusive)
    {
        TaskWaiter waiter = task.BeginWait(EventMask.All);
        locks.Register(waiter);
        Errno error;
        while ((error = locks.TryLockWhole(file, exclusive)) == Errno.EAGAIN)
        {
            error = task.Block(Deadline.Infinite);
            if (error != Errno.None)
            {
                break;
            }
        }

        locks.Unregister(waiter);
        task.EndWait(waiter);
        return error;
    }

    private static long Ioctl(Task task, in SyscallArguments a)
    {
        FileDescription? file = task.Files.Get(a.Int0);
        if (file is null || (file.StatusFlags & Fcntl.O_PATH) != 0)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        long result = Ioctl(task, file, a);
        file.DecRef();
        return result;
    }

    private static long Ioctl(Task task, FileDescription file, in SyscallArguments a)
    {
        switch (a.UInt1)
        {
            case Ioctls.FIOCLEX:
            case Ioctls.FIONCLEX:
                return task.Files.SetCloseOnExec(a.Int0, a.UInt1 == Ioctls.FIOCLEX) ? 0 : -(long)Errno.EBADF;
            case Ioctls.FIONBIO:
            case Ioctls.FIOASYNC:
            {
                if (task.Memory.CopyIn(a.A2, out int on) != Errno.None)
                {
                    return -(long)Errno.EFAULT;
                }

                int flag = a.UInt1 == Ioctls.FIONBIO ? Fcntl.O_NONBLOCK : Fcntl.O_ASYNC;
                return -(long)AsyncIo.SetFlags(task, file, a.Int0, on != 0 ? file.StatusFlags | flag : file.StatusFlags & ~flag);
            }

            case Socket.SIOCSPGRP or Socket.FIOSETOWN when file is SocketDescription:
                return task.Memory.CopyIn(a.A2, out int owner) != Errno.None ? -(long)Errno.EFAULT : AsyncIo.Control(task, file, Fcntl.F_SETOWN, unchecked((ulong)owner));
            case Socket.SIOCGPGRP or Socket.FIOGETOWN when file is SocketDescription:
                return -(long)task.Memory.CopyOut(a.A2, AsyncIo.GetOwner(file));
            case Ioctls.FIONREAD when file.Inode.IsRegular:
            {
                long position = file.Seek(task, 0, Fcntl.SEEK_CUR);
                Errno error = file.Inode.GetAttributes(out FileAttributes attributes);
                if (error != Errno.None)
                {
                    return -(long)error;
                }

                return task.Memory.CopyOut(a.A2, unchecked((int)(attributes.Size - position))) == Errno.None ? 0 : -(long)Errno.EFAULT;
            }

            default:
                return file.Ioctl(task, a.UInt1, a.A2);
        }
    }
}
