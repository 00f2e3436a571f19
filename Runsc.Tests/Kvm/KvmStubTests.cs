using System;
using Runsc.Platform;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Tests.Platforms;
using Xunit;

namespace Runsc.Tests.Kvm;

/// <summary>The SYSCALL stub of the KVM platform, used by applications in ways that it was not made for.</summary>
[Collection("kvm")]
public sealed class KvmStubTests
{
    private static readonly byte[] s_syscalls = [0x0f, 0x05, 0x0f, 0x05];

    [KvmFact]
    public void JumpToStub_IsNoMoreThanASystemCallOrAFault()
    {
        using var machine = new GuestMachine(kvm: true);
        using var task = new GuestTask(machine, s_syscalls);
        ulong stub = machine.Kvm.UserAddressLimit;
        // mov $stub, %rax ; jmp *%rax
        byte[] code = [0x48, 0xb8, .. BitConverter.GetBytes(stub), 0xff, 0xe0];
        using var jumper = new GuestTask(machine, code);
        jumper.Frame.Rcx = GuestTask.Code;
        jumper.Frame.R11 = 0x202;
        TrapInfo trap = jumper.Run();
        if (machine.Kvm.SystemCallsStayInRing3)
        {
            Assert.Equal(TrapKind.SystemCall, trap.Kind);
            Assert.Equal(GuestTask.Code, jumper.Frame.Rip);
        }
        else
        {
            Assert.Equal(TrapKind.PageFault, trap.Kind);
        }

        // Behind the stub's store there is nothing to run.
        jumper.Start();
        BitConverter.GetBytes(stub + CallStub.DirectEnd).CopyTo(code, 2);
        using var second = new GuestTask(machine, code);
        trap = second.Run();
        Assert.True(trap.Kind is TrapKind.Exception or TrapKind.PageFault, second.Describe(trap));

        task.Frame.Rip = stub;
        trap = task.Run();
        Assert.Equal(TrapKind.PageFault, trap.Kind);
        Assert.Equal(AccessType.Execute, trap.Access);
        Assert.Equal(stub, trap.FaultAddress);
    }

    [KvmFact]
    public void StoreToStub_IsAFaultAndLeavesNothingBehind()
    {
        // movb $1, (%rdi) ; ud2          at 0
        // movups %xmm0, (%rdi) ; ud2     at 0x10: two steps of emulation
        // syscall                        at 0x20
        byte[] code = new byte[0x30];
        new byte[] { 0xc6, 0x07, 0x01, 0x0f, 0x0b }.CopyTo(code, 0);
        new byte[] { 0x0f, 0x11, 0x07, 0x0f, 0x0b }.CopyTo(code, 0x10);
        new byte[] { 0x0f, 0x05 }.CopyTo(code, 0x20);
        using var machine = new GuestMachine(kvm: true);
        using var task = new GuestTask(machine, code);
        ulong stub = machine.Kvm.UserAddressLimit;
        foreach (ulong offset in new ulong[] { 0, 0x10 })
        {
            task.Start(GuestTask.Code + offset);
            task.Frame.Rdi = stub + 0x100;
            TrapInfo trap = task.Run();
            Assert.True(trap.Kind == TrapKind.PageFault && trap.FaultAddress == stub + 0x100 && trap.Access == AccessType.Write, task.Describe(trap));
            task.Start(GuestTask.Code + 0x20);
            task.Frame.Rax = 77;
            task.ExpectSystemCall();
            Assert.Equal(77u, task.Frame.OrigRax);
        }
    }
}
