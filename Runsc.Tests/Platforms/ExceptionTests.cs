using System;
using Runsc.Platform;
using Runsc.Tests.Kvm;
using Xunit;

namespace Runsc.Tests.Platforms;

public abstract class ExceptionTests : PlatformTests
{
    [EachPlatform]
    public void Exceptions_OfEachInstruction_HaveTheirVector()
    {
        Expect([0x0f, 0x0b], TrapVector.InvalidOpcode, 0); // ud2
        Expect([0x31, 0xc9, 0xf7, 0xf1], TrapVector.DivideError, 2); // xor %ecx, %ecx ; div %ecx
        Expect([0xf4], TrapVector.GeneralProtection, 0); // hlt
        Expect([0xfa], TrapVector.GeneralProtection, 0); // cli
        Expect([0xe6, 0x80], TrapVector.GeneralProtection, 0); // out %al, $0x80
        Expect([0xcc], TrapVector.Breakpoint, 1); // int3
        Expect([0x48, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x8b, 0x00], TrapVector.GeneralProtection, 10); // mov from a non-canonical address
    }

    [EachPlatform(NeedsRealProcessor = true)]
    public void UnmaskedFloatingPointExceptions_AreReported()
    {
        // pushq $0 ; ldmxcsr (%rsp) ; mov $1.0f, %eax ; movd %eax, %xmm2 ; xorps %xmm1, %xmm1 ; divss %xmm1, %xmm2
        Expect(
            [0x6a, 0x00, 0x0f, 0xae, 0x14, 0x24, 0xb8, 0x00, 0x00, 0x80, 0x3f, 0x66, 0x0f, 0x6e, 0xd0, 0x0f, 0x57, 0xc9, 0xf3, 0x0f, 0x5e, 0xd1],
            TrapVector.Simd,
            18);
        // pushq $0 ; fldcw (%rsp) ; fld1 ; fldz ; fdivrp ; fwait
        Expect([0x6a, 0x00, 0xd9, 0x2c, 0x24, 0xd9, 0xe8, 0xd9, 0xee, 0xde, 0xf9, 0x9b], TrapVector.X87, 11);
    }

