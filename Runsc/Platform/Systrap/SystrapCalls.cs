using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Platform.Systrap;

/// <summary>The host calls that only this platform makes. Each returns what the call returns, or −errno.</summary>
internal static unsafe partial class SystrapCalls
{
    /// <summary>Sleeps while *word is <paramref name="expected"/>, which another process may change; at most <paramref name="milliseconds"/>, negative: for ever.</summary>
    public static int Wait(int* word, int expected, int milliseconds)
    {
        Timespec time = Timespec.FromNanoseconds(milliseconds < 0 ? 0 : milliseconds * 1_000_000L);
        nint result = FutexNative(SysNo.futex, word, Futex.FUTEX_WAIT, expected, milliseconds < 0 ? null : &time, null, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : 0;
    }

    public static void Wake(int* word) => _ = WakeNative(SysNo.futex, word, Futex.FUTEX_WAKE, 1, null, null, 0);

    /// <summary>tgkill(2).</summary>
    public static void Kick(int process, int thread) => _ = SyscallNative(SysNo.tgkill, process, thread, Stub.StubLayout.KickSignal, 0);

    /// <summary>A descriptor that is readable when the process has ended, close-on-exec.</summary>
    public static int OpenProcess(int process)
    {
        nint result = SyscallNative(SysNo.pidfd_open, process, 0, 0, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : (int)result;
    }

    /// <summary>SIGKILL.</summary>
    public static void KillProcess(int descriptor) => _ = SyscallNative(SysNo.pidfd_send_signal, descriptor, Signal.SIGKILL, 0, 0);

    /// <summary>eventfd2(2), close-on-exec; reading does not wait.</summary>
    public static int CreateEvent()
    {
        const int EFD_CLOEXEC = 0x80000, EFD_NONBLOCK = 0x800;
        nint result = SyscallNative(SysNo.eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK, 0, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : (int)result;
    }

    /// <summary>fcntl(2) with F_ADD_SEALS.</summary>
    public static int Seal(int fd, int seals)
    {
        nint result = SyscallNative(SysNo.fcntl, fd, Fcntl.F_ADD_SEALS, seals, 0);
        return result < 0 ? -Marshal.GetLastPInvokeError() : 0;
    }

    /// <summary>AT_HWCAP2 of this process.</summary>
    public static ulong HardwareCapabilities2()
    {
        const ulong AT_HWCAP2 = 26;
        return AuxiliaryValueNative(AT_HWCAP2);
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint FutexNative(nint number, int* word, int operation, int value, Timespec* timeout, int* word2, int value3);

    [LibraryImport("libc", EntryPoint = "syscall")]
    [SuppressGCTransition]
    private static partial nint WakeNative(nint number, int* word, int operation, int value, Timespec* timeout, int* word2, int value3);

    [LibraryImport("libc", EntryPoint = "getauxval")]
    private static partial ulong AuxiliaryValueNative(ulong type);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial nint SyscallNative(nint number, nint a, nint b, nint c, nint d);
}
