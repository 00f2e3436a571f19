using System;
using System.Runtime.InteropServices;
using Runsc.Linux;

namespace Runsc.Host.Syscalls;

/// <summary>Clocks and randomness of the host.</summary>
internal static unsafe partial class HostTime
{
    /// <summary>clock_gettime(2) in nanoseconds.</summary>
    public static long Now(int clock)
    {
        Timespec time;
        _ = ClockGetTimeNative(clock, &time);
        return time.ToNanoseconds();
    }

    /// <summary>gettid(2).</summary>
    public static int ThreadId() => GetTidNative();

    /// <summary>Processor time of a thread of this process in nanoseconds; negative when it has ended.</summary>
    public static long OfThread(int thread)
    {
        // The clock id of another thread: its number inverted, CPUCLOCK_PERTHREAD and CPUCLOCK_SCHED.
        Timespec time;
        return ClockGetTimeNative((~thread << 3) | 6, &time) == 0 ? time.ToNanoseconds() : -1;
    }

    /// <summary>getrandom(2), whole.</summary>
    public static void FillRandom(Span<byte> buffer)
    {
        while (buffer.Length > 0)
        {
            fixed (byte* p = buffer)
            {
                nint n = GetRandomNative(p, buffer.Length, 0);
                buffer = buffer[(int)Math.Max(n, 0)..];
            }
        }
    }

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    [SuppressGCTransition]
    private static partial int ClockGetTimeNative(int clock, Timespec* time);

    [LibraryImport("libc", EntryPoint = "gettid")]
    [SuppressGCTransition]
    private static partial int GetTidNative();

    [LibraryImport("libc", EntryPoint = "getrandom")]
    private static partial nint GetRandomNative(byte* buffer, nint length, uint flags);
}
