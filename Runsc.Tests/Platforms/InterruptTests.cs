using System;
using System.Threading;
using Runsc.Platform;
using Xunit;

namespace Runsc.Tests.Platforms;

public abstract class InterruptTests : PlatformTests
{
    /// <summary>jmp . at 0; syscall ; jmp back to it at 0x10; incq (%rdi) ; jmp back at 0x20.</summary>
    private static readonly byte[] s_loops = BuildLoops();

    [EachPlatform]
    public void Interrupt_BeforeSwitch_StopsTheNextOneOnce()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_loops);
        task.Start(GuestTask.Code + 0x10);
        task.Context.Interrupt();
        task.Context.Interrupt();
        TrapFrame before = task.Frame;
        Assert.Equal(TrapKind.Interrupted, task.Run().Kind);
        Assert.Equal(before.Rip, task.Frame.Rip);
        task.ExpectSystemCall();
        task.ExpectSystemCall();
    }

    [EachPlatform]
    public void Interrupt_OfRunningCode_KeepsItsRegisters()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_loops);
        task.Start(GuestTask.Code + 0x20);
        task.Frame.Rdi = GuestTask.Data;
        task.Frame.Rbx = 0x1234_5678_9abc_def0;
        task.Frame.Rflags = 0x202 | 1;
        for (int round = 0; round < 50; round++)
        {
            ulong counter = machine.Word(task.DataOffset);
            var kicker = new Thread(() =>
            {
                SpinWait spin = default;
                while (Volatile.Read(ref machine.Word(task.DataOffset)) <= counter + 10)
                {
                    spin.SpinOnce();
                }

                task.Context.Interrupt();
            });
            kicker.Start();
            TrapInfo trap = task.Run();
            Assert.True(trap.Kind == TrapKind.Interrupted, task.Describe(trap));
            kicker.Join();
            Assert.Equal(0x1234_5678_9abc_def0u, task.Frame.Rbx);
            Assert.True(task.Frame.Rip is GuestTask.Code + 0x20 or GuestTask.Code + 0x23, task.Describe(trap));
            Assert.Equal(GuestTask.Stack + 0x800, task.Frame.Rsp);
        }
    }

    [EachPlatform]
    public void InterruptStorm_OnBusyLoop_LosesNone()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_loops);
        task.Start();
        Storm(task, 3000, trap => Assert.True(trap.Kind == TrapKind.Interrupted, task.Describe(trap)));
    }

    [EachPlatform]
    public void InterruptStorm_OnSystemCalls_LosesNoneAndNoCall()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_loops);
        task.Start(GuestTask.Code + 0x10);
        ulong calls = 0;
        task.Frame.Rax = 0;
        Storm(task, 2000, trap =>
        {
            if (trap.Kind != TrapKind.Interrupted)
            {
                Assert.True(trap.Kind == TrapKind.SystemCall, task.Describe(trap));
                Assert.Equal(calls, task.Frame.OrigRax);
                Assert.Equal(GuestTask.Code + 0x12, task.Frame.Rip);
                task.Frame.Rax = ++calls;
            }
        });
    }

    [EachPlatform]
    public void InterruptStorm_OnFaults_LosesNoneAndNoFault()
    {
        // mov (%rdi), %rax ; ud2: faults for ever, at the same place
        using var machine = NewMachine();
        using var task = new GuestTask(machine, [0x48, 0x8b, 0x07, 0x0f, 0x0b]);
        task.Frame.Rdi = 0x1234_5000;
        Storm(task, 2000, trap =>
        {
            bool fault = trap.Kind == TrapKind.PageFault && trap.FaultAddress == 0x1234_5000;
            Assert.True(fault || trap.Kind == TrapKind.Interrupted, task.Describe(trap));
            Assert.Equal(GuestTask.Code, task.Frame.Rip);
        });
    }

    [EachPlatform]
    public void InterruptedWithOtherFrame_DoesNotSeeTheOldTrap()
    {
        // At 0 a load that faults; at 0x10 a system call. The frame is moved to the call after each interruption: no fault may follow it there.
        byte[] code = new byte[0x20];
        new byte[] { 0x48, 0x8b, 0x07, 0x0f, 0x0b }.CopyTo(code, 0);
        new byte[] { 0x0f, 0x05 }.CopyTo(code, 0x10);
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        Storm(task, 2000, trap =>
        {
            if (trap.Kind == TrapKind.Interrupted)
            {
                task.Start(GuestTask.Code + 0x10);
                TrapInfo next = task.Run();
                Assert.True(next.Kind is TrapKind.SystemCall or TrapKind.Interrupted, task.Describe(next));
            }

            task.Start();
            task.Frame.Rdi = 0x1234_5000;
        });
    }

    /// <summary>Two threads interrupt; each waits until its own call was answered before the next.</summary>
    private static void Storm(GuestTask task, int rounds, Action<TrapInfo> check)
    {
        int answered = 0;
        bool stop = false;
        var kickers = new Thread[2];
        for (int i = 0; i < kickers.Length; i++)
        {
            kickers[i] = new Thread(() =>
            {
                while (!Volatile.Read(ref stop))
                {
                    int seen = Volatile.Read(ref answered);
                    task.Context.Interrupt();
                    SpinWait spin = default;
                    while (Volatile.Read(ref answered) == seen && !Volatile.Read(ref stop))
                    {
                        spin.SpinOnce();
                    }
                }
            });
            kickers[i].Start();
        }

        try
        {
            // A lost interrupt would leave everyone waiting, and the test run would time out.
            while (answered < rounds)
            {
                TrapInfo trap = task.Run();
                check(trap);
                if (trap.Kind == TrapKind.Interrupted)
                {
                    Interlocked.Increment(ref answered);
                }
            }
        }
        finally
        {
            Volatile.Write(ref stop, true);
            foreach (Thread kicker in kickers)
            {
                kicker.Join();
            }
        }
    }

    private static byte[] BuildLoops()
    {
        byte[] code = new byte[0x30];
        new byte[] { 0xeb, 0xfe }.CopyTo(code, 0);
        new byte[] { 0x0f, 0x05, 0xeb, 0xfc }.CopyTo(code, 0x10);
        new byte[] { 0x48, 0xff, 0x07, 0xeb, 0xfb }.CopyTo(code, 0x20);
        return code;
    }
}
