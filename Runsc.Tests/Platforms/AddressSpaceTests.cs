using System;
using Runsc.Platform;
using Xunit;

namespace Runsc.Tests.Platforms;

public abstract class AddressSpaceTests : PlatformTests
{
    private const AccessType ReadWrite = AccessType.Read | AccessType.Write;
    private const ulong Target = 0x7000_0000;

    /// <summary>At 0: mov (%rdi),%rax ; syscall. At 0x10: mov %rsi,(%rdi) ; syscall. At 0x20: jmp *%rdi.</summary>
    private static readonly byte[] s_access = BuildAccess();

    [EachPlatform]
    public void Fault_OfEachKind_ReportsAddressAccessAndCode()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_access);
        ExpectFault(task, 0, Target + 0x123, AccessType.Read, 4);
        ExpectFault(task, 0x10, Target + 0x123, AccessType.Write, 6);
        ExpectFault(task, 0x20, Target + 0x123, AccessType.Execute, 0x14);
        task.Space.Map(Target, machine.Allocate(1), 4096, AccessType.Read);
        ExpectFault(task, 0x10, Target + 8, AccessType.Write, 7);
        ExpectFault(task, 0x20, Target + 8, AccessType.Execute, 0x15);
        Assert.Equal(0u, Load(task, Target + 8));
    }

    [EachPlatform]
    public void Map_ThenUnmap_IsSeenAtOnce()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_access);
        ulong first = machine.Allocate(1);
        ulong second = machine.Allocate(1);
        machine.Word(first) = 1;
        machine.Word(second) = 2;
        for (int round = 0; round < 20; round++)
        {
            task.Space.Map(Target, first, 4096, ReadWrite);
            Assert.Equal(1u, Load(task, Target));
            task.Space.Map(Target, second, 4096, ReadWrite);
            Assert.Equal(2u, Load(task, Target));
            task.Space.Unmap(Target, 4096);
            ExpectFault(task, 0, Target, AccessType.Read, 4);
        }
    }

    [EachPlatform]
    public void Map_FewerRights_TakesThemAway()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_access);
        ulong page = machine.Allocate(1);
        new byte[] { 0x0f, 0x05 }.CopyTo(machine.Bytes(page, 2));
        task.Space.Map(Target, page, 4096, ReadWrite | AccessType.Execute);
        Store(task, Target + 8, 5);
        task.Start(Target);
        task.ExpectSystemCall();
        task.Space.Map(Target, page, 4096, ReadWrite);
        ExpectFault(task, 0x20, Target, AccessType.Execute, 0x15);
        Store(task, Target + 8, 6);
        task.Space.Map(Target, page, 4096, AccessType.Read);
        ExpectFault(task, 0x10, Target + 8, AccessType.Write, 7);
        task.Space.Map(Target, page, 4096, ReadWrite);
        Store(task, Target + 8, 7);
        Assert.Equal(7u, machine.Word(page + 8));
    }

    [EachPlatform]
    public void MakeReadOnly_OfManyPages_StopsWritesOnly()
    {
        const int Pages = 700;
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_access);
        ulong frames = machine.Allocate(Pages);

        // Frames in another order than addresses, so that no two are neighbours.
        for (ulong i = 0; i < Pages; i++)
        {
            task.Space.Map(Target + (i * 4096), frames + (((i * 3) % Pages) * 4096), 4096, ReadWrite);
        }

        foreach (ulong i in new ulong[] { 0, 1, 255, 511, 512, Pages - 1 })
        {
            Store(task, Target + (i * 4096), i + 1);
        }

        task.Space.MakeReadOnly(0, machine.Platform.UserAddressLimit);
        foreach (ulong i in new ulong[] { 0, 1, 255, 511, 512, Pages - 1 })
        {
            ExpectFault(task, 0x10, Target + (i * 4096), AccessType.Write, 7);
            Assert.Equal(i + 1, Load(task, Target + (i * 4096)));
        }

        task.Start();
        task.Frame.Rsp = GuestTask.Stack + 8;
    }

    [EachPlatform]
    public void UnmapOfEverything_LeavesNothingAndCanBeUsedAgain()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_access);
        ulong page = machine.Allocate(1);
        task.Space.Map(Target, page, 4096, ReadWrite);
        Store(task, Target, 1);
        for (int round = 0; round < 5; round++)
        {
            task.Space.Unmap(0, machine.Platform.UserAddressLimit);
            ExpectFault(task, 0, GuestTask.Code, AccessType.Execute, 0x14);
            task.Space.Map(GuestTask.Code, task.DataOffset - 4096, 4096, AccessType.Read | AccessType.Execute);
            ExpectFault(task, 0, Target, AccessType.Read, 4);
            task.Space.Map(Target, page, 4096, ReadWrite);
            Assert.Equal(1u, Load(task, Target));
        }
    }

    [EachPlatform]
    public void Map_TopAndBottomOfUserSpace_Work()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_access);
        ulong page = machine.Allocate(1);
        machine.Word(page) = 9;
        ulong last = machine.Platform.UserAddressLimit - 4096;
        foreach (ulong address in new ulong[] { 0, 0x1000, 0x7f_ffff_f000, 0x80_0000_0000, last })
        {
            task.Space.Map(address, page, 4096, AccessType.Read);
            Assert.Equal(9u, Load(task, address));
            task.Space.Unmap(address, 4096);
            ExpectFault(task, 0, address, AccessType.Read, 4);
        }

        task.Space.Unmap(0, machine.Platform.UserAddressLimit);
        Assert.Throws<ArgumentOutOfRangeException>(() => task.Space.Map(last, page, 8192, AccessType.Read));
        Assert.Throws<ArgumentOutOfRangeException>(() => task.Space.Unmap(0xffff_ffff_ffff_f000, 8192));
    }

    [EachPlatform]
    public void Spaces_WithTheSameAddresses_AreSeparate()
    {
        using var machine = NewMachine(vcpuLimit: 1);
        using var first = new GuestTask(machine, s_access);
        using var second = new GuestTask(machine, s_access);
        ulong[] pages = [machine.Allocate(1), machine.Allocate(1)];
        first.Space.Map(Target, pages[0], 4096, ReadWrite);
        second.Space.Map(Target, pages[1], 4096, ReadWrite);
        for (ulong i = 1; i < 20; i++)
        {
            Store(first, Target, i);
            Store(second, Target, i + 100);
            Assert.Equal(i, Load(first, Target));
            Assert.Equal(i + 100, Load(second, Target));
        }
    }

    [EachPlatform]
    public void Remap_WhileAnotherThreadRuns_IsSeenByItsNextLoad()
    {
        using var machine = NewMachine();
        using var runner = new LoopingGuest(machine, Target);
        ulong[] frames = [machine.Allocate(1), machine.Allocate(1)];
        machine.Word(frames[0]) = 0x100;
        machine.Word(frames[1]) = 0x101;
        runner.Task.Space.Map(Target, frames[0], 4096, AccessType.Read);
        runner.Start();
        for (int round = 0; round < 300; round++)
        {
            ulong frame = frames[round & 1];
            runner.Task.Space.Map(Target, frame, 4096, AccessType.Read);
            runner.WaitForRounds(2);
            Assert.Equal(machine.Word(frame), runner.LastValue);
        }

        runner.Stop();
    }

    [EachPlatform]
    public void Unmap_WhileAnotherThreadRuns_StopsItsLoads()
    {
        using var machine = NewMachine();
        using var runner = new LoopingGuest(machine, Target);
        ulong frame = machine.Allocate(1);
        runner.FaultIn = space => space.Map(Target, frame, 4096, AccessType.Read);
        runner.Start();
        for (int round = 0; round < 200; round++)
        {
            runner.WaitForRounds(2);
            runner.HoldFaults();
            if (round % 4 == 3)
            {
                runner.Task.Space.Unmap(0, machine.Platform.UserAddressLimit);
            }
            else
            {
                runner.Task.Space.Unmap(Target, 4096);
            }

            // What the frame holds from now on must never be seen through the translation that is gone.
            machine.Word(frame) = 0xbad;
            ulong rounds = runner.Rounds;
            runner.WaitForHeldFault();
            Assert.True(runner.Rounds <= rounds + 1, "the guest went on loading from an unmapped page");
            machine.Word(frame) = (ulong)round;
            runner.ReleaseFaults();
        }

        runner.Stop();
        Assert.NotEqual(0xbadu, runner.LastValue);
    }

    [EachPlatform]
    public void RandomEdits_AgreeWithAModel()
    {
        const int Seed = 20260101;
        const int Pages = 1400;
        const ulong Base = (1UL << 30) - (700 * 4096);
        var random = new Random(Seed);
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_access);
        const int Frames = 64;
        ulong frames = machine.Allocate(Frames);
        for (ulong i = 0; i < Frames; i++)
        {
            machine.Word(frames + (i * 4096)) = i;
        }

        var model = new (int Frame, bool Writable)?[Pages];
        for (int step = 0; step < 600; step++)
        {
            int first = random.Next(Pages);
            int count = random.Next(1, random.Next(4) == 0 ? Pages - first + 1 : Math.Min(40, Pages - first + 1));
            ulong address = Base + ((ulong)first * 4096);
            switch (random.Next(step % 50 == 49 ? 4 : 3))
            {
                case 0:
                    bool writable = random.Next(2) == 0;
                    for (int i = 0; i < count; i++)
                    {
                        int frame = random.Next(Frames);
                        task.Space.Map(address + ((ulong)i * 4096), frames + ((ulong)frame * 4096), 4096, writable ? ReadWrite : AccessType.Read);
                        model[first + i] = (frame, writable);
                    }

                    break;
                case 1:
                    task.Space.Unmap(address, (ulong)count * 4096);
                    Array.Clear(model, first, count);
                    break;
                case 2:
                    task.Space.MakeReadOnly(address, (ulong)count * 4096);
                    for (int i = first; i < first + count; i++)
                    {
                        model[i] = model[i] is { } page ? (page.Frame, false) : null;
                    }

                    break;
                case 3:
                    task.Space.Unmap(0, machine.Platform.UserAddressLimit);
                    task.Space.Map(GuestTask.Code, task.DataOffset - 4096, 4096, AccessType.Read | AccessType.Execute);
                    Array.Clear(model);
                    break;
            }

            for (int probe = 0; probe < 6; probe++)
            {
                int page = probe == 0 ? first : random.Next(Pages);
                CheckPage(task, Base + ((ulong)page * 4096), model[page], $"seed {Seed} step {step} page {page}");
            }
        }
    }

    private static void CheckPage(GuestTask task, ulong address, (int Frame, bool Writable)? expected, string where)
    {
        task.Start();
        task.Frame.Rdi = address;
        TrapInfo trap = task.Run();
        bool mapped = trap.Kind == TrapKind.SystemCall;
        Assert.True(mapped == expected.HasValue, $"{where}: {task.Describe(trap)}");
        if (expected is not { } page)
        {
            return;
        }

        Assert.True(task.Frame.Rax == (ulong)page.Frame, $"{where}: frame {task.Frame.Rax}, expected {page.Frame}");
        task.Start(GuestTask.Code + 0x10);
        task.Frame.Rdi = address;
        task.Frame.Rsi = (ulong)page.Frame;
        trap = task.Run();
        Assert.True((trap.Kind == TrapKind.SystemCall) == page.Writable, $"{where}: {task.Describe(trap)}");
    }

    private static byte[] BuildAccess()
    {
        byte[] code = new byte[0x30];
        new byte[] { 0x48, 0x8b, 0x07, 0x0f, 0x05 }.CopyTo(code, 0);
        new byte[] { 0x48, 0x89, 0x37, 0x0f, 0x05 }.CopyTo(code, 0x10);
        new byte[] { 0xff, 0xe7 }.CopyTo(code, 0x20);
        return code;
    }

    private static ulong Load(GuestTask task, ulong address)
    {
        task.Start();
        task.Frame.Rdi = address;
        task.ExpectSystemCall();
        return task.Frame.Rax;
    }

    private static void Store(GuestTask task, ulong address, ulong value)
    {
        task.Start(GuestTask.Code + 0x10);
        task.Frame.Rdi = address;
        task.Frame.Rsi = value;
        task.ExpectSystemCall();
    }

    private static void ExpectFault(GuestTask task, ulong codeOffset, ulong address, AccessType access, ulong errorCode)
    {
        task.Start(GuestTask.Code + codeOffset);
        task.Frame.Rdi = address;
        task.ExpectFault(address, access, errorCode);
    }
}
