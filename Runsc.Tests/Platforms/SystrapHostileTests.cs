using System;
using System.Threading;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Platform.Systrap;
using Runsc.Platform.Systrap.Stub;
using Xunit;

namespace Runsc.Tests.Platforms;

/// <summary>
/// Applications that know how systrap works. Whatever they do, the Sentry goes on, other processes go on, and each of their system calls comes to
/// the Sentry or not at all.
/// </summary>
[Collection("kvm")]
public sealed class SystrapHostileTests
{
    private const ulong FirstSlot = StubLayout.Slots + StubLayout.SlotSize;

    [Fact]
    public void EverySystemCallNumber_ComesToTheSentry()
    {
        using GuestMachine machine = new(kvm: false);
        using GuestTask task = new(machine, [0x0f, 0x05]);
        long[] odd = [-1, int.MinValue, 0x4000_0000, 0x4000_0000 + SysNo.execve, 0x1_0000_0000, long.MinValue];
        for (long number = 0; number < 480 + odd.Length; number++)
        {
            ulong value = unchecked((ulong)(number < 480 ? number : odd[number - 480]));
            task.Start();
            task.Frame.Rax = value;
            task.Frame.Rdi = StubLayout.Slots;
            task.ExpectSystemCall();
            Assert.Equal(value, task.Frame.OrigRax);
            Assert.Equal(GuestTask.Code + 2, task.Frame.Rip);
        }
    }

    [Fact]
    public void OtherWaysIntoTheHostsKernel_AreTrapsToo()
    {
        using GuestMachine machine = new(kvm: false);

        // int $0x80 (exit_group of i386) ; sysenter ; and each behind it: ud2, which must not be reached
        foreach (byte[] code in (byte[][])[[0xb8, 252, 0, 0, 0, 0xcd, 0x80, 0x0f, 0x0b], [0xb8, 252, 0, 0, 0, 0x0f, 0x34, 0x0f, 0x0b]])
        {
            using GuestTask task = new(machine, code);
            TrapInfo trap = task.Run();
            Assert.True(trap.Kind == TrapKind.Exception && task.Frame.Rip != GuestTask.Code + 7, task.Describe(trap));
        }

        // mov $vsyscall, %rax ; call *%rax ; ud2: gettimeofday, time, getcpu
        foreach ((ulong page, ulong number) in new[] { (0xffff_ffff_ff60_0000, 96UL), (0xffff_ffff_ff60_0400, 201UL), (0xffff_ffff_ff60_0800, 309UL) })
        {
            using GuestTask task = new(machine, [0x48, 0xb8, .. BitConverter.GetBytes(page), 0xff, 0xd0, 0x0f, 0x0b]);
            TrapInfo trap = task.Run();
            bool call = trap.Kind == TrapKind.SystemCall && task.Frame.OrigRax == number && task.Frame.Rip == GuestTask.Code + 12;
            Assert.True(call || trap.Kind == TrapKind.PageFault || (trap.Kind == TrapKind.Exception && trap.Vector == TrapVector.GeneralProtection), task.Describe(trap));
        }
    }

    /// <summary>Every byte of the stub code as a place to jump to, with registers that would be system calls.</summary>
    [Fact]
    public void JumpsIntoTheStubCode_AreTrapsOrTheEndOfTheProcess()
    {
        const int Seed = 20264;
        Random random = new(Seed);
        using GuestMachine machine = new(kvm: false);
        machine.Systrap.Patience = 200;
        using Watchdog watchdog = new();
        using GuestTask bystander = new(machine, [0x0f, 0x05, 0xeb, 0xfc]);
        GuestTask? task = null;
        int calls = 0;
        for (int offset = 0; offset < StubCode.Bytes.Length; offset += random.Next(1, 6))
        {
            // At a SYSCALL of the stub, the numbers that it uses itself.
            bool atCall = StubCode.Bytes[offset..] is [0x0f, 0x05, ..];
            int[] numbers = atCall ? [SysNo.mmap, SysNo.munmap, SysNo.futex, SysNo.rt_sigreturn, SysNo.clone, SysNo.exit_group, SysNo.seccomp] : [random.Next(450)];
            foreach (int number in numbers)
            {
                task ??= new GuestTask(machine, [0xff, 0xe3]);
                task.Start();
                foreach (ref ulong register in System.Runtime.InteropServices.MemoryMarshal.CreateSpan(ref task.Frame.R15, 15))
                {
                    register = random.Next(3) switch { 0 => 0, 1 => GuestTask.Data, _ => FirstSlot + StubLayout.Header };
                }

                task.Frame.Rax = (ulong)number;
                task.Frame.Rbx = StubLayout.Code + (ulong)offset;
                task.Frame.Rsp = GuestTask.Stack + 0x800;
                TrapInfo trap = watchdog.Run(task);
                calls++;
                if (trap.Kind == TrapKind.Exception && trap.Vector == TrapVector.DoubleFault)
                {
                    task.Dispose();
                    task = null;
                }

                bool told = trap.Kind is TrapKind.PageFault or TrapKind.Exception or TrapKind.Interrupted || (trap.Kind == TrapKind.SystemCall && task!.Frame.Rip < StubLayout.Slots);
                Assert.True(told, $"seed {Seed} offset 0x{offset:x} number {number}: {trap.Kind}");
                bystander.ExpectSystemCall();
            }
        }

        task?.Dispose();
        Assert.True(calls > 300);
    }

