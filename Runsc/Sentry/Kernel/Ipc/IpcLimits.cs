namespace Runsc.Sentry.Kernel.Ipc;

/// <summary>
/// The limits of an IPC namespace that /proc/sys sets (sysvipc(7), mq_overview(7)), with Linux's first values. Each is one word that is read and written whole;
/// a call that runs meanwhile goes by the old or the new one.
/// </summary>
internal sealed class IpcLimits
{
    /// <summary>Largest System V message and largest sum in a queue that may be set: they lie in the kernel's own memory.</summary>
    public const long HardMessage = 16 << 20;
    public const long HardQueueBytes = 64 << 20;

    /// <summary>Semaphores of one operation that may be set.</summary>
    public const long HardOperations = 32000;

    /// <summary>ULONG_MAX − 2^24, as in Linux: sums with it do not wrap.</summary>
    public const ulong HardSegment = 18446744073692774399;

    /// <summary>kernel.shmmax in bytes.</summary>
    public ulong SegmentBytes { get; set; } = HardSegment;

    /// <summary>kernel.shmall in pages of 4 KiB.</summary>
    public ulong SegmentPages { get; set; } = HardSegment;

    /// <summary>kernel.msgmax, kernel.msgmnb.</summary>
    public long MessageBytes { get; set; } = MessageQueue.MaxMessage;

    public long QueueBytes { get; set; } = MessageQueue.DefaultBytes;

    /// <summary>kernel.sem: SEMMSL, SEMMNS and SEMOPM; SEMMNI is the table's.</summary>
    public long SemaphoresPerSet { get; set; } = SemaphoreSet.MaxPerSet;

    public long Semaphores { get; set; } = 1_024_000_000;

    public long SemaphoreOperations { get; set; } = SemaphoreSet.MaxOperations;

    /// <summary>fs.mqueue.queues_max, msg_max, msgsize_max, msg_default, msgsize_default.</summary>
    public long PosixQueues { get; set; } = 256;

    public long PosixMessages { get; set; } = 10;

    public long PosixMessageBytes { get; set; } = 8192;

    public long PosixMessagesByDefault { get; set; } = 10;

    public long PosixMessageBytesByDefault { get; set; } = 8192;
}
