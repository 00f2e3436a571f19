using System.Runtime.InteropServices;

namespace Runsc.Platform;

/// <summary>
/// The application's integer registers, in the order of <c>struct user_regs_struct</c> (sys/user.h) without its segment selectors:
/// CS is always 0x33 and SS 0x2b, and DS, ES, FS, GS are 0, as for every 64-bit program on Linux.
/// A frame may hold anything: what cannot be loaded (a reserved flag, a non-canonical address) is dropped or becomes a trap in the next switch.
/// </summary>
[StructLayout(LayoutKind.Sequential)]
internal struct TrapFrame
{
    public ulong R15;
    public ulong R14;
    public ulong R13;
    public ulong R12;
    public ulong Rbp;
    public ulong Rbx;
    public ulong R11;
    public ulong R10;
    public ulong R9;
    public ulong R8;
    public ulong Rax;
    public ulong Rcx;
    public ulong Rdx;
    public ulong Rsi;
    public ulong Rdi;

    /// <summary>The system call's number after a <see cref="TrapKind.SystemCall"/>, all ones after any other trap. Never loaded into a register.</summary>
    public ulong OrigRax;

    public ulong Rip;
    public ulong Rflags;
    public ulong Rsp;

    /// <summary>Base of FS. The application may change it by itself (WRFSBASE), so it is read back at each trap.</summary>
    public ulong FsBase;

    /// <summary>Base of GS, as <see cref="FsBase"/>.</summary>
    public ulong GsBase;
}
