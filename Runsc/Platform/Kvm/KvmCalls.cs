using System;
using System.Runtime.InteropServices;

namespace Runsc.Platform.Kvm;

/// <summary>
/// The host calls of the KVM platform. Each returns what the call returns, or −errno. None retries: EINTR is a result of KVM_RUN, and the
/// others cannot be interrupted, except KVM_CREATE_VM.
/// </summary>
internal static unsafe partial class KvmCalls
{
    public const int EPERM = 1;
    public const int ENOENT = 2;
    public const int ENXIO = 6;
    public const int ESRCH = 3;
    public const int EINTR = 4;
    public const int E2BIG = 7;
    public const int EBADF = 9;
    public const int EAGAIN = 11;
    public const int EACCES = 13;
    public const int EFAULT = 14;
    public const int EINVAL = 22;
    public const int ENODEV = 19;

    public const int PROT_READ = 1;
    public const int PROT_WRITE = 2;
    public const int PROT_EXEC = 4;
    public const int MAP_SHARED = 1;
    public const int MAP_PRIVATE = 2;
    public const int MAP_ANONYMOUS = 0x20;
    public const int MAP_NORESERVE = 0x4000;
    public const int MADV_DONTNEED = 4;
    public const int MADV_NOHUGEPAGE = 15;
    public const int MADV_DONTDUMP = 16;

    private const int O_RDWR = 2;
    private const int O_CLOEXEC = 0x80000;
    private const int SIG_BLOCK = 0;
    private const int SysOpen = 2;
    private const int SysRtSigprocmask = 14;
    private const int SysRtSigtimedwait = 128;
    private const int SysGettid = 186;
    private const int SysTgkill = 234;
    private const nuint SigsetSize = 8;

    /// <summary>Any KVM ioctl whose argument is a number.</summary>
    public static long Ioctl(int fd, uint request, nint argument)
    {
        int result = ioctl(fd, request, argument);
        return result < 0 ? -Marshal.GetLastPInvokeError() : result;
    }

    /// <summary>Any KVM ioctl whose argument is a structure.</summary>
    public static long Ioctl(int fd, uint request, void* argument) => Ioctl(fd, request, (nint)argument);

    /// <summary>mmap(2) at an address of the kernel's choice: the address, or −errno.</summary>
    public static long Mmap(nuint length, int protection, int flags, int fd, long offset)
    {
        nint result = mmap(0, length, protection, flags, fd, offset);
        return result == -1 ? -Marshal.GetLastPInvokeError() : result;
    }

    /// <summary>munmap(2).</summary>
    public static long Munmap(nint address, nuint length) => munmap(address, length) < 0 ? -Marshal.GetLastPInvokeError() : 0;

    /// <summary>madvise(2).</summary>
    public static long Madvise(nint address, nuint length, int advice) =>
        madvise(address, length, advice) < 0 ? -Marshal.GetLastPInvokeError() : 0;

    /// <summary>close(2).</summary>
    public static long Close(int fd) => close(fd) < 0 ? -Marshal.GetLastPInvokeError() : 0;

    /// <summary>open(2) with O_RDWR | O_CLOEXEC.</summary>
    public static long OpenReadWrite(byte* path)
    {
        nint result = syscall(SysOpen, (nint)path, O_RDWR | O_CLOEXEC, 0, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : result;
    }

    /// <summary>gettid(2).</summary>
    public static int GetThreadId() => (int)syscall(SysGettid, 0, 0, 0, 0);

    /// <summary>tgkill(2) within this process.</summary>
    public static long Tgkill(int thread, int signal)
    {
        nint result = syscall(SysTgkill, Environment.ProcessId, thread, signal, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>Blocks a signal in the calling thread.</summary>
    public static long BlockSignal(int signal)
    {
        ulong set = 1UL << (signal - 1);
        nint result = syscall(SysRtSigprocmask, SIG_BLOCK, (nint)(&set), 0, (nint)SigsetSize);
        return result < 0 ? -Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>Takes one pending instance of a blocked signal: its number, or −EAGAIN when there is none.</summary>
    public static long ConsumeSignal(int signal)
    {
        ulong set = 1UL << (signal - 1);
        // struct timespec { 0, 0 }: do not wait.
        Int128 timeout = 0;
        nint result = syscall(SysRtSigtimedwait, (nint)(&set), 0, (nint)(&timeout), (nint)SigsetSize);
        return result < 0 ? -Marshal.GetLastPInvokeError() : result;
    }

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int ioctl(int fd, nuint request, nint argument);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    private static partial nint mmap(nint address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    private static partial int munmap(nint address, nuint length);

    [LibraryImport("libc", EntryPoint = "madvise", SetLastError = true)]
    private static partial int madvise(nint address, nuint length, int advice);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int close(int fd);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint syscall(nint number, nint a0, nint a1, nint a2, nint a3);
}
