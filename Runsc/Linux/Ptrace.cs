using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Runsc.Linux;

/// <summary>linux/ptrace.h, linux/elf.h, sys/user.h: what ptrace(2) exchanges. Its requests and options are in <see cref="Misc"/>.</summary>
internal static class Ptrace
{
    public const int PTRACE_EVENTMSG_SYSCALL_ENTRY = 1;
    public const int PTRACE_EVENTMSG_SYSCALL_EXIT = 2;

    /// <summary>linux/audit.h: what ptrace_syscall_info calls the architecture.</summary>
    public const uint AUDIT_ARCH_X86_64 = 0xc000003e;

    public const int NT_PRSTATUS = 1;
    public const int NT_PRFPREG = 2;
    public const int NT_X86_XSTATE = 0x202;

    public const int ARCH_SET_GS = 0x1001;
    public const int ARCH_SET_FS = 0x1002;
    public const int ARCH_GET_FS = 0x1003;
    public const int ARCH_GET_GS = 0x1004;

    /// <summary>Bytes of the kernel's struct user, through which PTRACE_PEEKUSER looks, and where its debug registers are.</summary>
    public const int UserSize = 928;
    public const int DebugRegistersOffset = 848;
    public const int DebugRegisterCount = 8;

    /// <summary>struct user_fpregs_struct: an FXSAVE image.</summary>
    public const int FloatingPointSize = 512;
}

/// <summary>struct user_regs_struct.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct UserRegisters
{
    public const int SizeInBytes = 216;

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
    public ulong OrigRax;
    public ulong Rip;
    public ulong Cs;
    public ulong Eflags;
    public ulong Rsp;
    public ulong Ss;
    public ulong FsBase;
    public ulong GsBase;
    public ulong Ds;
    public ulong Es;
    public ulong Fs;
    public ulong Gs;
}

/// <summary>struct ptrace_syscall_info: the members in front of its union, and the longest of the union's.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PtraceSyscallInfo
{
    public const int SizeInBytes = 88;

    /// <summary>Bytes that mean something, by kind: the common part, an entry, an exit, a filter's stop.</summary>
    public const int NoneSize = 24;
    public const int EntrySize = 80;
    public const int ExitSize = 33;
    public const int SeccompSize = 84;

    public byte Op;
    public byte Pad0;
    public ushort Pad1;
    public uint Arch;
    public ulong InstructionPointer;
    public ulong StackPointer;

    /// <summary>The system call's number; after an exit its result.</summary>
    public ulong Number;
    public SyscallWords Arguments;
    public uint RetData;
    public uint Pad2;

    /// <summary>Six arguments; after an exit the first byte says whether the result is an error.</summary>
    [InlineArray(6)]
    internal struct SyscallWords
    {
        private ulong _first;
    }
}

/// <summary>struct ptrace_peeksiginfo_args.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PtracePeekSigInfoArguments
{
    public const int SizeInBytes = 16;

    public ulong Offset;
    public uint Flags;
    public int Count;
}

/// <summary>struct ptrace_rseq_configuration.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct PtraceRseqConfiguration
{
    public const int SizeInBytes = 24;

    public ulong RseqAbiPointer;
    public uint RseqAbiSize;
    public uint Signature;
    public uint Flags;
    public uint Pad;
}
