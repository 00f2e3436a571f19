using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Platform.Kvm.Abi;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Platform.Kvm.Paging;

namespace Runsc.Platform.Kvm;

/// <summary>
/// One virtual CPU. It belongs to whoever holds it (<see cref="TryAcquire"/>), and remembers whose FPU state it carries
/// (<see cref="Resident"/>), so that a context which comes back finds its state loaded.
/// </summary>
internal sealed unsafe class VCpu : IDisposable
{
    private const int Idle = 0;
    private const int Held = 1;

    private const ulong Cr0 = 0x8005_0033; // PG AM WP NE ET MP PE: as Linux; AM makes EFLAGS.AC count.
    private const ulong Cr4Base = 0x620; // PAE OSFXSR OSXMMEXCPT
    private const ulong Cr4FsGsBase = 0x1_0000;
    private const ulong Cr4OsXSave = 0x4_0000;
    private const ulong Efer = 0xd01; // NXE LMA LME SCE

    /// <summary>PWT of CR3: without effect on a processor with its usual memory types, and so a way to make CR3 differ for the same root.</summary>
    private const ulong Cr3Toggle = 8;

    private const uint MsrStar = 0xc000_0081;
    private const uint MsrLstar = 0xc000_0082;
    private const uint MsrCstar = 0xc000_0083;
    private const uint MsrSyscallMask = 0xc000_0084;

    /// <summary>What SYSCALL clears: the set of Linux (all arithmetic flags, TF IF DF OF IOPL NT RF AC ID).</summary>
    private const ulong SyscallMask = 0x25_7fd5;

    /// <summary>Flags that a frame may set: CF PF AF ZF SF TF DF OF NT RF AC ID. The rest is fixed: bit 1 and IF.</summary>
    public const ulong UserFlags = 0x25_4dd5;
    public const ulong FixedFlags = 0x202;

    /// <summary>TF NT RF: SYSRET cannot restore them, or not with the effect that IRET has.</summary>
    private const ulong IretFlags = 0x1_4100;

    /// <summary>RFLAGS in the return stubs: interrupts off.</summary>
    private const ulong KernelFlags = 2;

    private readonly KvmPlatform _platform;
    private readonly int _fd;
    private readonly KvmRun* _run;
    private readonly nuint _runSize;
    private readonly KvmSregs* _userSregs;

    private int _state;

    // What the processor has loaded now; only the holder looks at these.
    private ulong _cr3;
    private ulong _generation;
    private bool _dropEvents;
    private ulong _enteredRip;
    private ulong _enteredRegisters;
    private ulong _fsBase;
    private ulong _gsBase;

    public VCpu(KvmPlatform platform, int index)
    {
        _platform = platform;
        Index = index;
        GuestRun = new GuestRun(this);
        _runSize = (nuint)platform.RunSize;
        platform.System.PrepareVCpu(index);
        _fd = (int)Check(KvmCalls.Ioctl(platform.VmFd, KvmNumbers.KVM_CREATE_VCPU, index), "KVM_CREATE_VCPU");
        _run = (KvmRun*)Check(
            KvmCalls.Mmap(_runSize, KvmCalls.PROT_READ | KvmCalls.PROT_WRITE, KvmCalls.MAP_SHARED, _fd, 0), "mmap of a vCPU");
        _userSregs = (KvmSregs*)NativeMemory.AlignedAlloc((nuint)sizeof(KvmSregs), 64);
        Check(platform.Features.Apply(_fd), "KVM_SET_CPUID2");
        PrepareSregs();
        PrepareMsrs();
        PrepareXcr0();
        PrepareSignalMask();
        TscOffsetIsZero = ZeroTscOffset();
        _run->ValidRegs = KvmNumbers.KVM_SYNC_X86_REGS | KvmNumbers.KVM_SYNC_X86_SREGS | KvmNumbers.KVM_SYNC_X86_EVENTS;
        XStateIsInitial = true;
    }

    public int Index { get; }

    /// <summary>The context whose FPU state is in the vCPU. Changed by the holder only.</summary>
    public KvmContext? Resident { get; set; }

    /// <summary>No application has run on it yet.</summary>
    public bool XStateIsInitial { get; set; }

    /// <summary>The thread that ran it last: moving a vCPU to another thread costs an RCU grace period in kernels before 6.13.</summary>
    public int LastThread { get; set; }

    /// <summary>The guest's TSC counts as the host's.</summary>
    public bool TscOffsetIsZero { get; }

    public KvmRun* RunPage => _run;

