using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.FileSystems.Mqueue;

/// <summary>An open message queue: what mq_open(3) gives, or open(2) of its file.</summary>
internal sealed class PosixQueueDescription(PosixQueue queue, in VfsPath path, int flags) : FileDescription(path, flags)
{
    private long _position;

    public PosixQueue Queue => queue;

    public override bool SupportsPoll => true;

    public override long Read(ICaller caller, ref IoBuffer destination)
    {
        byte[] text = Encoding.ASCII.GetBytes(queue.Describe());
        long position = System.Threading.Interlocked.Read(ref _position);
        if (position >= text.Length)
        {
            return 0;
        }

        long n = destination.CopyOut(System.MemoryExtensions.AsSpan(text, (int)position));
        if (n > 0)
        {
            System.Threading.Interlocked.Add(ref _position, n);
        }

        return n;
    }

    public override EventMask Readiness(EventMask mask) => queue.Readiness & mask;

    public override void Register(Waiter waiter) => queue.Events.Register(waiter);

    public override void Unregister(Waiter waiter) => queue.Events.Unregister(waiter);

    /// <summary>Closing it takes the process's registration with it.</summary>
    public override Errno OnClose(ICaller caller)
    {
        if (caller is Task task)
        {
            queue.StopListening(task.ThreadGroup);
        }

        return Errno.None;
    }
}
