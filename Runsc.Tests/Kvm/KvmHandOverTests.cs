using System;
using System.Threading;
using Runsc.Platform;
using Runsc.Platform.Kvm;
using Runsc.Platform.Kvm.HandOver;
using Runsc.Tests.Platforms;
using Xunit;

namespace Runsc.Tests.Kvm;

/// <summary>System calls that do not leave the guest: <see cref="CallPage"/>.</summary>
[Collection("kvm")]
public sealed class KvmHandOverTests
{
    /// <summary>syscall ; jmp back to it.</summary>
    private static readonly byte[] s_calls = [0x0f, 0x05, 0xeb, 0xfc];

    [HandOverFact]
    public void Calls_HandedOver_KeepEveryRegister()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_calls);
        var random = new Random(11);
        bool handedOver = false;

        // Where other work wants the processors, a hand-over does not pay, and it is long until it is tried again.
        for (ulong round = 0; round < 2000 || (!handedOver && round < 1_000_000); round++)
        {
            ref TrapFrame frame = ref task.Frame;
            frame.Rax = round;
            frame.Rbx = frame.Rdx = frame.Rsi = frame.Rdi = frame.Rbp = frame.R8 = (ulong)random.NextInt64();
            frame.R9 = frame.R10 = frame.R12 = frame.R13 = frame.R14 = frame.R15 = (ulong)random.NextInt64();
            // CF PF AF ZF SF DF OF AC ID
            frame.Rflags = 0x202 | ((ulong)random.NextInt64() & 0x24_0cd5);
            TrapFrame before = frame;
            task.Context.Switch(task.Space, out TrapInfo trap);
            handedOver |= machine.Kvm.VCpus.IsAnyWithRunner;
            Assert.Equal(TrapKind.SystemCall, trap.Kind);
            before.OrigRax = round;
            before.Rcx = before.Rip = GuestTask.Code + 2;
            before.R11 = before.Rflags;
            Assert.Equal(before, task.Frame);
        }

        Assert.True(handedOver, "no call was handed over");
    }

    [HandOverFact]
    public void SegmentBases_ChangedOnEitherSide_ArriveOnTheOther()
    {
        // wrfsbase %rdi ; rdgsbase %rsi ; syscall ; jmp back
        byte[] code = [0xf3, 0x48, 0x0f, 0xae, 0xd7, 0xf3, 0x48, 0x0f, 0xae, 0xce, 0x0f, 0x05, 0xeb, 0xf2];
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        for (ulong round = 1; round < 500; round++)
        {
            task.Frame.Rdi = round * 4096;
            ulong gs = round / 7 * 8;
            task.Frame.GsBase = gs;
            task.ExpectSystemCall();
            Assert.Equal(round * 4096, task.Frame.FsBase);
            Assert.Equal(gs, task.Frame.Rsi);
        }
    }

    [HandOverFact]
    public void WaitingStub_OfATaskThatGoesToAnotherSpace_LeavesTheFirst()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_calls);
        for (int round = 0; round < 30; round++)
        {
            using var other = new GuestTask(machine, s_calls);
            task.ExpectSystemCall();
            TrapFrame frame = task.Frame;
            task.Context.Switch(other.Space, out TrapInfo trap);
            Assert.Equal(TrapKind.SystemCall, trap.Kind);
            task.Context.Frame = frame;
        }
    }

    [HandOverFact]
    public void UnmappingOfMuch_DoesNotNeedTheWaitingGuestToTrap()
    {
        // mov (%rdi), %rax ; syscall ; jmp back: the first round faults each page in, the second must not find any.
        byte[] code = [0x48, 0x8b, 0x07, 0x0f, 0x05, 0xeb, 0xf9];
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        const ulong Base = 0x7000_0000;
        ulong frames = machine.Allocate(64);
        for (int round = 0; round < 20; round++)
        {
            task.Space.Map(Base, frames, 64 * 4096, AccessType.Read);
            task.Start();
            for (ulong page = 0; page < 64; page++)
            {
                task.Frame.Rdi = Base + (page * 4096);
                task.ExpectSystemCall();
            }

            task.Space.Unmap(Base, 64 * 4096);
            task.ExpectFault(task.Frame.Rdi, AccessType.Read, 4);
        }
    }

    [HandOverFact]
    public void AnswerThatComesLate_FindsTheStubGoneAndIsNotLost()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_calls);
        for (ulong round = 0; round < 20; round++)
        {
            task.Frame.Rax = round;
            task.Frame.Rbx = round * 3;
            task.ExpectSystemCall();
            Assert.Equal(round, task.Frame.OrigRax);
            Assert.Equal(round * 3, task.Frame.Rbx);
            SpinWait spin = default;
            while (machine.Kvm.VCpus.IsAnyWithRunner)
            {
                spin.SpinOnce();
            }
        }
    }

    [HandOverFact]
    public void CallPage_ScribbledOnByTheApplication_HarmsNoOtherTask()
    {
        using var machine = NewMachine();
        using var victim = new GuestTask(machine, s_calls);
        using var task = new GuestTask(machine, s_calls);
        // rep stosb over the data of every stub: mov $0x1000, %ecx ; rep stosb ; ud2, started with RDI at one page after the other.
        byte[] scribble = [0xb9, 0x00, 0x10, 0x00, 0x00, 0xf3, 0xaa, 0x0f, 0x0b];
        scribble.CopyTo(machine.Bytes(task.DataOffset, 4096)[0x800..]);
        task.Space.Map(GuestTask.Data, task.DataOffset, 4096, AccessType.Read | AccessType.Execute);
        bool stop = false;
        var attacker = new Thread(() =>
        {
            using var sibling = new GuestTask(task);
            var random = new Random(5);
            while (!Volatile.Read(ref stop))
            {
                sibling.Start(GuestTask.Data + 0x800);
                sibling.Frame.Rax = (ulong)random.Next(6);
                sibling.Frame.Rdi = SystemPages.UserStub(random.Next(4)) + 4096;
                _ = sibling.Run();
            }
        });
        attacker.Start();
        var kicker = new Thread(() =>
        {
            // What the scribbling makes of the task's own state is its own affair, but it can always be stopped.
            while (!Volatile.Read(ref stop))
            {
                task.Context.Interrupt();
                Thread.Sleep(1);
            }
        });
        kicker.Start();
        for (ulong round = 0; round < 300; round++)
        {
            task.Start();
            _ = task.Run();
            victim.Frame.Rbx = round;
            victim.ExpectSystemCall();
            Assert.Equal(round, victim.Frame.Rbx);
        }

        Volatile.Write(ref stop, true);
        kicker.Join();
        attacker.Join();
    }

    [HandOverFact]
    public void AnsweringCalls_AllocatesNothing()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_calls);
        for (int i = 0; i < 100; i++)
        {
            task.ExpectSystemCall();
        }

        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 1000; i++)
        {
            task.Context.Switch(task.Space, out _);
        }

        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());
    }

    [Fact]
    public void Policy_TriesAgainLaterAfterEachFailure()
    {
        var policy = default(HandOverPolicy);
        int last = 0;
        for (int failures = 0; failures < 20; failures++)
        {
            int calls = 0;
            while (!policy.IsDue)
            {
                policy.CountExit(1, 10);
                calls++;
            }

            Assert.True(calls >= last && calls <= 4096, $"{calls} after {last}");
            last = calls;
            policy.Fail();
        }

        Assert.Equal(4096, last);
        for (int i = 0; i < 4095; i++)
        {
            policy.CountExit(1, 10);
        }

        Assert.False(policy.IsDue);
        policy.CountExit(20, 10);
        policy.CountExit(1, 10);
        Assert.False(policy.IsDue);
    }

    private static GuestMachine NewMachine()
    {
        var machine = new GuestMachine(kvm: true);
        machine.Kvm.HandsOverAlways = true;
        return machine;
    }
}

/// <summary>A test of calls that are handed over.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class HandOverFactAttribute : FactAttribute
{
    public HandOverFactAttribute() =>
        Skip = KvmFactAttribute.Missing ?? (KvmFactAttribute.HandsOver.Value ? null : "system calls enter ring 0 here, or there is one processor: none is handed over");
}