    [EachPlatform]
    public void TrapFlag_AfterOneInstruction_IsDebugException()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, [0x90, 0x90, 0x0f, 0x05]);
        task.Frame.Rflags = 0x302;
        task.ExpectException(TrapVector.Debug, GuestTask.Code + 1);
        Assert.Equal(0x100u, task.Frame.Rflags & 0x100);
        task.ExpectException(TrapVector.Debug, GuestTask.Code + 2);
        task.Frame.Rflags &= ~0x100UL;
        task.ExpectSystemCall();
    }

    [EachPlatform(NeedsRealProcessor = true)]
    public void AlignmentCheck_MisalignedLoad_IsReported()
    {
        // mov 1(%rsp), %eax
        using var machine = NewMachine();
        using var task = new GuestTask(machine, [0x8b, 0x44, 0x24, 0x01, 0x0f, 0x05]);
        task.ExpectSystemCall();
        task.Start();
        task.Frame.Rflags |= 0x4_0000;
        task.ExpectException(TrapVector.AlignmentCheck, GuestTask.Code);
    }

    [EachPlatform]
    public void SoftwareInterrupts_AreExceptionsOfTheTask()
    {
        foreach (byte[] code in new byte[][] { [0xcd, 0x80], [0xcd, 0x20], [0xcd, 0x0e], [0x0f, 0x34] })
        {
            using var machine = NewMachine();
            using var task = new GuestTask(machine, code);
            TrapInfo trap = task.Run();
            Assert.True(trap.Kind == TrapKind.Exception && trap.Vector is TrapVector.GeneralProtection or TrapVector.InvalidOpcode, task.Describe(trap));
            // QEMU's emulated processor reports INT n behind the instruction.
            Assert.Equal(GuestTask.Code, KvmFactAttribute.IsEmulated() ? task.Frame.Rip & ~2UL : task.Frame.Rip);
        }
    }

    [EachPlatform]
    public void BadRip_IsATrapOfTheTask()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, [0x0f, 0x05]);
        foreach (ulong rip in new ulong[] { 0x8000_0000_0000, 0x1234_5678_9abc_def0, 0xffff_7fff_ffff_ffff })
        {
            task.Start(rip);
            task.ExpectException(TrapVector.GeneralProtection, rip);
        }

        foreach (ulong rip in new ulong[] { 0xffff_8000_0000_0000, 0xffff_ffff_8000_5000, ulong.MaxValue, 0x7fff_ffff_f000 })
        {
            task.Start(rip);
            task.ExpectFault(rip, AccessType.Execute, 0x14);
        }

        task.Start();
        task.ExpectSystemCall();
    }

    [EachPlatform]
    public void KernelAddresses_AreNotReachable()
    {
        // mov (%rdi), %rax ; syscall      at 0
        // mov %rax, (%rdi) ; syscall      at 0x10
        // jmp *%rdi                       at 0x20
        byte[] code = new byte[0x30];
        new byte[] { 0x48, 0x8b, 0x07, 0x0f, 0x05 }.CopyTo(code, 0);
        new byte[] { 0x48, 0x89, 0x07, 0x0f, 0x05 }.CopyTo(code, 0x10);
        new byte[] { 0xff, 0xe7 }.CopyTo(code, 0x20);
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        foreach (ulong address in new ulong[] { 0xffff_ffff_8000_4000, 0xffff_ffff_8000_5000, 0xffff_ffff_8001_0000, 0xffff_8000_0000_0000, 0xffff_8880_0000_0000 })
        {
            foreach (ulong offset in new ulong[] { 0, 0x10, 0x20 })
            {
                task.Start(GuestTask.Code + offset);
                task.Frame.Rdi = address;
                TrapInfo trap = task.Run();
                Assert.True(trap.Kind == TrapKind.PageFault && trap.FaultAddress == address, task.Describe(trap));
                Assert.NotEqual(0u, trap.ErrorCode & TrapVector.PageFaultUser);
            }
        }
    }

    [EachPlatform]
    public void Compatibility32_JumpToSelector_HarmsNobody()
    {
        // ljmp *code+0x38, where 0x23:code+0x10 is          32-bit code at 0x10: int $0x80, and at 0x20: syscall
        // (not a far return: QEMU reads its stack with the rights of the kernel, which SMAP forbids)
        byte[] code = new byte[0x40];
        byte[] jump = [0xff, 0x2c, 0x25, 0x38, 0x00, 0x40, 0x00];
        jump.CopyTo(code, 0);
        new byte[] { 0x10, 0x00, 0x40, 0x00, 0x23, 0x00 }.CopyTo(code, 0x38);
        new byte[] { 0xcd, 0x80 }.CopyTo(code, 0x10);
        new byte[] { 0x0f, 0x05, 0x0f, 0x0b }.CopyTo(code, 0x20);
        new byte[] { 0x0f, 0x05 }.CopyTo(code, 0x30);
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        for (int i = 0; i < 2; i++)
        {
            task.Start();
            TrapInfo trap = task.Run();
            Assert.True(trap.Kind is TrapKind.Exception or TrapKind.SystemCall or TrapKind.PageFault, task.Describe(trap));
            code[0x38] = 0x20;
            code.CopyTo(machine.Bytes(task.DataOffset - 4096, 4096));

            // The next switch is in 64-bit mode again.
            task.Start(GuestTask.Code + 0x30);
            task.Frame.R15 = 0x1_0000_0001;
            task.ExpectSystemCall();
            Assert.Equal(0x1_0000_0001u, task.Frame.R15);
        }
    }

    private void Expect(byte[] code, int vector, ulong ripOffset)
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        task.ExpectException(vector, GuestTask.Code + ripOffset);
    }
}
