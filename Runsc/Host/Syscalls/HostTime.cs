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

    [LibraryImport("libc", EntryPoint = "getrandom")]
    private static partial nint GetRandomNative(byte* buffer, nint length, uint flags);
}
