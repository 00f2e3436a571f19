using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Signals;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Pipe;

/// <summary>An end, or with O_RDWR both ends, of a pipe or FIFO.</summary>
internal sealed class PipeDescription : FileDescription, IPipeCapacity
{
    public PipeDescription(Pipe pipe, in VfsPath path, int flags)
        : base(path, flags)
    {
        Pipe = pipe;
        if (IsReadable)
        {
            pipe.AddReader();
        }

        if (IsWritable)
        {
            pipe.AddWriter();
        }
    }

    public Pipe Pipe { get; }

    public override bool SupportsPoll => true;

    public long Capacity => Pipe.Capacity;

    public long SetCapacity(ICaller caller, int bytes) => Pipe.SetCapacity(bytes, caller.Credentials.HasCapability(Capability.CAP_SYS_RESOURCE));

    /// <summary>pipe2(2).</summary>
    public static void Create(ICaller caller, SentryKernel kernel, int flags, out PipeDescription read, out PipeDescription write)
    {
        VfsPath path = kernel.AnonymousFiles.NewPath("pipe:", (uint)Stat.S_IFIFO | 0x180, caller.Credentials);
        path.IncRef();
        Pipe pipe = new() { IsAnonymous = true };

        // What opens it again through /proc/self/fd gets this very pipe.
        path.Dentry.Inode!.Special = pipe;
        read = new PipeDescription(pipe, path, Fcntl.O_RDONLY | flags);
        write = new PipeDescription(pipe, path, Fcntl.O_WRONLY | flags);
    }

    public override long Read(ICaller caller, ref IoBuffer destination) => Pipe.Read(ref destination);

    public override long Write(ICaller caller, ref IoBuffer source)
    {
        long n = Pipe.Write(ref source);
        if (n == -(long)Errno.EPIPE && caller is Task task)
        {
            _ = task.SendSignal(new SignalInfo { Signal = Signal.SIGPIPE, Code = SignalInfo.SI_USER, ProcessId = task.ProcessId, Uid = task.Credentials.RealUid });
        }

        return n;
    }

    public override long Ioctl(ICaller caller, uint command, ulong argument)
    {
        if (command != Ioctls.FIONREAD)
        {
            return -(long)Errno.ENOTTY;
        }

        System.Span<byte> count = stackalloc byte[4];
        System.BitConverter.TryWriteBytes(count, Pipe.Count);
        return caller.UserMemory.CopyOut(argument, count) == 4 ? 0 : -(long)Errno.EFAULT;
    }

    public override EventMask Readiness(EventMask mask)
    {
        EventMask events = EventMask.None;
        if (IsReadable)
        {
            events |= Pipe.ReaderReadiness;
        }

        if (IsWritable)
        {
            events |= Pipe.WriterReadiness;
        }

        return events & (mask | EventMask.Unmaskable);
    }

    public override void Register(Waiter waiter) => Pipe.Events.Register(waiter);

    public override void Unregister(Waiter waiter) => Pipe.Events.Unregister(waiter);

    protected override void OnRelease()
    {
        if (IsReadable)
        {
            Pipe.RemoveReader();
        }

        if (IsWritable)
        {
            Pipe.RemoveWriter();
        }
    }
}