    /// <summary>A thread that writes over the slots of its process, its own and its sibling's, while that makes system calls.</summary>
    [Theory]
    [InlineData(0x00)]
    [InlineData(0xff)]
    [InlineData(0x01)]
    [InlineData(0x02)]
    public void ScribblingOverTheSlots_HarmsOnlyItself(byte value)
    {
        using GuestMachine machine = new(kvm: false);
        machine.Systrap.Patience = 200;
        using Watchdog watchdog = new();
        using GuestTask bystander = new(machine, [0x0f, 0x05, 0xeb, 0xfc]);

        // 0: syscall ; jmp 0          0x10: mov %rsi, %rdi ; mov %rdx, %rcx ; rep stosb ; jmp 0x10
        byte[] code = new byte[0x20];
        new byte[] { 0x0f, 0x05, 0xeb, 0xfc }.CopyTo(code, 0);
        new byte[] { 0x48, 0x89, 0xf7, 0x48, 0x89, 0xd1, 0xf3, 0xaa, 0xeb, 0xf6 }.CopyTo(code, 0x10);
        for (int round = 0; round < 3; round++)
        {
            using GuestTask caller = new(machine, code);
            caller.ExpectSystemCall();
            using GuestTask scribbler = new(caller);
            scribbler.Start(GuestTask.Code + 0x10);
            scribbler.Frame.Rax = value;
            scribbler.Frame.Rsi = StubLayout.Slots;
            scribbler.Frame.Rdx = 4 * StubLayout.SlotSize;
            Thread other = new(() =>
            {
                for (int i = 0; i < 5; i++)
                {
                    _ = watchdog.Run(scribbler);
                }
            });
            other.Start();
            for (int i = 0; i < 20; i++)
            {
                _ = watchdog.Run(caller);
                bystander.ExpectSystemCall();
            }

            other.Join();
        }

        bystander.ExpectSystemCall();
    }

    /// <summary>A signal frame of its own making: every signal blocked, so that a kick does not arrive.</summary>
    [Fact]
    public void BlockedKick_EndsTheProcess()
    {
        using GuestMachine machine = new(kvm: false);
        machine.Systrap.Patience = 200;
        using GuestTask bystander = new(machine, [0x0f, 0x05, 0xeb, 0xfc]);

        // 0: jmp *%rbx        0x10: jmp .
        byte[] code = new byte[0x20];
        new byte[] { 0xff, 0xe3 }.CopyTo(code, 0);
        new byte[] { 0xeb, 0xfe }.CopyTo(code, 0x10);
        using GuestTask task = new(machine, code);
        const int SignalFrameRip = 176, SignalFrameRsp = 168, SignalFrameSegments = 192, SignalFrameMask = 304, SignalFrameFlags = 184;
        ulong frame = task.DataOffset + 0x100;
        machine.Word(frame + SignalFrameRip) = GuestTask.Code + 0x10;
        machine.Word(frame + SignalFrameRsp) = GuestTask.Stack + 0x800;
        machine.Word(frame + SignalFrameFlags) = 0x202;
        machine.Word(frame + SignalFrameSegments) = 0x2b_0000_0000_0033;
        machine.Word(frame + SignalFrameMask) = ulong.MaxValue;
        task.Frame.Rsp = GuestTask.Data + 0x108;
        task.Frame.Rax = SysNo.rt_sigreturn;
        task.Frame.Rbx = StubLayout.Code + StubCode.GuestReturn - 2;
        Timer timer = new(_ => task.Context.Interrupt(), null, 50, Timeout.Infinite);
        TrapInfo trap = task.Run();
        timer.Dispose();
        Assert.True(trap.Kind == TrapKind.Exception && trap.Vector == TrapVector.DoubleFault, task.Describe(trap));
        bystander.ExpectSystemCall();
        using GuestTask next = new(machine, [0x0f, 0x05]);
        next.ExpectSystemCall();
    }

