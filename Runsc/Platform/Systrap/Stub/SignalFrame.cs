using System.Runtime.InteropServices;

namespace Runsc.Platform.Systrap.Stub;

/// <summary>struct rt_sigframe of x86-64 (arch/x86/include/asm/sigframe.h), which the host's kernel writes for a trap and reads at rt_sigreturn.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct SignalFrame
{
    public const int SizeInBytes = 440;

    public ulong ReturnAddress;

    // struct ucontext
    public ulong Flags;
    public ulong Link;
    public ulong StackBase;
    public ulong StackFlags;
    public ulong StackSize;

    // struct sigcontext_64
    public ulong R8;
    public ulong R9;
    public ulong R10;
    public ulong R11;
    public ulong R12;
    public ulong R13;
    public ulong R14;
    public ulong R15;
    public ulong Rdi;
    public ulong Rsi;
    public ulong Rbp;
    public ulong Rbx;
    public ulong Rdx;
    public ulong Rax;
    public ulong Rcx;
    public ulong Rsp;
    public ulong Rip;
    public ulong Rflags;
    public ushort Cs;
    public ushort Gs;
    public ushort Fs;
    public ushort Ss;
    public ulong ErrorCode;
    public ulong TrapNumber;
    public ulong OldMask;
    public ulong Cr2;
    public ulong XState;
    public fixed ulong Reserved[8];
    public ulong Mask;

    // siginfo_t
    public int SignalNumber;
    public int SignalErrno;
    public int SignalCode;
    public int Padding;
    public ulong Address;
    public int SystemCall;
    public uint Architecture;
    public fixed ulong MoreInfo[12];
}
