using System;
using System.Diagnostics;
using System.Runtime.CompilerServices;
using Runsc.Platform.Kvm.Abi;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Platform.Kvm.Paging;

namespace Runsc.Platform.Kvm;

/// <summary>
/// Finds out at the start, by running a few instructions in the guest, what kind of KVM this is. Nothing is inferred from names or versions.
/// </summary>
internal sealed unsafe class KvmProbe
{
    private const ulong CodeAddress = 0x1_0000;
    private const ulong DataAddress = 0x2_0000;
    private const ulong FirstValue = 0x1111;
    private const ulong SecondValue = 0x2222;

    private readonly KvmPlatform _platform;
    private readonly VCpu _vcpu;

    private KvmProbe(KvmPlatform platform, VCpu vcpu)
    {
        _platform = platform;
        _vcpu = vcpu;
    }

    public bool SystemCallsStayInRing3 { get; private set; }

    public bool NestedPaging { get; private set; }

    public bool TscMatchesHost { get; private set; }

    public ulong TscKilohertz { get; private set; }

    public uint MxcsrMask { get; private set; }

    /// <summary>RDFSBASE and RDGSBASE work, whatever KVM's CPUID says: where ring 3 runs natively, CR4 is the host's.</summary>
    public bool HasFsGsBase { get; private set; }

    /// <summary>What it costs to enter the guest and to leave it by a system call, in ticks of <see cref="Stopwatch"/>.</summary>
    public long ExitTicks { get; private set; } = long.MaxValue;

    /// <summary>CPUID.1:EDX as the guest sees it: where ring 3 runs natively the instruction is not intercepted and shows the host's.</summary>
    public uint HwCap { get; private set; }

    /// <summary>
    /// Reads CPUID.1 and a page, and executes SYSCALL.
    /// <code>
    /// b8 01 00 00 00            mov $1, %eax
    /// 0f a2                     cpuid
    /// 41 89 d4                  mov %edx, %r12d
    /// 48 8b 1c 25 00 00 02 00   mov 0x20000, %rbx
    /// 0f 31                     rdtsc
    /// 0f 05                     syscall
    /// </code>
    /// </summary>
    private static ReadOnlySpan<byte> Code =>
    [
        0xb8, 0x01, 0x00, 0x00, 0x00, 0x0f, 0xa2, 0x41, 0x89, 0xd4, 0x48, 0x8b, 0x1c, 0x25, 0x00, 0x00, 0x02, 0x00, 0x0f, 0x31, 0x0f, 0x05,
    ];

    /// <summary><c>f3 48 0f ae c0  rdfsbase %rax; f3 48 0f ae c8  rdgsbase %rax; 0f 05  syscall</c></summary>
    private static ReadOnlySpan<byte> ReadBases => [0xf3, 0x48, 0x0f, 0xae, 0xc0, 0xf3, 0x48, 0x0f, 0xae, 0xc8, 0x0f, 0x05];

    /// <summary>
    /// The host's own count, as a function.
    /// <code>
    /// 0f ae e8      lfence
    /// 0f 31         rdtsc
    /// 48 c1 e2 20   shl $32, %rdx
    /// 48 09 d0      or %rdx, %rax
    /// c3            ret
    /// </code>
    /// </summary>
    private static ReadOnlySpan<byte> ReadHostTsc => [0x0f, 0xae, 0xe8, 0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0xc3];

    /// <summary>Runs on the first vCPU of the pool, which it creates. The platform still has its assumptions: stub in ring 3, shadow paging.</summary>
    public static KvmProbe Run(KvmPlatform platform)
    {
        using var context = (KvmContext)platform.CreateContext();
        VCpu vcpu = platform.VCpus.Acquire(context, KvmCalls.GetThreadId()) ?? throw new PlatformException("no vCPU for the start-up probe");
        try
        {
            var probe = new KvmProbe(platform, vcpu);
            probe.RunCore();
            return probe;
        }
        finally
        {
            platform.VCpus.Release(vcpu);
        }
    }

