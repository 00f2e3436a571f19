using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;

namespace Runsc.Sentry.Kernel.Tasks;

/// <summary>A descriptor that stands for a process (pidfd_open(2)). Readable once the process has ended.</summary>
internal sealed class PidFd(SentryKernel kernel, ThreadGroup process, int flags)
    : FileDescription(kernel.AnonymousFiles.NewPath("anon_inode:[pidfd]", (uint)Stat.S_IRUSR | (uint)Stat.S_IWUSR), Fcntl.O_RDWR | flags)
{
    public ThreadGroup Process { get; } = process;

    public override bool SupportsPoll => true;

    public override string? ShownName => "anon_inode:[pidfd]";

    public override string ShownInfo
    {
        get
        {
            int id = Process.IsDead ? -1 : Process.Id;
            return $"Pid:\t{id}\nNSpid:\t{id}\n";
        }
    }

    public override EventMask Readiness(EventMask mask) =>
        Process.IsDead ? (mask & EventMask.Readable) | EventMask.Hup : Process.IsZombie ? mask & EventMask.Readable : EventMask.None;

    public override void Register(Waiter waiter) => Process.ExitEvents.Register(waiter);

    public override void Unregister(Waiter waiter) => Process.ExitEvents.Unregister(waiter);
}
