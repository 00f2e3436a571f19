using System.Runtime.InteropServices;

namespace Runsc.Sentry.Kernel.Signals;

/// <summary>struct sigcontext_64 (asm/sigcontext.h): the interrupted registers.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SignalContext
{
    public const int SizeInBytes = 256;

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

    /// <summary>Address of the XSAVE area, or 0.</summary>
    public ulong FpState;
    public ulong Reserved0;
    public ulong Reserved1;
    public ulong Reserved2;
    public ulong Reserved3;
    public ulong Reserved4;
    public ulong Reserved5;
    public ulong Reserved6;
    public ulong Reserved7;
}

/// <summary>struct ucontext as the kernel has it (asm-generic/ucontext.h): with a mask of 8 bytes.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserContext
{
    public const int SizeInBytes = 304;

    // uc_flags: the frame has an XSAVE area; SS is saved; and is to be restored as it is.
    public const ulong FpXState = 1;
    public const ulong SigContextSs = 2;
    public const ulong StrictRestoreSs = 4;

    public ulong Flags;
    public ulong Link;
    public SignalStack Stack;
    public SignalContext Context;
    public ulong Mask;
}

/// <summary>struct rt_sigframe of x86-64: what lies on the stack when a handler begins.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct SignalFrame
{
    public const int SizeInBytes = 440;

    /// <summary>Where the handler returns to: sa_restorer, which calls rt_sigreturn(2).</summary>
    public ulong ReturnAddress;
    public UserContext Context;
    public SignalInfo Info;
}

/// <summary>struct _fpx_sw_bytes: bytes 464–511 of the FXSAVE image, which tell that an XSAVE area follows and how large it is.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct XStateDescription
{
    public const int SizeInBytes = 48;
    public const int Offset = 464;

    public const uint Magic1Value = 0x4650_5853;

    /// <summary>FP_XSTATE_MAGIC2: the four bytes behind the XSAVE area.</summary>
    public const uint Magic2Value = 0x4650_5845;

    /// <summary>Size of the legacy part alone.</summary>
    public const int LegacySize = 512;

    /// <summary>Legacy part and XSAVE header: no area is smaller.</summary>
    public const int MinimumSize = 576;

    public uint Magic1;

    /// <summary>XSAVE area and the second magic number.</summary>
    public uint ExtendedSize;
    public ulong Features;
    public uint XStateSize;
    public uint Padding0;
    public uint Padding1;
    public uint Padding2;
    public uint Padding3;
    public uint Padding4;
    public uint Padding5;
    public uint Padding6;
}
