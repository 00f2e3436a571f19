using System.Text;
using Runsc.Platform.Kvm.Abi;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Platform.Kvm.Stubs;

namespace Runsc.Platform.Kvm;

/// <summary>Makes traps of what KVM_RUN says. The registers in the run page are the guest's word; the rest is KVM's.</summary>
internal static unsafe class TrapDecoder
{
    private const ulong NoSystemCall = ulong.MaxValue;

    /// <summary>KVM_RUN returned 0. True if <paramref name="trap"/> is to be reported, false if the guest only has to go on.</summary>
    public static bool Decode(KvmPlatform platform, VCpu vcpu, ref TrapFrame frame, out TrapInfo trap)
    {
        trap = default;
        KvmRun* run = vcpu.RunPage;
        switch (run->ExitReason)
        {
            case KvmNumbers.KVM_EXIT_MMIO:
                if (run->MmioAddress == SystemPages.UserStubPhysical + CallStub.Bell && IsInStub(platform, vcpu, run->Regs.Rip, out ulong offset))
                {
                    return StoppedInStub(vcpu, offset, ref frame, out trap);
                }

                return StoreToStub(vcpu, ref frame, out trap);

            case KvmNumbers.KVM_EXIT_IO:
                if (run->IoPort == GuestStubs.SystemCallPort)
                {
                    SystemCall(run, ref frame, out trap);
                    return true;
                }

                if (run->IoPort < GuestStubs.ExceptionCount)
                {
                    return Exception(platform, vcpu, run->IoPort, ref frame, out trap);
                }

                break;

            case KvmNumbers.KVM_EXIT_INTR:
                return false;
        }

        return Broken(vcpu, $"exit {run->ExitReason}", ref frame, out trap);
    }

    /// <summary>
    /// KVM_RUN was stopped by a kick. True if the guest had already trapped and only the way out was missing: then that trap is reported.
    /// Otherwise the frame holds the guest's state, and whatever KVM was about to inject is forgotten: a fault will be raised again by its
    /// instruction; only a single step has to be reported now, as its instruction is done.
    /// </summary>
    public static bool DecodeInterrupted(KvmPlatform platform, VCpu vcpu, ref TrapFrame frame, out TrapInfo trap)
    {
        trap = default;
        KvmRun* run = vcpu.RunPage;
        ulong rip = run->Regs.Rip;
        int vector = SystemPages.VectorOfStub(rip);
        if (vector >= 0)
        {
            return Exception(platform, vcpu, vector, ref frame, out trap);
        }

        bool atKernelStub = unchecked(rip - SystemPages.KernelSystemCallAddress) <= 2;
        if (atKernelStub)
        {
            SystemCall(run, ref frame, out trap);
            return true;
        }

        if (IsInStub(platform, vcpu, rip, out ulong offset))
        {
            return StoppedInStub(vcpu, offset, ref frame, out trap);
        }

        frame.OrigRax = NoSystemCall;
        if (rip == SystemPages.SysretStubAddress || rip == SystemPages.IretStubAddress)
        {
            // Not yet back in ring 3: the frame is still the application's state.
            return false;
        }

        CopyRegisters(run, ref frame);
        CopyUserState(run, ref frame);
        if ((run->Events.ExceptionInjected | run->Events.ExceptionPending) != 0)
        {
            vcpu.DropEvents();
            if (run->Events.ExceptionNr == TrapVector.Debug)
            {
                trap = new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.Debug };
                return true;
            }
        }