    /// <summary>
    /// The offset is still as it was set. Where the host does not trust its own TSC, KVM moves that of the guest at every entry, so that it never
    /// goes back; it then counts like nothing else. Not for use behind the filter.
    /// </summary>
    public bool KeepsTscOffset()
    {
        ulong offset = 0;
        KvmDeviceAttr attribute = TscOffset(&offset);
        return KvmCalls.Ioctl(_fd, KvmNumbers.KVM_GET_DEVICE_ATTR, &attribute) == 0 && offset == 0;
    }

    /// <summary>TSC frequency in kHz, or 0.</summary>
    public ulong TscKilohertz => (ulong)Math.Max(0, KvmCalls.Ioctl(_fd, KvmNumbers.KVM_GET_TSC_KHZ, 0));

    public bool TryAcquire() => Volatile.Read(ref _state) == Idle && Interlocked.CompareExchange(ref _state, Held, Idle) == Idle;

    /// <summary>Gives it back; a full fence, so that the caller may look for waiters afterwards.</summary>
    public void Release() => Interlocked.Exchange(ref _state, Idle);

    /// <summary>Sets LSTAR after the start-up probe has found out which stub is right.</summary>
    public void PrepareMsrs()
    {
        KvmMsrs msrs = default;
        Span<KvmMsrEntry> entries = msrs.Entries;
        ulong target = _platform.SystemCallsStayInRing3 ? SystemPages.UserStub(Index) : SystemPages.KernelSystemCallAddress;
        // SYSRET's selectors are counted from bits 63:48: +16 is the 64-bit user code segment, +8 the user data segment.
        const ulong Star = ((ulong)SystemPages.KernelCodeSelector << 32) | ((SystemPages.UserCodeSelector - 16UL) << 48);
        entries[0] = new KvmMsrEntry { Index = MsrStar, Data = Star };
        entries[1] = new KvmMsrEntry { Index = MsrLstar, Data = target };
        entries[2] = new KvmMsrEntry { Index = MsrCstar, Data = target };
        entries[3] = new KvmMsrEntry { Index = MsrSyscallMask, Data = SyscallMask };
        msrs.Nmsrs = 4;
        long written = Check(KvmCalls.Ioctl(_fd, KvmNumbers.KVM_SET_MSRS, &msrs), "KVM_SET_MSRS");
        if (written != msrs.Nmsrs)
        {
            throw new PlatformException($"KVM refuses MSR 0x{entries[(int)written].Index:x}");
        }
    }

    /// <summary>Its stay in the guest while calls are handed over.</summary>
    public GuestRun GuestRun { get; }

    /// <summary>The page of data of its SYSCALL stub in the space that it entered last.</summary>
    public CallPage CallPage { get; set; }

    /// <summary>
    /// Enters the guest on the runner's thread, with the frame loaded; <see cref="GuestRun"/> says when it has left.
    /// Preconditions: held by the caller; EnterGuest of <paramref name="space"/> has been called.
    /// </summary>
    public void EnterBy(VCpuRunner runner, in TrapFrame frame, KvmAddressSpace space)
    {
        Prepare(frame, space);
        GuestRun.Begin(runner, space);
    }

    /// <summary>Gets it out of the guest, if a runner has it there: afterwards all of its state can be reached. The caller holds it.</summary>
    public void Recall()
    {
        if (GuestRun.IsUnderWay)
        {
            GuestRun.Recall();
            GuestRun.WaitForEnd();
        }
    }

    /// <summary>
    /// Loads the frame, runs the guest until it leaves, and returns what KVM_RUN returned (0 or −errno). The registers are then in the run page.
    /// Preconditions: held by the caller; between EnterGuest and LeaveGuest of <paramref name="space"/>.
    /// </summary>
    public long Enter(in TrapFrame frame, KvmAddressSpace space)
    {
        Prepare(frame, space);
        return Run();
    }

    /// <summary>KVM_RUN: 0 or −errno.</summary>
    public long Run() => KvmCalls.Ioctl(_fd, KvmNumbers.KVM_RUN, 0);

    /// <summary>The segment bases are those that the vCPU got when it was entered.</summary>
    public bool HasBases(in TrapFrame frame) => frame.FsBase == _fsBase && frame.GsBase == _gsBase;

    /// <summary>A handed-over call says what the bases are now.</summary>
    public void SetBases(in TrapFrame frame)
    {
        _fsBase = frame.FsBase;
        _gsBase = frame.GsBase;
    }