    private void RunCore()
    {
        if (!_platform.Tables.TryAllocateBlock(out ulong block))
        {
            throw new PlatformException("no memory for the start-up probe");
        }

        using var space = new KvmAddressSpace(_platform);
        byte* host = (byte*)_platform.Tables.HostOf(block);
        ulong firstFrame = block + PageEntry.PageSize;
        ulong secondFrame = firstFrame + PageEntry.PageSize;
        Code.CopyTo(new Span<byte>(host, (int)PageEntry.PageSize));
        *(ulong*)(host + PageEntry.PageSize) = FirstValue;
        *(ulong*)(host + (2 * PageEntry.PageSize)) = SecondValue;
        space.MapPhysical(CodeAddress, block, PageEntry.LeafBits(AccessType.Read | AccessType.Execute));
        space.MapPhysical(DataAddress, firstFrame, PageEntry.LeafBits(AccessType.Read));

        Expect(RunGuest(space) == FirstValue, "reads a page that it does not have");
        SystemCallsStayInRing3 = (_vcpu.RunPage->Sregs.Cs.Selector & 3) == 3;
        HwCap = (uint)_vcpu.RunPage->Regs.R12;
        TscMatchesHost = _vcpu.TscOffsetIsZero && CompareTsc(space);
        TscKilohertz = _vcpu.TscKilohertz;

        // Another frame in the entry, and a new CR3 value: does the guest see it?
        space.MapPhysical(DataAddress, secondFrame, PageEntry.LeafBits(AccessType.Read));
        space.ForceReload();
        NestedPaging = RunGuest(space) == SecondValue;
        TscMatchesHost &= _vcpu.KeepsTscOffset();

        byte* area = stackalloc byte[4096 + 64];
        area = (byte*)(((nuint)area + 63) & ~(nuint)63);
        _vcpu.ReadXState(area);
        MxcsrMask = XState.ReadMxcsrMask(area);
        MeasureExit(space);
        ReadBases.CopyTo(new Span<byte>(host, (int)PageEntry.PageSize));
        HasFsGsBase = TryRunGuest(space, ReadBases.Length);
        _platform.Tables.FreeBlock(block);
    }

    private void MeasureExit(KvmAddressSpace space)
    {
        for (int i = 0; i < 5; i++)
        {
            long start = Stopwatch.GetTimestamp();
            RunGuest(space);
            ExitTicks = Math.Min(ExitTicks, Stopwatch.GetTimestamp() - start);
        }
    }

    private ulong RunGuest(KvmAddressSpace space)
    {
        bool atStub = TryRunGuest(space, Code.Length);
        KvmRun* run = _vcpu.RunPage;
        Expect(atStub, $"SYSCALL does not reach its stub: exit {run->ExitReason} at 0x{run->Regs.Rip:x}");
        return run->Regs.Rbx;
    }

    /// <summary>Runs the code; false if it does not get to its SYSCALL at the end.</summary>
    private bool TryRunGuest(KvmAddressSpace space, int length)
    {
        var frame = new TrapFrame { Rip = CodeAddress };
        _vcpu.XStateIsInitial = false;
        space.EnterGuest();
        _vcpu.CallPage = space.CallPage(_vcpu.Index);
        _vcpu.CallPage.Disarm();
        long result;
        while ((result = _vcpu.Enter(frame, space)) is -KvmCalls.EINTR or -KvmCalls.EAGAIN)
        {
            // A kick that was meant for another machine's context may still be pending on this thread.
            _vcpu.AcknowledgeKick();
        }

        space.LeaveGuest();
        KvmRun* run = _vcpu.RunPage;
        Expect(result == 0, $"KVM_RUN fails with errno {-result}");
        return run->ExitReason == KvmNumbers.KVM_EXIT_MMIO && run->Regs.Rip == SystemPages.UserStub(_vcpu.Index) + CallStub.DirectEnd &&
            run->Regs.Rcx == CodeAddress + (ulong)length;
    }

    private bool CompareTsc(KvmAddressSpace space)
    {
        const int Protection = KvmCalls.PROT_READ | KvmCalls.PROT_WRITE | KvmCalls.PROT_EXEC;
        long page = KvmCalls.Mmap(4096, Protection, KvmCalls.MAP_PRIVATE | KvmCalls.MAP_ANONYMOUS, -1, 0);
        if (page < 0)
        {
            // Some hosts forbid pages that are writable and executable. Without the comparison nothing is promised.
            return false;
        }

        ReadHostTsc.CopyTo(new Span<byte>((void*)page, ReadHostTsc.Length));
        // SAFETY: the bytes above are a complete function without arguments that returns in RAX and touches RDX.
        var readHostTsc = (delegate* unmanaged<ulong>)page;
        ulong before = readHostTsc();
        RunGuest(space);
        ulong after = readHostTsc();
        ref KvmRegs regs = ref Unsafe.AsRef<KvmRegs>(&_vcpu.RunPage->Regs);
        ulong guest = (regs.Rdx << 32) | (uint)regs.Rax;
        _ = KvmCalls.Munmap((nint)page, 4096);
        return before < guest && guest < after;
    }

    private static void Expect(bool condition, string what)
    {
        if (!condition)
        {
            throw new PlatformException($"this kvm cannot run the guest: it {what}");
        }
    }
}
