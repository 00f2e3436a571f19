using System.Collections.Generic;
using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Auth;

namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>System V IPC of one IPC namespace (sysvipc(7), ipc_namespaces(7)).</summary>
internal sealed class IpcNamespace(UserNamespace owner, ulong number) : Namespace(owner, number)
{
    private int _users;

    public const int MaxSegments = 4096;
    public const int MaxSets = 32000;
    public const int MaxQueues = 32000;

    public IpcNamespace()
        : this(UserNamespace.Initial)
    {
    }

    public IpcNamespace(UserNamespace owner)
        : this(owner, NewNumber())
    {
    }

    public override int Type => Sched.CLONE_NEWIPC;

    public override string Kind => "ipc";

    public IpcLimits Limits { get; } = new();

    public IpcTable<SharedSegment> Segments { get; } = new(MaxSegments);

    public IpcTable<SemaphoreSet> Semaphores { get; } = new(MaxSets);

    public IpcTable<MessageQueue> Queues { get; } = new(MaxQueues);

    /// <summary>The mount of its POSIX message queues, made on first use by the file system of a higher rank.</summary>
    public object? PosixQueues;

    /// <summary>Bytes in all message queues: bounded, since they lie in the kernel's own memory. Guarded by the lock of <see cref="Queues"/>.</summary>
    public long QueuedBytes { get; set; }

    /// <summary>Tasks that are in it, and files that stand for it.</summary>
    public override bool TryIncUsers()
    {
        Interlocked.Increment(ref _users);
        return true;
    }

    /// <summary>With the last user the segments go; the rest is the collector's.</summary>
    public override void DecUsers()
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
