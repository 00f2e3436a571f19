using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform.Kvm;
using Runsc.Platform.Systrap;

namespace Runsc.Boot.Filters;

/// <summary>
/// What the Sentry may ask of the host: run the application, its memory file, and descriptors that it was given.
/// No path can be named: open fails, and stat is allowed for descriptors only.
/// </summary>
internal static class BootFilter
{
    /// <param name="platform">Name of the platform, whose own calls are allowed.</param>
    /// <param name="network">--network: the host's sockets are open with "host" only.</param>
    public static SeccompRules Create(string platform, string network)
    {
        SeccompRules rules = new();

        // First, since they are made for each trap of the application.
        if (platform == "systrap")
        {
            SystrapFilter.AddTo(rules);
        }
        else
        {
            KvmFilter.AddTo(rules);
        }

        // Terminals and pipes that the container was given.
        rules.AllowValues(
            SysNo.ioctl, 1,
            Ioctls.TCGETS, Ioctls.TCSETS, Ioctls.TCSETSW, Ioctls.TCSETSF, Ioctls.TIOCGWINSZ, Ioctls.TIOCSWINSZ, Ioctls.FIONREAD, Ioctls.TIOCOUTQ, Ioctls.TCFLSH,
            Ioctls.TCXONC, Ioctls.TCSBRK);
        RuntimeCalls.AddTo(rules);

        // Files by descriptor: standard input and output, files that the gofer opened, the memory file.
        rules.Allow(SysNo.pread64, SysNo.pwrite64, SysNo.readv, SysNo.lseek, SysNo.fstat, SysNo.ftruncate, SysNo.fallocate, SysNo.fsync, SysNo.fdatasync)
            .AllowIf(SysNo.newfstatat, ArgumentCheck.Int32(3, Fcntl.AT_EMPTY_PATH))
            .AllowValues(SysNo.fcntl, 1, Fcntl.F_GETFL, Fcntl.F_SETFL, Fcntl.F_GETFD, Fcntl.F_SETFD, Fcntl.F_DUPFD_CLOEXEC);

        // Standard error is left by putting standard input, which is nothing, in its place.
        rules.AllowIf(SysNo.dup3, ArgumentCheck.Int32(0, 0), ArgumentCheck.Int32(1, 2), ArgumentCheck.Int32(2, 0));

        // Waiting for descriptors, the gofer's and the control sockets.
        rules.Allow(SysNo.epoll_create1, SysNo.epoll_ctl, SysNo.epoll_wait, SysNo.epoll_pwait, SysNo.eventfd2, SysNo.pipe2)
            .Allow(SysNo.recvmmsg, SysNo.sendmmsg, SysNo.sendmsg, SysNo.recvmsg, SysNo.shutdown, SysNo.accept4);

        if (network == "host")
        {
            HostNetworkCalls.AddTo(rules);
        }

        // The collector looks for /proc/meminfo, and does without.
        rules.Fail(Errno.ENOENT, SysNo.open, SysNo.openat);
        return rules;
    }
}
