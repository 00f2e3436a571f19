using System;
using System.Runtime.CompilerServices;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Platform.Kvm.Stubs;

namespace Runsc.Platform.Kvm;

/// <summary>
/// The guest's supervisor memory, the same in every address space: page tables of the upper half, IDT, exception stubs, and for each vCPU
/// one page with its GDT, TSS and exception stack. Applications cannot reach it. One more page, in a memory slot of its own, holds the
/// SYSCALL stub that ring 3 can execute.
/// <code>
/// guest-physical   virtual                 what
/// 0x1000           —                       page-directory-pointer table that slot 511 of every root points to
/// 0x2000, 0x3000   —                       page directory, page table: map the 2 MiB below to KernelBase
/// 0x4000           KernelBase + 0x4000     IDT
/// 0x5000           KernelBase + 0x5000     exception stubs, ring-0 SYSCALL stub, SYSRET, IRET
/// 0x10000 + n*4096 KernelBase + …          vCPU n:  0x000 GDT   0x080 TSS   0x800 frame for IRET   0x1000 top of the exception stack
/// 0x400000         UserStub(n)             ring-3 SYSCALL stub (read-only slot), the same for every vCPU n; behind it the vCPU's page of data
/// </code>
/// </summary>
internal sealed unsafe class SystemPages : IDisposable
{
    public const ulong KernelBase = 0xffff_ffff_8000_0000;
    public const ulong Size = 0x20_0000;
    public const ulong UserStubPhysical = 0x40_0000;

    /// <summary>TASK_SIZE of Linux: the end of what applications can use where SYSCALL enters ring 0.</summary>
    public const ulong UserEnd = 0x7fff_ffff_f000;

    /// <summary>The same where it stays in ring 3: above are the stubs, a pair of pages for each vCPU.</summary>
    public const ulong UserStubs = 0x7fff_ffc0_0000;

    /// <summary>vCPU pages that fit.</summary>
    public const int MaxVCpus = 480;

    public const ushort KernelCodeSelector = 0x10;
    public const ushort KernelDataSelector = 0x18;
    public const ushort UserDataSelector = 0x2b;
    public const ushort UserCodeSelector = 0x33;
    public const ushort TssSelector = 0x40;
    public const int GdtLimit = 0x7f;
    public const int IdtLimit = (GuestStubs.ExceptionCount * 16) - 1;
    public const int TssLimit = 0x67;

    private const ulong UpperTablePhysical = 0x1000;
    private const ulong DirectoryPhysical = 0x2000;
    private const ulong TablePhysical = 0x3000;
    private const ulong IdtPhysical = 0x4000;
    private const ulong CodePhysical = 0x5000;
    private const int SystemCallStubOffset = GuestStubs.ExceptionCount * GuestStubs.ExceptionStride;
    private const int SysretStubOffset = SystemCallStubOffset + 16;
    private const int IretStubOffset = SysretStubOffset + 16;
    private const int IretFrameOffset = 0x800;
    private const ulong VCpuPhysical = 0x10000;
    private const int TssOffset = 0x80;
    private const ulong PageSize = 4096;

    private const ulong Present = 1;
    private const ulong Writable = 2;
    private const ulong AccessedDirty = 0x60;
    private const ulong NoExecute = 1UL << 63;

    private readonly byte* _host;
    private readonly byte* _stub;

    public SystemPages()
    {
        _host = Allocate((nuint)Size);
        _stub = Allocate((nuint)PageSize);
        BuildTables();
        BuildInterruptTable();
        var code = new Span<byte>(_host + CodePhysical, (int)PageSize);
        code.Fill(GuestStubs.Filler);
        for (int vector = 0; vector < GuestStubs.ExceptionCount; vector++)
        {
            GuestStubs.WriteException(code[(vector * GuestStubs.ExceptionStride)..], vector);
        }

        GuestStubs.KernelSystemCall.CopyTo(code[SystemCallStubOffset..]);
        GuestStubs.ReturnFromSystemCall.CopyTo(code[SysretStubOffset..]);
        GuestStubs.ReturnFromInterrupt.CopyTo(code[IretStubOffset..]);
        var stub = new Span<byte>(_stub, (int)PageSize);
        stub.Fill(GuestStubs.Filler);
        CallStub.Bytes.CopyTo(stub);
    }

    /// <summary>Host address of guest-physical 0.</summary>
    public byte* Host => _host;

    /// <summary>Host address of the page behind <see cref="UserStubPhysical"/>.</summary>
    public byte* StubHost => _stub;

    /// <summary>Entry 511 of every root table.</summary>
    public static ulong RootEntry => UpperTablePhysical | Present | Writable;

    public static ulong IdtAddress => KernelBase + IdtPhysical;

    public static ulong CodeAddress => KernelBase + CodePhysical;

    public static ulong KernelSystemCallAddress => CodeAddress + SystemCallStubOffset;

    public static ulong SysretStubAddress => CodeAddress + SysretStubOffset;

    public static ulong IretStubAddress => CodeAddress + IretStubOffset;

    /// <summary>Where a vCPU's SYSCALL goes if it stays in ring 3; the page of data follows.</summary>
    public static ulong UserStub(int vcpu) => UserStubs + ((ulong)vcpu * 2 * PageSize);

    /// <summary>Where a vCPU's IRET finds its frame.</summary>
    public static ulong IretFrameAddress(int vcpu) => KernelBase + VCpuPage(vcpu) + IretFrameOffset;

    public static ulong GdtAddress(int vcpu) => KernelBase + VCpuPage(vcpu);

    public static ulong TssAddress(int vcpu) => KernelBase + VCpuPage(vcpu) + TssOffset;

