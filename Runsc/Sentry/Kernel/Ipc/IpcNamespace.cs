using System.Collections.Generic;
using System.Threading;

namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>System V IPC of one IPC namespace (sysvipc(7), ipc_namespaces(7)).</summary>
internal sealed class IpcNamespace
{
    private int _users;

    public const int MaxSegments = 4096;
    public const int MaxSets = 32000;
    public const int MaxQueues = 32000;

    public IpcLimits Limits { get; } = new();

    public IpcTable<SharedSegment> Segments { get; } = new(MaxSegments);

    public IpcTable<SemaphoreSet> Semaphores { get; } = new(MaxSets);

    public IpcTable<MessageQueue> Queues { get; } = new(MaxQueues);

    /// <summary>The mount of its POSIX message queues, made on first use by the file system of a higher rank.</summary>
    public object? PosixQueues;

    /// <summary>Bytes in all message queues: bounded, since they lie in the kernel's own memory. Guarded by the lock of <see cref="Queues"/>.</summary>
    public long QueuedBytes { get; set; }

    /// <summary>Tasks that are in it.</summary>
    public void IncUsers() => Interlocked.Increment(ref _users);

    /// <summary>With the last task the segments go; the rest is the collector's.</summary>
    public void DecUsers()
    {
        if (Interlocked.Decrement(ref _users) > 0)
        {
            return;
        }

        List<SharedSegment> left;
        lock (Segments.Mu)
        {
            left = [.. Segments.AllLocked];
            foreach (SharedSegment segment in left)
            {
                segment.IsRemoved = true;
            }
        }

        foreach (SharedSegment segment in left)
        {
            segment.FreeIfUnused();
        }
    }
}
