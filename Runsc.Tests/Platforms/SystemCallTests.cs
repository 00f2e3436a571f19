using System;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Runsc.Platform;
using Xunit;

namespace Runsc.Tests.Platforms;

public abstract class SystemCallTests : PlatformTests
{
    private static readonly byte[] s_syscalls = [0x0f, 0x05, 0x0f, 0x05];

    [EachPlatform]
    public void SystemCall_EveryRegister_IsLoadedAndStored()
    {
        // inc of all sixteen, then syscall.
        byte[] code =
        [
            0x48, 0xff, 0xc0, 0x48, 0xff, 0xc1, 0x48, 0xff, 0xc2, 0x48, 0xff, 0xc3, 0x48, 0xff, 0xc4, 0x48, 0xff, 0xc5, 0x48, 0xff, 0xc6, 0x48, 0xff, 0xc7,
            0x49, 0xff, 0xc0, 0x49, 0xff, 0xc1, 0x49, 0xff, 0xc2, 0x49, 0xff, 0xc3, 0x49, 0xff, 0xc4, 0x49, 0xff, 0xc5, 0x49, 0xff, 0xc6, 0x49, 0xff, 0xc7,
            0x0f, 0x05, 0x0f, 0x05,
        ];
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        Span<ulong> words = MemoryMarshal.Cast<TrapFrame, ulong>(new Span<TrapFrame>(ref task.Frame));
        for (int i = 0; i < 15; i++)
        {
            words[i] = (0x1111_0000_0000_0000UL * (uint)(i + 1)) + (uint)i;
        }

        task.Start();
        task.Frame.Rsp = 0x7777_0000_1234;
        TrapFrame before = task.Frame;
        task.ExpectSystemCall();

        ulong end = GuestTask.Code + 50;
        TrapFrame expected = before;
        Span<ulong> expectedWords = MemoryMarshal.Cast<TrapFrame, ulong>(new Span<TrapFrame>(ref expected));
        for (int i = 0; i < 15; i++)
        {
            expectedWords[i]++;
        }

        expected.Rsp++;
        expected.OrigRax = expected.Rax;
        expected.Rip = end;
        expected.Rcx = end;
        expected.R11 = task.Frame.Rflags;
        expected.Rflags = task.Frame.Rflags;
        AssertSame(expected, task.Frame);

        task.Frame.Rax = 0xfeed;
        expected.Rax = 0xfeed;
        task.ExpectSystemCall();
        expected.OrigRax = 0xfeed;
        expected.Rip += 2;
        expected.Rcx = expected.Rip;
        AssertSame(expected, task.Frame);
    }

    [EachPlatform]
    public void SystemCall_UserFlags_SurviveAndReservedOnesDoNot()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_syscalls);
        // Everything but TF and AC: IOPL, VM, VIF, VIP and the reserved bits must not get through.
        task.Frame.Rflags = ulong.MaxValue & ~0x4_0100UL;
        task.ExpectSystemCall();
        const ulong CfPfAfZfSfIfDfOf = 0xed5;
        Assert.Equal(CfPfAfZfSfIfDfOf | 2, task.Frame.Rflags & ~0x21_4000UL);
        Assert.Equal(task.Frame.Rflags, task.Frame.R11);
    }

    [EachPlatform]
    public void SystemCall_FromUserCode_RunsInRing3()
    {
        // mov %cs, %eax ; mov %ss, %ebx ; pushf ; pop %rdx ; syscall
        byte[] code = [0x8c, 0xc8, 0x8c, 0xd3, 0x9c, 0x5a, 0x0f, 0x05];
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        task.ExpectSystemCall();
        Assert.Equal(0x33u, (uint)task.Frame.Rax & 0xffff);
        Assert.Equal(0x2bu, (uint)task.Frame.Rbx & 0xffff);
        Assert.Equal(0x202u, task.Frame.Rdx & 0x3202);
    }

    [EachPlatform]
    public void Switch_SegmentBases_AreLoadedAndReadBack()
    {
        // mov %fs:0, %rax ; mov %gs:8, %rbx ; syscall ; then wrfsbase %rdi ; wrgsbase %rsi ; syscall
        byte[] code =
        [
            0x64, 0x48, 0x8b, 0x04, 0x25, 0, 0, 0, 0, 0x65, 0x48, 0x8b, 0x1c, 0x25, 8, 0, 0, 0, 0x0f, 0x05,
            0xf3, 0x48, 0x0f, 0xae, 0xd7, 0xf3, 0x48, 0x0f, 0xae, 0xde, 0x0f, 0x05,
        ];
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        machine.Word(task.DataOffset + 0x100) = 0xf5;
        machine.Word(task.DataOffset + 0x208) = 0x65;
        task.Frame.FsBase = GuestTask.Data + 0x100;
        task.Frame.GsBase = GuestTask.Data + 0x200;
        task.ExpectSystemCall();
        Assert.Equal(0xf5u, task.Frame.Rax);
        Assert.Equal(0x65u, task.Frame.Rbx);
        Assert.Equal(GuestTask.Data + 0x100, task.Frame.FsBase);
        if (machine.Platform.HwCap2 == 0)
        {
            return;
        }

        task.Frame.Rdi = 0x1234_5678_9000;
        task.Frame.Rsi = 0x7fff_0000_0000;
        task.ExpectSystemCall();
        Assert.Equal(0x1234_5678_9000u, task.Frame.FsBase);
        Assert.Equal(0x7fff_0000_0000u, task.Frame.GsBase);
    }

    [EachPlatform]
    public void Switch_NonCanonicalSegmentBase_IsDropped()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_syscalls);
        task.Frame.FsBase = 0x8000_0000_0000_0000;
        task.Frame.GsBase = 0x0001_0000_0000_0000;
        task.ExpectSystemCall();
        Assert.Equal(0u, task.Frame.FsBase);
        Assert.Equal(0u, task.Frame.GsBase);
    }

    [EachPlatform]
    public void Switch_SteadyState_AllocatesNothing()
    {
        // jmp . - 2 behind the syscall
        byte[] code = [0x0f, 0x05, 0xeb, 0xfc];
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        task.ExpectSystemCall();
        Run(task, 50);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Run(task, 200);
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        [MethodImpl(MethodImplOptions.NoInlining)]
        static void Run(GuestTask task, int rounds)
        {
            for (int i = 0; i < rounds; i++)
            {
                task.Context.Switch(task.Space, out TrapInfo trap);
                if (trap.Kind != TrapKind.SystemCall)
                {
                    throw new InvalidOperationException(task.Describe(trap));
                }
            }
        }
    }

    private static void AssertSame(in TrapFrame expected, in TrapFrame actual)
    {
        ReadOnlySpan<ulong> left = MemoryMarshal.Cast<TrapFrame, ulong>(new ReadOnlySpan<TrapFrame>(in expected));
        ReadOnlySpan<ulong> right = MemoryMarshal.Cast<TrapFrame, ulong>(new ReadOnlySpan<TrapFrame>(in actual));
        for (int i = 0; i < left.Length; i++)
        {
            Assert.True(left[i] == right[i], $"word {i} of the frame: 0x{left[i]:x} expected, 0x{right[i]:x} found");
        }
    }
}
