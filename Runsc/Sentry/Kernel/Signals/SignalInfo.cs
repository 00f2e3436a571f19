using System.Runtime.InteropServices;

namespace Runsc.Sentry.Kernel.Signals;

/// <summary>siginfo_t of x86-64 (sigaction(2)): 128 bytes; the union's members that the kernel fills.</summary>
[StructLayout(LayoutKind.Explicit, Size = SizeInBytes)]
internal struct SignalInfo
{
    public const int SizeInBytes = 128;

    public const int SI_USER = 0;
    public const int SI_KERNEL = 0x80;
    public const int SI_QUEUE = -1;
    public const int SI_TIMER = -2;
    public const int SI_TKILL = -6;

    [FieldOffset(0)]
    public int Signal;

    [FieldOffset(4)]
    public int Errno;

    [FieldOffset(8)]
    public int Code;

    /// <summary>kill, sigqueue, SIGCHLD: sender or child. POSIX timers: the timer's id.</summary>
    [FieldOffset(16)]
    public int ProcessId;

    /// <summary>POSIX timers: overrun count.</summary>
    [FieldOffset(20)]
    public uint Uid;

    /// <summary>SIGCHLD: exit status or signal.</summary>
    [FieldOffset(24)]
    public int Status;

    /// <summary>sigqueue, timers: the value.</summary>
    [FieldOffset(24)]
    public ulong Value;

    /// <summary>SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP: the address.</summary>
    [FieldOffset(16)]
    public ulong Address;

    /// <summary>SIGCHLD: user and system time in clock ticks.</summary>
    [FieldOffset(32)]
    public long UserTime;

    [FieldOffset(40)]
    public long SystemTime;

    // The rest of the union, so that rt_sigqueueinfo passes it on.
    [FieldOffset(112)]
    public ulong Tail0;

    [FieldOffset(120)]
    public ulong Tail1;

    public static SignalInfo Kernel(int signal) => new() { Signal = signal, Code = SI_KERNEL };
}
