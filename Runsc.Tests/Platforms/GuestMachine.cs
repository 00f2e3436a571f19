using System;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Platform;
using Runsc.Platform.Kvm;
using Runsc.Platform.Systrap;
using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>A platform with one chunk of memory, and a bump allocator of its pages.</summary>
internal sealed unsafe partial class GuestMachine : IMemorySource, IDisposable
{
    private readonly byte* _memory;
    private ulong _next;

    /// <param name="kvm">Whether the platform is KVM; it must be there.</param>
    /// <param name="vcpuLimit">How many vCPUs KVM may use; 0 for the default.</param>
    public GuestMachine(bool kvm, int vcpuLimit = 0)
    {
        fixed (byte* name = "guest-memory\0"u8)
        {
            Fd = memfd_create(name, 1);
        }

        Assert.True(Fd >= 0);
        Assert.Equal(0, ftruncate(Fd, (long)Size));
        long address = KvmCalls.Mmap((nuint)Size, KvmCalls.PROT_READ | KvmCalls.PROT_WRITE, KvmCalls.MAP_SHARED, Fd, 0);
        Assert.True(address > 0);
        _memory = (byte*)address;
        if (!kvm)
        {
            Platform = SystrapPlatform.Create(this);
            return;
        }

        int device = KvmRequirements.OpenDevice();
        Platform = KvmPlatform.Create(device, this, vcpuLimit);
        _ = KvmCalls.Close(device);
    }

    public IPlatform Platform { get; }

    public KvmPlatform Kvm => (KvmPlatform)Platform;

    public SystrapPlatform Systrap => (SystrapPlatform)Platform;

    public int Fd { get; }

    public ulong Size => IMemorySource.ChunkSize;

    public byte* ChunkBase(int chunk) => _memory;

    /// <summary>Offset of fresh zeroed pages.</summary>
    public ulong Allocate(int pages) => Interlocked.Add(ref _next, (ulong)pages * 4096) - ((ulong)pages * 4096);

    public Span<byte> Bytes(ulong offset, int length) => new(_memory + offset, length);

    public byte* Host(ulong offset) => _memory + offset;

    public ref ulong Word(ulong offset) => ref *(ulong*)(_memory + offset);

    public void Dispose()
    {
        Platform.Dispose();
        _ = KvmCalls.Munmap((nint)_memory, (nuint)Size);
        _ = KvmCalls.Close(Fd);
    }

    [LibraryImport("libc")]
    private static partial int memfd_create(byte* name, uint flags);

    [LibraryImport("libc")]
    private static partial int ftruncate(int fd, long length);
}

/// <summary>An address space with code, one page of data and a stack, and a context that starts at the code.</summary>
internal sealed class GuestTask : IDisposable
{
    public const ulong Code = 0x40_0000;
    public const ulong Data = 0x50_0000;
    public const ulong Stack = 0x60_0000;

    private readonly bool _ownsSpace;

    public GuestTask(GuestMachine machine, ReadOnlySpan<byte> code)
    {
        Machine = machine;
        _ownsSpace = true;
        Space = machine.Platform.CreateAddressSpace();
        Context = machine.Platform.CreateContext();
        ulong codeOffset = machine.Allocate(1);
        DataOffset = machine.Allocate(1);
        code.CopyTo(machine.Bytes(codeOffset, 4096));
        Space.Map(Code, codeOffset, 4096, AccessType.Read | AccessType.Execute);
        Space.Map(Data, DataOffset, 4096, AccessType.Read | AccessType.Write);
        Space.Map(Stack, machine.Allocate(1), 4096, AccessType.Read | AccessType.Write);
        Start();
    }

    /// <summary>Another thread of the same process.</summary>
    public GuestTask(GuestTask sibling)
    {
        Machine = sibling.Machine;
        Space = sibling.Space;
        Context = Machine.Platform.CreateContext();
        DataOffset = sibling.DataOffset;
        Start();
    }

    public GuestMachine Machine { get; }

    public IAddressSpace Space { get; }

    public IContext Context { get; }

    public ulong DataOffset { get; }

    public ref TrapFrame Frame => ref Context.Frame;

    public void Start(ulong rip = Code)
    {
        Context.Frame.Rip = rip;
        Context.Frame.Rsp = Stack + 0x800;
        Context.Frame.Rflags = 0x202;
    }

    public TrapInfo Run()
    {
        Context.Switch(Space, out TrapInfo trap);
        return trap;
    }

    public void ExpectSystemCall()
    {
        TrapInfo trap = Run();
        Assert.True(trap.Kind == TrapKind.SystemCall, Describe(trap));
    }

    public void ExpectException(int vector, ulong rip, ulong errorCode = 0)
    {
        TrapInfo trap = Run();
        Assert.True(trap.Kind == TrapKind.Exception && trap.Vector == vector && trap.ErrorCode == errorCode && Frame.Rip == rip, Describe(trap));
    }

    public void ExpectFault(ulong address, AccessType access, ulong errorCode)
    {
        TrapInfo trap = Run();

        // A host's kernel fills page tables when they are used: a page that is mapped may be "not present" for the processor, as on Linux.
        ulong ignored = Machine.Platform is SystrapPlatform ? TrapVector.PageFaultPresent : 0;
        bool same = trap.Kind == TrapKind.PageFault && trap.FaultAddress == address && trap.Access == access && (trap.ErrorCode | ignored) == (errorCode | ignored);
        Assert.True(same, Describe(trap));
    }

    public string Describe(TrapInfo trap) =>
        $"{trap.Kind} vector {trap.Vector} error 0x{trap.ErrorCode:x} address 0x{trap.FaultAddress:x} {trap.Access} rip 0x{Frame.Rip:x} rax 0x{Frame.Rax:x}";

    public void Dispose()
    {
        Context.Dispose();
        if (_ownsSpace)
        {
            Space.Dispose();
        }
    }
}
