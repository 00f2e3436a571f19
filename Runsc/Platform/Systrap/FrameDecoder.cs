using System.Threading;
using Runsc.Host.Seccomp;
using Runsc.Linux;
using Runsc.Platform.Systrap.Stub;

namespace Runsc.Platform.Systrap;

/// <summary>Between the signal frame in a slot, which the application can write, and the trap frame, which it cannot.</summary>
internal static unsafe class FrameDecoder
{
    private const ulong NoSystemCall = ulong.MaxValue;
    private const ulong UserLimit = 0x7fff_ffff_f000;

    // uc_flags: the area is XSAVE's, SS is saved and restored as it is.
    private const ulong UC_FP_XSTATE = 1, UC_SIGCONTEXT_SS = 2, UC_STRICT_RESTORE_SS = 4;
    private const ushort UserCs = 0x33, UserSs = 0x2b;

    /// <summary>The error code of INT 0x80 through a gate that ring 3 may not use.</summary>
    private const ulong InterruptGateError = (0x80 << 3) | 2;

    /// <summary>The trap is a kick's signal and nothing else.</summary>
    public static bool IsKick(StubThread thread) => thread.Signal == StubLayout.KickSignal;

    /// <summary>Writes everything that the host's kernel will load, whatever the application has put there.</summary>
    public static void Load(SystrapPlatform platform, StubThread thread, in TrapFrame from)
    {
        SignalFrame* frame = thread.Frame;
        frame->Flags = platform.HasXSave ? UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS : UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
        frame->Link = 0;
        frame->StackBase = thread.StackBase;
        frame->StackFlags = 0;
        frame->StackSize = StubLayout.Header;
        frame->R8 = from.R8;
        frame->R9 = from.R9;
        frame->R10 = from.R10;
        frame->R11 = from.R11;
        frame->R12 = from.R12;
        frame->R13 = from.R13;
        frame->R14 = from.R14;
        frame->R15 = from.R15;
        frame->Rdi = from.Rdi;
        frame->Rsi = from.Rsi;
        frame->Rbp = from.Rbp;
        frame->Rbx = from.Rbx;
        frame->Rdx = from.Rdx;
        frame->Rax = from.Rax;
        frame->Rcx = from.Rcx;
        frame->Rsp = from.Rsp;
        frame->Rip = from.Rip;
        frame->Rflags = from.Rflags;
        frame->Cs = UserCs;
        frame->Gs = 0;
        frame->Fs = 0;
        frame->Ss = UserSs;
        frame->XState = thread.StackBase + (ulong)platform.XStateOffset;
        frame->Mask = 0;
        thread.SetBases(Base(from.FsBase), Base(from.GsBase));
    }

    /// <summary>Copies what the frame says, once, and makes a trap of it.</summary>
    public static void Store(StubThread thread, ref TrapFrame to, out TrapInfo trap)
    {
        SignalFrame* frame = thread.Frame;
        to.R8 = frame->R8;
        to.R9 = frame->R9;
        to.R10 = frame->R10;
        to.R11 = frame->R11;
        to.R12 = frame->R12;
        to.R13 = frame->R13;
        to.R14 = frame->R14;
        to.R15 = frame->R15;
        to.Rdi = frame->Rdi;
        to.Rsi = frame->Rsi;
        to.Rbp = frame->Rbp;
        to.Rbx = frame->Rbx;
        to.Rdx = frame->Rdx;
        to.Rax = frame->Rax;
        to.Rcx = frame->Rcx;
        to.Rsp = frame->Rsp;
        to.Rip = Volatile.Read(ref frame->Rip);
        to.Rflags = frame->Rflags;
        thread.ReadBases();
        to.FsBase = thread.FsBase;
        to.GsBase = thread.GsBase;
        to.OrigRax = NoSystemCall;
        Decode(thread.Signal, frame, ref to, out trap);
        if (to.Rip >= StubLayout.Slots && trap.Kind != TrapKind.Interrupted && !IsAddress(trap, to.Rip))
        {
            // It went into the stub code by itself. For the application nothing is there.
            FetchOutside(ref to, out trap);
        }
    }

