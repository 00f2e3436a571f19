using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>futex(2) on words of the Sentry's own: how tasks sleep.</summary>
internal static unsafe partial class HostFutex
{
    /// <summary>
    /// Sleeps while *word is <paramref name="expected"/>, until woken or until <paramref name="deadline"/> (CLOCK_MONOTONIC, nanoseconds; negative: for ever).
    /// 0, −EAGAIN, −EINTR, −ETIMEDOUT.
    /// </summary>
    public static int Wait(int* word, int expected, long deadline)
    {
        Timespec time = Timespec.FromNanoseconds(deadline < 0 ? 0 : deadline);
        return (int)HostResult.Of(FutexNative(SysNo.futex, word, Futex.FUTEX_WAIT_BITSET | Futex.FUTEX_PRIVATE_FLAG, expected, deadline < 0 ? null : &time, null, -1));
    }

    public static void Wake(int* word) => _ = FutexWakeNative(SysNo.futex, word, Futex.FUTEX_WAKE | Futex.FUTEX_PRIVATE_FLAG, 1, null, null, 0);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long FutexNative(long number, int* word, int operation, int value, Timespec* timeout, int* word2, int value3);

    [LibraryImport("libc", EntryPoint = "syscall")]
    private static partial long FutexWakeNative(long number, int* word, int operation, int value, Timespec* timeout, int* word2, int value3);
}
