using System;
using System.Runtime.InteropServices;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Mqueue;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Syscalls;

/// <summary>POSIX message queues (mq_open(2) and the others). SIGEV_THREAD of mq_notify(2), for which the C library needs a netlink socket, is EINVAL.</summary>
internal static unsafe class PosixQueueCalls
{
    private const int SIGEV_SIGNAL = 0, SIGEV_NONE = 1;

    // struct sigevent: the value, the signal, how to notify.
    private const int SignalOffset = 8, HowOffset = 12;

    // What Linux counts for each message beside its bytes.
    private const long MessageOverhead = 48;

    public static void Register(SyscallTable.Builder b)
    {
        b.Add(SysNo.mq_open, "mq_open", &Open, "str,oflags,mode,ptr");
        b.Add(SysNo.mq_unlink, "mq_unlink", &Unlink, "str");
        b.Add(SysNo.mq_timedsend, "mq_timedsend", &Send, "fd,buf,size,int,timespec");
        b.Add(SysNo.mq_timedreceive, "mq_timedreceive", &Receive, "fd,ptr,size,ptr,timespec");
        b.Add(SysNo.mq_notify, "mq_notify", &Notify, "fd,ptr");
        b.Add(SysNo.mq_getsetattr, "mq_getsetattr", &Attributes, "fd,ptr,ptr");
    }

    /// <summary>struct mq_attr.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct QueueAttributes
    {
        public long Flags;
        public long MaxMessages;
        public long MessageSize;
        public long CurrentMessages;
        public long Reserved0;
        public long Reserved1;
        public long Reserved2;
        public long Reserved3;
    }

    private static VfsPath Root(Task task)
    {
        Vfs.Mount mount = MqueueFileSystem.Of(task.Kernel, task.Ipc);
        VfsPath path = new(mount, mount.Root);
        path.IncRef();
        return path;
    }

    private static long Open(Task task, in SyscallArguments a)
    {
        Span<byte> buffer = stackalloc byte[PathArgument.Size];
        Errno error = PathArgument.Read(task, a.A0, buffer, out ReadOnlySpan<byte> name);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        // The C library has taken the first slash off; there is no other.
        if (name.IsEmpty || name.Contains((byte)'/'))
        {
            return -(long)(name.IsEmpty ? Errno.EINVAL : Errno.EACCES);
        }

        const int kept = Fcntl.O_ACCMODE | Fcntl.O_NONBLOCK | Fcntl.O_CLOEXEC;
        int flags = a.Int1 & (kept | Fcntl.O_CREAT | Fcntl.O_EXCL);
        VfsPath root = Root(task);
        error = (flags & Fcntl.O_CREAT) != 0 ? Make(task, root, name, flags, a.UInt2, a.A3) : Errno.None;
        FileDescription? file = null;
        if (error == Errno.None)
        {
            error = task.Kernel.Vfs.Open(task, root, name, flags & kept, 0, WalkFlags.None, out file);
        }

        root.DecRef();
        if (error != Errno.None)
        {
            return -(long)error;
        }

        long fd = task.Files.Add(file!, closeOnExec: true, task.DescriptorLimit);
        if (fd < 0)
        {
            file!.DecRef();
        }

        return fd;
    }

    /// <summary>O_CREAT: makes the queue unless it is there. EEXIST with O_EXCL, EINVAL for limits that are too high.</summary>
    private static Errno Make(Task task, in VfsPath root, ReadOnlySpan<byte> name, int flags, uint mode, ulong attributes)
    {
        IpcLimits limits = task.Ipc.Limits;
        long count = limits.PosixMessagesByDefault, size = limits.PosixMessageBytesByDefault;
        if (attributes != 0)
        {
            if (task.Memory.CopyIn(attributes, out QueueAttributes wanted) != Errno.None)
            {
                return Errno.EFAULT;
            }

            (count, size) = (wanted.MaxMessages, wanted.MessageSize);
        }

        bool privileged = task.Credentials.HasCapability(Capability.CAP_SYS_RESOURCE);
        bool tooMuch = count > (privileged ? PosixQueue.HardMessages : limits.PosixMessages) || size > (privileged ? PosixQueue.HardSize : limits.PosixMessageBytes);
        MqueueDirectory directory = (MqueueDirectory)root.Dentry.Inode!;
        if (count <= 0 || size <= 0 || tooMuch)
        {
            // A queue that is there is opened whatever is asked for.
            return directory.Lookup(name, out Inode? present) == Errno.None ? Found(present!, flags) : Errno.EINVAL;
        }

        if ((ulong)(count * (size + MessageOverhead)) > task.ThreadGroup.Limit(Resource.RLIMIT_MSGQUEUE))
        {
            return directory.Lookup(name, out Inode? present) == Errno.None ? Found(present!, flags) : Errno.EMFILE;
        }

        uint permissions = mode & 0x1ff & ~task.Fs.Umask;
        CreateOptions create = new((uint)Stat.S_IFREG | permissions, task.Credentials.FsUid, task.Credentials.FsGid);
        Errno error = directory.Add(name, create, new PosixQueue(count, size), privileged, out Inode? made);
        made?.DecRef();
        return error == Errno.EEXIST && (flags & Fcntl.O_EXCL) == 0 ? Errno.None : error;
    }

    private static Errno Found(Inode present, int flags)
    {
        present.DecRef();
        return (flags & Fcntl.O_EXCL) != 0 ? Errno.EEXIST : Errno.None;
    }