    private void Prepare(in TrapFrame frame, KvmAddressSpace space)
    {
        KvmRun* run = _run;
        ref KvmRegs regs = ref run->Regs;
        regs.Rax = frame.Rax;
        regs.Rbx = frame.Rbx;
        regs.Rcx = frame.Rcx;
        regs.Rdx = frame.Rdx;
        regs.Rsi = frame.Rsi;
        regs.Rdi = frame.Rdi;
        regs.Rsp = frame.Rsp;
        regs.Rbp = frame.Rbp;
        regs.R8 = frame.R8;
        regs.R9 = frame.R9;
        regs.R10 = frame.R10;
        regs.R11 = frame.R11;
        regs.R12 = frame.R12;
        regs.R13 = frame.R13;
        regs.R14 = frame.R14;
        regs.R15 = frame.R15;
        regs.Rip = frame.Rip;
        regs.Rflags = (frame.Rflags & UserFlags) | FixedFlags;
        ulong dirty = KvmNumbers.KVM_SYNC_X86_REGS;

        ulong generation = space.Generation;
        ref KvmSregs sregs = ref run->Sregs;
        bool loaded = generation == _generation && frame.FsBase == sregs.Fs.Base && frame.GsBase == sregs.Gs.Base;
        bool inRing3 = (sregs.Cs.Selector & 3) == 3;
        if (loaded && !inRing3 && !_platform.SystemCallsStayInRing3)
        {
            ReturnByStub(ref regs);
        }
        else if (!loaded || !inRing3)
        {
            if (generation != _generation)
            {
                // KVM flushes only if the value changes.
                ulong root = space.Root;
                _cr3 = root == _cr3 ? root | Cr3Toggle : root;
                _generation = generation;
            }

            sregs = *_userSregs;
            sregs.Cr3 = _cr3;
            sregs.Fs.Base = Canonical(frame.FsBase);
            sregs.Gs.Base = Canonical(frame.GsBase);
            dirty |= KvmNumbers.KVM_SYNC_X86_SREGS;
        }

        if (_dropEvents)
        {
            _dropEvents = false;
            run->Events = default;
            dirty |= KvmNumbers.KVM_SYNC_X86_EVENTS;
        }

        run->DirtyRegs = dirty;
        _enteredRip = frame.Rip;
        _enteredRegisters = dirty;
        SetBases(frame);
    }

    /// <summary>How it was entered, for the log of a state that should not be: after a triple fault KVM's registers say nothing.</summary>
    public string DescribeEntry() => $"entered for rip {_enteredRip:x} with register sets {_enteredRegisters:x}, cr3 {_cr3:x}, generation {_generation}";

    /// <summary>The next entry forgets an exception that KVM was about to deliver.</summary>
    public void DropEvents() => _dropEvents = true;

    /// <summary>Makes the KVM_RUN that <paramref name="thread"/> is in, or its next one, end with EINTR.</summary>
    public void Kick(int thread)
    {
        Volatile.Write(ref _run->ImmediateExit, 1);
        _ = KvmCalls.Tgkill(thread, KvmPlatform.KickSignal);
    }

    /// <summary>After EINTR: takes the kick back, so that the next entry runs.</summary>
    public void AcknowledgeKick()
    {
        Volatile.Write(ref _run->ImmediateExit, 0);
        while (KvmCalls.ConsumeSignal(KvmPlatform.KickSignal) > 0)
        {
            // One instance is pending at most for each kicker; take them all.
        }
    }

    /// <summary>
    /// Lets KVM finish an instruction that it emulates in several steps, without running the guest: an immediate exit does only that.
    /// </summary>
    public void FinishEmulation()
    {
        // A 64-byte store is eight exits.
        for (int i = 0; i < 16; i++)
        {
            Volatile.Write(ref _run->ImmediateExit, 1);
            _run->DirtyRegs = 0;
            if (KvmCalls.Ioctl(_fd, KvmNumbers.KVM_RUN, 0) == -KvmCalls.EINTR)
            {
                break;
            }
        }

        AcknowledgeKick();
    }

    /// <summary>KVM_GET_XSAVE into 4096 bytes.</summary>
    public void ReadXState(byte* area) => CheckRunning(KvmCalls.Ioctl(_fd, KvmNumbers.KVM_GET_XSAVE, area), "KVM_GET_XSAVE");

    /// <summary>KVM_SET_XSAVE from 4096 bytes; −EINVAL for an image that the processor would refuse.</summary>
    public long WriteXState(byte* area) => KvmCalls.Ioctl(_fd, KvmNumbers.KVM_SET_XSAVE, area);

    public void Dispose()
    {
        GuestRun.Free();
        _ = KvmCalls.Munmap((nint)_run, _runSize);
        _ = KvmCalls.Close(_fd);
        NativeMemory.AlignedFree(_userSregs);
    }