        return false;
    }

    /// <summary>KVM_RUN failed with something else than EINTR.</summary>
    public static bool DecodeError(KvmPlatform platform, VCpu vcpu, long result, ref TrapFrame frame, out TrapInfo trap)
    {
        KvmRun* run = vcpu.RunPage;
        if (result == -KvmCalls.EFAULT)
        {
            // The host has no memory behind a page of ours (the memfd's limit, a cgroup's). Linux reports a failed page as SIGBUS.
            CopyRegisters(run, ref frame);
            CopyUserState(run, ref frame);
            frame.OrigRax = NoSystemCall;
            KvmFailure.Report("no host memory behind a guest page");
            trap = new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.MachineCheck };
            return true;
        }

        return Broken(vcpu, $"error {-result}", ref frame, out trap);
    }

    private static bool IsInStub(KvmPlatform platform, VCpu vcpu, ulong rip, out ulong offset)
    {
        offset = unchecked(rip - SystemPages.UserStub(vcpu.Index));
        return platform.SystemCallsStayInRing3 && offset < CallStub.End;
    }

    /// <summary>
    /// The guest was in the stub of ring 3, which is not the application's: either a call is on its way out, or an answer on its way in and the frame
    /// is still what will be loaded. What an application makes of it by jumping about in there harms only itself.
    /// </summary>
    private static bool StoppedInStub(VCpu vcpu, ulong offset, ref TrapFrame frame, out TrapInfo trap)
    {
        KvmRun* run = vcpu.RunPage;
        trap = default;
        if (offset < CallStub.Posted)
        {
            SystemCall(run, ref frame, out trap);
            if (offset >= CallStub.Saved)
            {
                frame.OrigRax = frame.Rax = vcpu.CallPage.SavedRax;
            }

            return true;
        }

        if (vcpu.CallPage.State < CallPage.Called)
        {
            frame.OrigRax = NoSystemCall;
            return false;
        }

        vcpu.CallPage.Take(ref frame);
        frame.FsBase = run->Sregs.Fs.Base;
        frame.GsBase = run->Sregs.Gs.Base;
        trap = new TrapInfo { Kind = TrapKind.SystemCall };
        return true;
    }

    private static void SystemCall(KvmRun* run, ref TrapFrame frame, out TrapInfo trap)
    {
        CopyRegisters(run, ref frame);
        frame.OrigRax = run->Regs.Rax;
        frame.Rip = run->Regs.Rcx;
        frame.Rflags = run->Regs.R11;
        frame.Rsp = run->Regs.Rsp;
        trap = new TrapInfo { Kind = TrapKind.SystemCall };
    }

    private static bool Exception(KvmPlatform platform, VCpu vcpu, int vector, ref TrapFrame frame, out TrapInfo trap)
    {
        KvmRun* run = vcpu.RunPage;
        bool hasErrorCode = vector is TrapVector.DoubleFault or (>= TrapVector.InvalidTss and <= TrapVector.PageFault) or TrapVector.AlignmentCheck
            or 21 or 29 or 30;
        ulong* stack = platform.System.StackPointer(vcpu.Index, run->Regs.Rsp, hasErrorCode ? 6 : 5);
        if (stack == null)
        {
            return Broken(vcpu, $"vector {vector} outside of its stack", ref frame, out trap);
        }

        ulong errorCode = hasErrorCode ? *stack++ : 0;
        if ((stack[1] & 3) != 3)
        {
            return Broken(vcpu, $"vector {vector} (error 0x{errorCode:x}) in ring 0 at 0x{stack[0]:x}", ref frame, out trap);
        }

        CopyRegisters(run, ref frame);
        frame.OrigRax = NoSystemCall;
        frame.Rip = stack[0];
        frame.Rflags = stack[2];
        frame.Rsp = stack[3];
        if (vector == TrapVector.PageFault)
        {
            trap = PageFault(run->Sregs.Cr2, errorCode);
            return true;
        }

        trap = new TrapInfo { Kind = TrapKind.Exception, Vector = vector, ErrorCode = errorCode };
        return true;
    }

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

    /// <summary>
    /// The application itself stored to the SYSCALL stub's page. KVM has emulated the instruction, so RIP is behind it. The page is above
    /// every application address: it is reported as a fault there, which no memory manager resolves.
    /// </summary>
    private static bool StoreToStub(VCpu vcpu, ref TrapFrame frame, out TrapInfo trap)
    {
        KvmRun* run = vcpu.RunPage;
        ulong offset = unchecked(run->MmioAddress - SystemPages.UserStubPhysical);
        if (offset >= 4096 || (run->Sregs.Cs.Selector & 3) != 3)
        {
            return Broken(vcpu, $"store to 0x{run->MmioAddress:x}", ref frame, out trap);
        }

        CopyRegisters(run, ref frame);
        CopyUserState(run, ref frame);
        frame.OrigRax = NoSystemCall;
        vcpu.FinishEmulation();
        const ulong Code = TrapVector.PageFaultUser | TrapVector.PageFaultPresent | TrapVector.PageFaultWrite;
        trap = PageFault(SystemPages.UserStub(vcpu.Index) + offset, Code);
        return true;
    }

    /// <summary>
    /// A state that the guest should not be able to make, or that KVM could not carry on from. The task dies of a double fault; the log gets
    /// everything that is known.
    /// </summary>
    private static bool Broken(VCpu vcpu, string what, ref TrapFrame frame, out TrapInfo trap)
    {
        KvmFailure.Report(Dump(vcpu, what));
        vcpu.DropEvents();
        frame.OrigRax = NoSystemCall;
        trap = new TrapInfo { Kind = TrapKind.Exception, Vector = TrapVector.DoubleFault };
        return true;
    }

    private static string Dump(VCpu vcpu, string what)
    {
        KvmRun* run = vcpu.RunPage;
        ref KvmRegs r = ref run->Regs;
        ref KvmSregs s = ref run->Sregs;
        var text = new StringBuilder();
        text.Append($"vCPU {vcpu.Index}: {what}: rip {r.Rip:x} cs {s.Cs.Selector:x} rflags {r.Rflags:x} rsp {r.Rsp:x} ss {s.Ss.Selector:x}");
        text.Append($" rax {r.Rax:x} rbx {r.Rbx:x} rcx {r.Rcx:x} rdx {r.Rdx:x} rsi {r.Rsi:x} rdi {r.Rdi:x} rbp {r.Rbp:x}");
        text.Append($" r8 {r.R8:x} r9 {r.R9:x} r10 {r.R10:x} r11 {r.R11:x} r12 {r.R12:x} r13 {r.R13:x} r14 {r.R14:x} r15 {r.R15:x}");
        text.Append($" fs {s.Fs.Base:x} gs {s.Gs.Base:x} cr0 {s.Cr0:x} cr2 {s.Cr2:x} cr3 {s.Cr3:x} cr4 {s.Cr4:x} efer {s.Efer:x}");
        text.Append($" event {run->Events.ExceptionNr} {run->Events.ExceptionInjected}{run->Events.ExceptionPending} detail {run->FailEntryReason:x}");
        text.Append($"; {vcpu.DescribeEntry()}");
        return text.ToString();
    }

    private static void CopyUserState(KvmRun* run, ref TrapFrame frame)
    {
        frame.Rip = run->Regs.Rip;
        frame.Rflags = run->Regs.Rflags;
        frame.Rsp = run->Regs.Rsp;
    }

    private static void CopyRegisters(KvmRun* run, ref TrapFrame frame)
    {
        ref KvmRegs regs = ref run->Regs;
        frame.R15 = regs.R15;
        frame.R14 = regs.R14;
        frame.R13 = regs.R13;
        frame.R12 = regs.R12;
        frame.Rbp = regs.Rbp;
        frame.Rbx = regs.Rbx;
        frame.R11 = regs.R11;
        frame.R10 = regs.R10;
        frame.R9 = regs.R9;
        frame.R8 = regs.R8;
        frame.Rax = regs.Rax;
        frame.Rcx = regs.Rcx;
        frame.Rdx = regs.Rdx;
        frame.Rsi = regs.Rsi;
        frame.Rdi = regs.Rdi;
        frame.FsBase = run->Sregs.Fs.Base;
        frame.GsBase = run->Sregs.Gs.Base;
    }
}