    private static long Unlink(Task task, in SyscallArguments a)
    {
        Span<byte> buffer = stackalloc byte[PathArgument.Size];
        Errno error = PathArgument.Read(task, a.A0, buffer, out ReadOnlySpan<byte> name);
        if (error != Errno.None || name.IsEmpty || name.Contains((byte)'/'))
        {
            return -(long)(error != Errno.None ? error : name.IsEmpty ? Errno.ENOENT : Errno.EACCES);
        }

        VfsPath root = Root(task);
        error = VirtualFileSystem.Remove(task, root, name, directory: false);
        root.DecRef();
        return -(long)error;
    }

    /// <summary>The queue of a descriptor, with a reference. EBADF for other files.</summary>
    private static PosixQueueDescription? Get(Task task, int fd)
    {
        FileDescription? file = task.Files.Get(fd);
        if (file is PosixQueueDescription queue)
        {
            return queue;
        }

        file?.DecRef();
        return null;
    }

    private static long Send(Task task, in SyscallArguments a)
    {
        if (a.UInt3 >= PosixQueue.PriorityLimit)
        {
            return -(long)Errno.EINVAL;
        }

        Errno error = TimeArguments.ReadAbsolute(task, a.A4, TimeConstants.CLOCK_REALTIME, out Deadline deadline);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        PosixQueueDescription? file = Get(task, a.Int0);
        if (file is null || !file.IsWritable)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        error = a.A2 > (ulong)file.Queue.MessageSize ? Errno.EMSGSIZE : Errno.None;
        byte[] message = [];
        if (error == Errno.None)
        {
            message = new byte[a.A2];
            error = message.Length > 0 && task.Memory.CopyIn(a.A1, message) != message.Length ? Errno.EFAULT : Errno.None;
        }

        while (error == Errno.None)
        {
            error = file.Queue.TrySend(message, a.UInt3);
            if (error != Errno.EAGAIN || file.IsNonBlocking)
            {
                break;
            }

            error = task.WaitFor(file, EventMask.Writable, deadline);
        }

        file.DecRef();
        return -(long)error;
    }

    private static long Receive(Task task, in SyscallArguments a)
    {
        Errno error = TimeArguments.ReadAbsolute(task, a.A4, TimeConstants.CLOCK_REALTIME, out Deadline deadline);
        if (error != Errno.None)
        {
            return -(long)error;
        }

        PosixQueueDescription? file = Get(task, a.Int0);
        if (file is null || !file.IsReadable)
        {
            file?.DecRef();
            return -(long)Errno.EBADF;
        }

        byte[] message = [];
        uint priority = 0;
        while (error == Errno.None)
        {
            error = file.Queue.TryReceive(a.A2, out message, out priority);
            if (error != Errno.EAGAIN || file.IsNonBlocking)
            {
                break;
            }

            file.Queue.CountReader(1);
            error = task.WaitFor(file, EventMask.Readable, deadline);
            file.Queue.CountReader(-1);
        }

        file.DecRef();
        if (error != Errno.None)
        {
            return -(long)error;
        }

        bool written = (message.Length == 0 || task.Memory.CopyOut(a.A1, message) == message.Length) && (a.A3 == 0 || task.Memory.CopyOut(a.A3, priority) == Errno.None);
        return written ? message.Length : -(long)Errno.EFAULT;
    }

    private static long Notify(Task task, in SyscallArguments a)
    {
        ulong value = 0;
        int signal = 0, how = SIGEV_NONE;
        if (a.A1 != 0)
        {
            if (task.Memory.CopyIn(a.A1, out value) != Errno.None || task.Memory.CopyIn(a.A1 + SignalOffset, out signal) != Errno.None
                || task.Memory.CopyIn(a.A1 + HowOffset, out how) != Errno.None)
            {
                return -(long)Errno.EFAULT;
            }

            if (how is not (SIGEV_SIGNAL or SIGEV_NONE) || (how == SIGEV_SIGNAL && signal is < 1 or > 64))
            {
                return -(long)Errno.EINVAL;
            }
        }

        PosixQueueDescription? file = Get(task, a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        Errno error = Errno.None;
        if (a.A1 == 0)
        {
            file.Queue.StopListening(task.ThreadGroup);
        }
        else
        {
            SignalInfo notice = new()
            {
                Signal = how == SIGEV_SIGNAL ? signal : 0,
                Code = SignalInfo.SI_MESGQ,
                ProcessId = task.ProcessId,
                Uid = task.Credentials.RealUid,
                Value = value,
            };
            error = file.Queue.Listen(task.ThreadGroup, notice);
        }

        file.DecRef();
        return -(long)error;
    }

    private static long Attributes(Task task, in SyscallArguments a)
    {
        QueueAttributes wanted = default;
        if (a.A1 != 0 && task.Memory.CopyIn(a.A1, out wanted) != Errno.None)
        {
            return -(long)Errno.EFAULT;
        }

        if ((wanted.Flags & ~(long)Fcntl.O_NONBLOCK) != 0)
        {
            return -(long)Errno.EINVAL;
        }

        PosixQueueDescription? file = Get(task, a.Int0);
        if (file is null)
        {
            return -(long)Errno.EBADF;
        }

        QueueAttributes present = new()
        {
            Flags = file.StatusFlags & Fcntl.O_NONBLOCK,
            MaxMessages = file.Queue.MaxMessages,
            MessageSize = file.Queue.MessageSize,
            CurrentMessages = file.Queue.Count,
        };
        Errno error = Errno.None;
        if (a.A1 != 0)
        {
            error = file.SetStatusFlags((file.StatusFlags & ~Fcntl.O_NONBLOCK) | (int)wanted.Flags);
        }

        file.DecRef();
        return error != Errno.None ? -(long)error : a.A2 == 0 || task.Memory.CopyOut(a.A2, present) == Errno.None ? 0 : -(long)Errno.EFAULT;
    }
}