    [Fact]
    public void StubMemory_CannotBeChanged_WhereItMatters()
    {
        using GuestMachine machine = new(kvm: false);

        // movb $1, (%rdi) ; syscall
        using GuestTask task = new(machine, [0xc6, 0x07, 0x01, 0x0f, 0x05]);
        foreach (ulong address in (ulong[])[StubLayout.Code, StubLayout.Code + StubLayout.GuestFilter, 0x7fff_fffd_0000])
        {
            task.Start();
            task.Frame.Rdi = address;
            TrapInfo trap = task.Run();
            Assert.True(trap.Kind == TrapKind.PageFault && trap.Access == AccessType.Write && trap.FaultAddress == address, task.Describe(trap));
        }

        // What the Sentry has in its orders is not undone by what the application does to the flags beside them.
        task.Start();
        task.Frame.Rdi = GuestTask.Data;
        task.ExpectSystemCall();
    }

    [Fact]
    public void ManyMappings_MoreThanTheHostAllows_StillWork()
    {
        using GuestMachine machine = new(kvm: false);
        using GuestTask task = new(machine, [0x48, 0x8b, 0x07, 0x0f, 0x05]);
        const ulong Target = 0x1000_0000;
        ulong frame = machine.Allocate(1);
        machine.Word(frame) = 77;
        for (ulong i = 0; i < 61_000; i++)
        {
            task.Space.Map(Target + (i * 0x2000), frame, 4096, AccessType.Read);
        }

        Assert.InRange(((SystrapAddressSpace)task.Space).MappingCount, 1, 60_001);
        task.Space.Map(GuestTask.Code, task.DataOffset - 4096, 4096, AccessType.Read | AccessType.Execute);
        task.Start();
        task.Frame.Rdi = Target + (60_999UL * 0x2000);
        task.ExpectSystemCall();
        Assert.Equal(77u, task.Frame.Rax);
    }

    [Fact]
    public void Spaces_MadeAndDropped_LeaveNoProcessBehind()
    {
        using GuestMachine machine = new(kvm: false);
        for (int i = 0; i < 150; i++)
        {
            using GuestTask task = new(machine, [0x0f, 0x05]);
            task.ExpectSystemCall();
        }

        // The ends of processes are noticed a little later.
        SpinWait.SpinUntil(() => machine.Systrap.PartCount <= 40 || machine.Systrap.ProcessCount == 0, 10_000);
        Assert.True(machine.Systrap.PartCount < 150, $"{machine.Systrap.PartCount} parts");
        Assert.True(SpinWait.SpinUntil(() => machine.Systrap.ProcessCount == 0, 30_000), $"{machine.Systrap.ProcessCount} processes");
    }

    /// <summary>Interrupts a task that does not come back by itself.</summary>
    private sealed class Watchdog : IDisposable
    {
        private readonly Timer _timer;
        private readonly GuestTask?[] _running = new GuestTask?[2];

        public Watchdog() => _timer = new Timer(_ => Array.ForEach(_running, task => task?.Context.Interrupt()), null, 5, 5);

        public TrapInfo Run(GuestTask task)
        {
            int place = Volatile.Read(ref _running[0]) is null && Interlocked.CompareExchange(ref _running[0], task, null) is null ? 0 : 1;
            Volatile.Write(ref _running[place], task);
            TrapInfo trap = task.Run();
            Volatile.Write(ref _running[place], null);
            return trap;
        }

        public void Dispose() => _timer.Dispose();
    }
}
