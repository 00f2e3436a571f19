using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform.Kvm.Abi;

namespace Runsc.Boot.Filters;

/// <summary>
/// What the Sentry may ask of the host: run virtual processors, its memory file, and descriptors that it was given.
/// No path can be named: open fails, and stat is allowed for descriptors only.
/// </summary>
internal static class BootFilter
{
    public static SeccompRules Create()
    {
        SeccompRules rules = new();

        // First, since it is made for each trap of the application.
        rules.AllowValues(
            SysNo.ioctl, 1,
            KvmNumbers.KVM_RUN, KvmNumbers.KVM_SET_USER_MEMORY_REGION, KvmNumbers.KVM_CREATE_VCPU, KvmNumbers.KVM_GET_REGS,
            KvmNumbers.KVM_GET_SREGS, KvmNumbers.KVM_SET_SREGS, KvmNumbers.KVM_SET_MSRS, KvmNumbers.KVM_SET_SIGNAL_MASK, KvmNumbers.KVM_SET_CPUID2,
            KvmNumbers.KVM_GET_VCPU_EVENTS, KvmNumbers.KVM_SET_VCPU_EVENTS, KvmNumbers.KVM_GET_TSC_KHZ, KvmNumbers.KVM_GET_XSAVE,
            KvmNumbers.KVM_SET_XSAVE, KvmNumbers.KVM_SET_XCRS, KvmNumbers.KVM_SET_DEVICE_ATTR, KvmNumbers.KVM_HAS_DEVICE_ATTR, KvmNumbers.KVM_CHECK_EXTENSION);

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

        // Waiting for descriptors, the gofer's and the control sockets.
        rules.Allow(SysNo.epoll_create1, SysNo.epoll_ctl, SysNo.epoll_wait, SysNo.epoll_pwait, SysNo.eventfd2, SysNo.pipe2)
            .Allow(SysNo.sendmsg, SysNo.recvmsg, SysNo.shutdown, SysNo.accept4);

        // The collector looks for /proc/meminfo, and does without.
        rules.Fail(Errno.ENOENT, SysNo.open, SysNo.openat);
        return rules;
    }
}
