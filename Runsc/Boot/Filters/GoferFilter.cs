using Runsc.Host.Seccomp;
using Runsc.Linux;

namespace Runsc.Boot.Filters;

/// <summary>What the gofer may ask of the host: files below directories that it holds open. A path that starts from the working directory is refused.</summary>
internal static class GoferFilter
{
    public static SeccompRules Create()
    {
        SeccompRules rules = new();
        RuntimeCalls.AddTo(rules);

        // By name, beneath a descriptor.
        foreach (int number in (int[])
            [
                SysNo.openat, SysNo.openat2, SysNo.newfstatat, SysNo.readlinkat, SysNo.mkdirat, SysNo.mknodat, SysNo.unlinkat, SysNo.fchownat, SysNo.fchmodat,
                SysNo.utimensat, SysNo.statx,
            ])
        {
            rules.AllowIf(number, ArgumentCheck.Descriptor(0));
        }

        rules.AllowIf(SysNo.symlinkat, ArgumentCheck.Descriptor(1))
            .AllowIf(SysNo.linkat, ArgumentCheck.Descriptor(0), ArgumentCheck.Descriptor(2))
            .AllowIf(SysNo.renameat2, ArgumentCheck.Descriptor(0), ArgumentCheck.Descriptor(2));

        // By descriptor.
        rules.Allow(SysNo.fstat, SysNo.fstatfs, SysNo.getdents64, SysNo.lseek, SysNo.fchmod, SysNo.ftruncate, SysNo.fallocate, SysNo.fsync, SysNo.fdatasync)
            .Allow(SysNo.pread64, SysNo.pwrite64, SysNo.fgetxattr, SysNo.fsetxattr, SysNo.flistxattr, SysNo.fremovexattr, SysNo.dup)
            .AllowValues(SysNo.fcntl, 1, Fcntl.F_GETFL, Fcntl.F_SETFL, Fcntl.F_GETFD, Fcntl.F_SETFD, Fcntl.F_DUPFD_CLOEXEC)
            .AllowIf(SysNo.prlimit64, ArgumentCheck.Int32(0, 0), ArgumentCheck.Int32(1, Resource.RLIMIT_NOFILE));

        // The connection, and the wait for it.
        rules.Allow(SysNo.sendmsg, SysNo.recvmsg, SysNo.shutdown, SysNo.epoll_create1, SysNo.epoll_ctl, SysNo.epoll_wait, SysNo.epoll_pwait, SysNo.eventfd2);

        // The collector looks for /proc/meminfo, and does without. openat reaches this only from the working directory.
        rules.Fail(Errno.ENOENT, SysNo.open, SysNo.openat);
        return rules;
    }
}
