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
    public const int SI_MESGQ = -3;
    public const int SI_ASYNCIO = -4;
    public const int SI_SIGIO = -5;
    public const int SI_TKILL = -6;

    public const int ILL_ILLOPN = 2;
    public const int FPE_INTDIV = 1;
    public const int FPE_FLTDIV = 3;
    public const int FPE_FLTOVF = 4;
    public const int FPE_FLTUND = 5;
    public const int FPE_FLTRES = 6;
    public const int FPE_FLTINV = 7;
    public const int SEGV_MAPERR = 1;
    public const int SEGV_ACCERR = 2;
    public const int BUS_ADRALN = 1;
    public const int BUS_ADRERR = 2;
    public const int TRAP_BRKPT = 1;
    public const int TRAP_TRACE = 2;

    public const int CLD_EXITED = 1;
    public const int CLD_KILLED = 2;
    public const int CLD_DUMPED = 3;
    public const int CLD_TRAPPED = 4;
    public const int CLD_STOPPED = 5;
    public const int CLD_CONTINUED = 6;

    [FieldOffset(0)]
    public int Signal;

    [FieldOffset(4)]
    public int Errno;

    [FieldOffset(8)]
    public int Code;

    /// <summary>kill, sigqueue, SIGCHLD: sender or child. POSIX timers: the timer's id.</summary>
    [FieldOffset(16)]
    public int ProcessId;

    /// <summary>kill, sigqueue, SIGCHLD: real user id of the sender or child. POSIX timers: overrun count.</summary>
    [FieldOffset(20)]
    public uint Uid;

    /// <summary>SIGCHLD: exit status or signal.</summary>
    [FieldOffset(24)]
    public int Status;

    /// <summary>sigqueue, timers: the value.</summary>
    [FieldOffset(24)]
    public ulong Value;

    /// <summary>SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP: the address. SIGIO: si_band.</summary>
    [FieldOffset(16)]
    public ulong Address;

    /// <summary>SIGIO: the descriptor.</summary>
    [FieldOffset(24)]
    public int Fd;

    /// <summary>SIGCHLD: user and system time in clock ticks.</summary>
    [FieldOffset(32)]
    public long UserTime;

    [FieldOffset(40)]
    public long SystemTime;

    // The rest of the union, so that rt_sigqueueinfo passes it on.
    [FieldOffset(48)]
    public ulong Rest0;

    [FieldOffset(56)]
    public ulong Rest1;

    [FieldOffset(64)]
    public ulong Rest2;

    [FieldOffset(72)]
    public ulong Rest3;

    [FieldOffset(80)]
    public ulong Rest4;

    [FieldOffset(88)]
    public ulong Rest5;

    [FieldOffset(96)]
    public ulong Rest6;

    [FieldOffset(104)]
    public ulong Rest7;

    [FieldOffset(112)]
    public ulong Tail0;

    [FieldOffset(120)]
    public ulong Tail1;

    /// <summary>A signal that the kernel itself sends.</summary>
    public static SignalInfo Kernel(int signal) => new() { Signal = signal, Code = SI_KERNEL };
}