    /// <summary>
    /// The processor is in ring 0 behind one of our stubs: it goes on at an instruction that returns to ring 3, which spares KVM the loading of
    /// all segments. SYSRET where the registers are as after a system call, IRET otherwise; both need a user RIP that is canonical, which
    /// the caller has checked.
    /// </summary>
    private void ReturnByStub(ref KvmRegs regs)
    {
        if (regs.Rcx == regs.Rip && regs.R11 == regs.Rflags && (regs.Rflags & IretFlags) == 0)
        {
            regs.Rip = SystemPages.SysretStubAddress;
        }
        else
        {
            ulong* stack = _platform.System.IretFrame(Index);
            stack[0] = regs.Rip;
            stack[1] = SystemPages.UserCodeSelector;
            stack[2] = regs.Rflags;
            stack[3] = regs.Rsp;
            stack[4] = SystemPages.UserDataSelector;
            regs.Rip = SystemPages.IretStubAddress;
            regs.Rsp = SystemPages.IretFrameAddress(Index);
        }

        regs.Rflags = KernelFlags;
    }

    private static ulong Canonical(ulong address) => unchecked((ulong)((long)(address << 16) >> 16)) == address ? address : 0;

    private static long Check(long result, string what) =>
        result >= 0 ? result : throw new PlatformException($"{what} failed (errno {-result})");

    private static void CheckRunning(long result, string what)
    {
        if (result < 0)
        {
            KvmFailure.Fatal($"{what} failed (errno {-result})");
        }
    }

    private void PrepareSregs()
    {
        // The reset values carry what must stay as it is, such as the APIC base.
        Check(KvmCalls.Ioctl(_fd, KvmNumbers.KVM_GET_SREGS, _userSregs), "KVM_GET_SREGS");
        ref KvmSregs sregs = ref Unsafe.AsRef<KvmSregs>(_userSregs);
        sregs.Cs = new KvmSegment
        {
            Limit = 0xffff_ffff, Selector = SystemPages.UserCodeSelector, Type = 11, Present = 1, Dpl = 3, S = 1, L = 1, G = 1,
        };
        sregs.Ss = new KvmSegment
        {
            Limit = 0xffff_ffff, Selector = SystemPages.UserDataSelector, Type = 3, Present = 1, Dpl = 3, Db = 1, S = 1, G = 1,
        };
        var none = new KvmSegment { Unusable = 1 };
        sregs.Ds = sregs.Es = sregs.Fs = sregs.Gs = sregs.Ldt = none;
        sregs.Tr = new KvmSegment
        {
            Base = SystemPages.TssAddress(Index), Limit = SystemPages.TssLimit, Selector = SystemPages.TssSelector, Type = 11, Present = 1,
        };
        sregs.Gdt.Base = SystemPages.GdtAddress(Index);
        sregs.Gdt.Limit = SystemPages.GdtLimit;
        sregs.Idt.Base = SystemPages.IdtAddress;
        sregs.Idt.Limit = SystemPages.IdtLimit;
        sregs.Cr0 = Cr0;
        sregs.Cr2 = 0;
        sregs.Cr4 = Cr4Base | (_platform.Features.HasFsGsBase ? Cr4FsGsBase : 0) | (_platform.Features.HasXSave ? Cr4OsXSave : 0);
        sregs.Efer = Efer;
        for (int i = 0; i < 4; i++)
        {
            sregs.InterruptBitmap[i] = 0;
        }
    }

    private void PrepareXcr0()
    {
        if (!_platform.Features.HasXSave)
        {
            return;
        }

        // KVM accepts XCR0 only with CR4.OSXSAVE... which the first entry sets; the state is checked against CPUID alone.
        KvmXcrs xcrs = default;
        xcrs.NrXcrs = 1;
        xcrs.Xcr0.Value = _platform.Features.XFeatureMask;
        Check(KvmCalls.Ioctl(_fd, KvmNumbers.KVM_SET_XCRS, &xcrs), "KVM_SET_XCRS");
    }

    private void PrepareSignalMask()
    {
        // Everything stays blocked in the guest but the kick: a process-directed signal that this thread would otherwise see could not be
        // delivered here and would end every KVM_RUN.
        KvmSignalMask mask;
        mask.Len = sizeof(ulong);
        mask.Sigset = ~(1UL << (KvmPlatform.KickSignal - 1));
        Check(KvmCalls.Ioctl(_fd, KvmNumbers.KVM_SET_SIGNAL_MASK, &mask), "KVM_SET_SIGNAL_MASK");
    }

    private static KvmDeviceAttr TscOffset(ulong* value) =>
        new() { Group = KvmNumbers.KVM_VCPU_TSC_CTRL, Attr = KvmNumbers.KVM_VCPU_TSC_OFFSET, Addr = (ulong)value };

    private bool ZeroTscOffset()
    {
        ulong offset = 0;
        KvmDeviceAttr attribute = TscOffset(&offset);
        return KvmCalls.Ioctl(_fd, KvmNumbers.KVM_HAS_DEVICE_ATTR, &attribute) == 0 &&
            KvmCalls.Ioctl(_fd, KvmNumbers.KVM_SET_DEVICE_ATTR, &attribute) == 0;
    }
}