    /// <summary>The trap of an instruction fetch at an address that no application can have: what Linux makes of a jump there.</summary>
    public static void FetchOutside(ref TrapFrame frame, out TrapInfo trap)
    {
        bool canonical = frame.Rip is < 0x8000_0000_0000 or >= 0xffff_8000_0000_0000;
        trap = canonical
            ? PageFault(frame.Rip, TrapVector.PageFaultUser | TrapVector.PageFaultFetch)
            : new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.GeneralProtection };
        frame.OrigRax = NoSystemCall;
    }

    /// <summary>The stub process is gone, and the state of the application with it.</summary>
    public static void Lost(ref TrapFrame frame, out TrapInfo trap)
    {
        trap = new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.DoubleFault };
        frame.OrigRax = NoSystemCall;
    }

    private static void Decode(int signal, SignalFrame* frame, ref TrapFrame to, out TrapInfo trap)
    {
        int code = frame->SignalCode;
        ulong vector = frame->TrapNumber;
        ulong error = frame->ErrorCode;
        switch (signal)
        {
            case StubLayout.KickSignal:
                trap = new TrapInfo { Kind = TrapKind.Interrupted };
                break;

            case Signal.SIGSYS:
                if (frame->Architecture == SeccompProgram.AuditArchX64)
                {
                    to.OrigRax = to.Rax;
                    to.Rcx = to.Rip;
                    to.R11 = to.Rflags;
                    trap = new TrapInfo { Kind = TrapKind.SystemCall };
                    break;
                }

                // INT 0x80, and SYSENTER or SYSCALL in 32-bit code: there is no such system call here. RIP is behind an instruction of two bytes.
                to.Rip = unchecked(to.Rip - 2);
                trap = new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.GeneralProtection, ErrorCode = InterruptGateError };
                break;

            case Signal.SIGSEGV when vector == TrapVector.PageFault && code is > 0 and < SignalInfoKernel:
                trap = PageFault(frame->Cr2, error & (TrapVector.PageFaultPresent | TrapVector.PageFaultWrite | TrapVector.PageFaultFetch) | TrapVector.PageFaultUser);
                break;

            case Signal.SIGSEGV when vector is TrapVector.GeneralProtection or TrapVector.Overflow or TrapVector.BoundRange:
            case Signal.SIGBUS when vector is TrapVector.AlignmentCheck or TrapVector.StackFault or TrapVector.SegmentNotPresent:
            case Signal.SIGFPE when vector is TrapVector.DivideError or TrapVector.X87 or TrapVector.Simd:
            case Signal.SIGTRAP when vector is TrapVector.Debug or TrapVector.Breakpoint:
                trap = new TrapInfo { Kind = TrapKind.Exception, Vector = (int)vector, ErrorCode = error };
                break;

            case Signal.SIGILL:
                trap = new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.InvalidOpcode };
                break;

            case Signal.SIGBUS:
                // The host has no memory behind a page of ours (the memfd's limit, a cgroup's).
                trap = new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.MachineCheck };
                break;

            default:
                // Something that no instruction of the application's does, as a signal frame that the host's kernel would not load.
                trap = new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.GeneralProtection };
                break;
        }
    }

    /// <summary>SI_KERNEL: codes below it are the faults'.</summary>
    private const int SignalInfoKernel = 0x80;

    private static bool IsAddress(in TrapInfo trap, ulong rip) => trap.Kind == TrapKind.PageFault && trap.FaultAddress == rip;

    private static TrapInfo PageFault(ulong address, ulong errorCode) => new()
    {
        Kind = TrapKind.PageFault,
        Vector = TrapVector.PageFault,
        ErrorCode = errorCode,
        FaultAddress = address,
        Access = (errorCode & TrapVector.PageFaultFetch) != 0 ? AccessType.Execute
            : (errorCode & TrapVector.PageFaultWrite) != 0 ? AccessType.Write
            : AccessType.Read,
    };

    /// <summary>A base that the host's arch_prctl(2) takes; anything else is dropped.</summary>
    private static ulong Base(ulong value) => value < UserLimit ? value : 0;
}