    /// <summary>First address above a vCPU's exception stack.</summary>
    public static ulong StackTop(int vcpu) => KernelBase + VCpuPage(vcpu) + PageSize;

    /// <summary>The vector whose stub <paramref name="rip"/> stands at (before or behind its OUT), or −1.</summary>
    public static int VectorOfStub(ulong rip)
    {
        ulong offset = unchecked(rip - CodeAddress);
        return offset < SystemCallStubOffset && offset % GuestStubs.ExceptionStride <= 2 ? (int)(offset / GuestStubs.ExceptionStride) : -1;
    }

    /// <summary>Host address of an object on a vCPU's exception stack, or null if the guest's stack pointer is not on it.</summary>
    public ulong* StackPointer(int vcpu, ulong rsp, int words)
    {
        ulong offset = unchecked(rsp - GdtAddress(vcpu));
        bool inside = offset < PageSize && offset % 8 == 0 && offset + ((ulong)words * 8) <= PageSize;
        // SAFETY: the offset lies in the vCPU's page, which lives as long as this object; only the processor writes there.
        return inside ? (ulong*)(_host + VCpuPage(vcpu) + offset) : null;
    }

    /// <summary>Host address of a vCPU's IRET frame: RIP, CS, RFLAGS, RSP, SS.</summary>
    public ulong* IretFrame(int vcpu) => (ulong*)(_host + VCpuPage(vcpu) + IretFrameOffset);

    /// <summary>Writes the GDT and TSS of a new vCPU.</summary>
    public void PrepareVCpu(int vcpu)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(vcpu, MaxVCpus);
        byte* page = _host + VCpuPage(vcpu);
        Unsafe.InitBlockUnaligned(page, 0, (uint)PageSize);
        ulong* gdt = (ulong*)page;
        // No 32-bit code segment: an application that jumps to selector 0x23 faults.
        gdt[KernelCodeSelector / 8] = 0x00af_9b00_0000_ffff;
        gdt[KernelDataSelector / 8] = 0x00cf_9300_0000_ffff;
        gdt[UserDataSelector / 8] = 0x00cf_f300_0000_ffff;
        gdt[UserCodeSelector / 8] = 0x00af_fb00_0000_ffff;
        ulong tss = TssAddress(vcpu);
        gdt[TssSelector / 8] = TssLimit | ((tss & 0xff_ffff) << 16) | (0x8bUL << 40) | ((tss >> 24 & 0xff) << 56);
        gdt[(TssSelector / 8) + 1] = tss >> 32;

        // RSP0 (offset 4) and IST1 (offset 36): the exception stack. The I/O bitmap lies behind the limit: no port is allowed to ring 3.
        byte* state = page + TssOffset;
        Unsafe.WriteUnaligned(state + 4, StackTop(vcpu));
        Unsafe.WriteUnaligned(state + 36, StackTop(vcpu));
        Unsafe.WriteUnaligned(state + 102, (ushort)(TssLimit + 1));
    }

    public void Dispose()
    {
        _ = KvmCalls.Munmap((nint)_host, (nuint)Size);
        _ = KvmCalls.Munmap((nint)_stub, (nuint)PageSize);
    }

    private static ulong VCpuPage(int vcpu) => VCpuPhysical + ((ulong)vcpu * PageSize);

    private static byte* Allocate(nuint length)
    {
        long address = KvmCalls.Mmap(
            length,
            KvmCalls.PROT_READ | KvmCalls.PROT_WRITE,
            KvmCalls.MAP_PRIVATE | KvmCalls.MAP_ANONYMOUS | KvmCalls.MAP_NORESERVE,
            -1,
            0);
        if (address < 0)
        {
            throw new PlatformException($"no memory for the guest's system pages (errno {-address})");
        }

        _ = KvmCalls.Madvise((nint)address, length, KvmCalls.MADV_NOHUGEPAGE);
        return (byte*)address;
    }

    private void BuildTables()
    {
        // KernelBase is entry 511, 510, 0 of the three upper levels.
        ((ulong*)(_host + UpperTablePhysical))[510] = DirectoryPhysical | Present | Writable;
        ((ulong*)(_host + DirectoryPhysical))[0] = TablePhysical | Present | Writable;
        ulong* table = (ulong*)(_host + TablePhysical);
        for (ulong page = 0; page < Size / PageSize; page++)
        {
            ulong physical = page * PageSize;
            table[page] = physical switch
            {
                CodePhysical => physical | Present | AccessedDirty,
                IdtPhysical => physical | Present | AccessedDirty | NoExecute,
                >= VCpuPhysical => physical | Present | Writable | AccessedDirty | NoExecute,
                _ => 0,
            };
        }
    }

    private void BuildInterruptTable()
    {
        ulong* idt = (ulong*)(_host + IdtPhysical);
        for (int vector = 0; vector < GuestStubs.ExceptionCount; vector++)
        {
            ulong handler = CodeAddress + (ulong)(vector * GuestStubs.ExceptionStride);
            // Applications may raise only #BP and #OF by instruction (INT3, INTO); every other INT n is a general-protection fault.
            ulong privilege = vector is TrapVector.Breakpoint or TrapVector.Overflow ? 3UL : 0UL;
            const ulong InterruptGate = 0xe;
            const ulong StackTableIndex = 1;
            ulong attributes = StackTableIndex | (InterruptGate << 8) | (privilege << 13) | (1UL << 15);
            idt[vector * 2] = (handler & 0xffff) | ((ulong)KernelCodeSelector << 16) | (attributes << 32) | ((handler >> 16 & 0xffff) << 48);
            idt[(vector * 2) + 1] = handler >> 32;
        }
    }
}
