using System;
using System.Buffers.Binary;
using System.Linq;
using System.Numerics;
using System.Runtime.Intrinsics.X86;
using System.Threading;
using Runsc.Platform;
using Xunit;

namespace Runsc.Tests.Platforms;

public abstract class ContextTests : PlatformTests
{
    private const int XmmOffset = 160;
    private const int HeaderOffset = 512;
    private const int YmmOffset = 576;

    /// <summary>
    /// At 0: movq %rdi, %xmm3 ; movq %rsi, %mm1 ; syscall.   At 0x10: movq %xmm3, %rax ; movq %mm1, %rbx ; syscall ; jmp 0x10.
    /// At 0x30: vmovdqu (%rdi), %ymm5 ; syscall.   At 0x40: vmovdqu %ymm5, (%rdi) ; syscall.
    /// At 0x50: incq (%rdi) ; paddd %xmm0, %xmm0 ; jmp 0x50.
    /// </summary>
    private static readonly byte[] s_vector = BuildVector();

    [EachPlatform]
    public void VectorState_AcrossSwitches_IsKept()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_vector);
        SetVector(task, 0xaaaa, 0xbbbb);
        task.Start(GuestTask.Code + 0x10);
        for (int i = 0; i < 5; i++)
        {
            ExpectVector(task, 0xaaaa, 0xbbbb);
        }
    }

    [EachPlatform]
    public void NewContext_OnUsedVCpu_StartsWithTheInitialState()
    {
        using var machine = NewMachine(vcpuLimit: 1);
        using (var first = new GuestTask(machine, s_vector))
        {
            SetVector(first, 0xdead, 0xbeef);
        }

        using var second = new GuestTask(machine, s_vector);
        second.Start(GuestTask.Code + 0x10);
        ExpectVector(second, 0, 0);
        byte[] area = new byte[machine.Platform.XSaveSize];
        second.Context.SaveXState(area);
        Assert.Equal(0x37f, BinaryPrimitives.ReadUInt16LittleEndian(area));
        Assert.Equal(0x1f80u, BinaryPrimitives.ReadUInt32LittleEndian(area.AsSpan(24)));
    }

    [EachPlatform]
    public void XState_SavedAndLoaded_ComesBack()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_vector);
        SetVector(task, 0x1111_2222, 0x3333);
        byte[] saved = new byte[machine.Platform.XSaveSize];
        task.Context.SaveXState(saved);
        Assert.Equal(0x1111_2222u, BinaryPrimitives.ReadUInt64LittleEndian(saved.AsSpan(XmmOffset + (3 * 16))));
        SetVector(task, 5, 6);
        Assert.True(task.Context.LoadXState(saved));
        task.Start(GuestTask.Code + 0x10);
        ExpectVector(task, 0x1111_2222, 0x3333);

        // Through the FXSAVE image alone, and through an image changed by hand.
        BinaryPrimitives.WriteUInt64LittleEndian(saved.AsSpan(XmmOffset + (3 * 16)), 0x7777);
        Assert.True(task.Context.LoadXState(saved.AsSpan(0, 512)));
        ExpectVector(task, 0x7777, 0x3333);

        // A component that is not marked becomes initial.
        BinaryPrimitives.WriteUInt64LittleEndian(saved.AsSpan(HeaderOffset), 1);
        Assert.True(task.Context.LoadXState(saved));
        ExpectVector(task, 0, 0x3333);

        task.Context.ResetXState();
        ExpectVector(task, 0, 0);
    }

    [EachPlatform]
    public void LoadXState_BadImage_IsRefusedAndChangesNothing()
    {
        using var machine = NewMachine();
        using var task = new GuestTask(machine, s_vector);
        SetVector(task, 0x42, 0x43);
        byte[] good = new byte[machine.Platform.XSaveSize];
        task.Context.SaveXState(good);
        Action<byte[]>[] damages =
        [
            area => BinaryPrimitives.WriteUInt32LittleEndian(area.AsSpan(24), 0xffff_1f80),
            area => BinaryPrimitives.WriteUInt64LittleEndian(area.AsSpan(HeaderOffset), ulong.MaxValue),
            area => BinaryPrimitives.WriteUInt64LittleEndian(area.AsSpan(HeaderOffset), 1UL << BitOperations.TrailingZeroCount(~machine.Platform.XFeatureMask)),
            area => area[HeaderOffset + 8] = 1,
            area => area[HeaderOffset + 63] = 1,
        ];
        foreach (Action<byte[]> damage in damages)
        {
            byte[] bad = [.. good];
            damage(bad);
            Assert.False(task.Context.LoadXState(bad));
        }

        Assert.False(task.Context.LoadXState(good.AsSpan(0, 511)));
        task.Start(GuestTask.Code + 0x10);
        ExpectVector(task, 0x42, 0x43);

        var random = new Random(7);
        byte[] noise = new byte[good.Length];
        for (int i = 0; i < 200; i++)
        {
            random.NextBytes(noise);
            noise.AsSpan(HeaderOffset + 8, 56).Clear();
            BinaryPrimitives.WriteUInt64LittleEndian(noise.AsSpan(HeaderOffset), (ulong)i & machine.Platform.XFeatureMask);
            BinaryPrimitives.WriteUInt32LittleEndian(noise.AsSpan(24), 0x1f80);
            Assert.True(task.Context.LoadXState(noise));
            task.Start(GuestTask.Code + 0x10);
            Assert.True(task.Run().Kind is TrapKind.SystemCall or TrapKind.Exception);
        }
    }

    [EachPlatform]
    public void CopyXStateFrom_RunningParent_GivesTheChildItsState()
    {
        using var machine = NewMachine();
        using var parent = new GuestTask(machine, s_vector);
        SetVector(parent, 0x77, 0x88);
        using var child = new GuestTask(parent);
        child.Context.CopyXStateFrom(parent.Context);
        SetVector(parent, 1, 2);
        child.Start(GuestTask.Code + 0x10);
        ExpectVector(child, 0x77, 0x88);
        parent.Start(GuestTask.Code + 0x10);
        ExpectVector(parent, 1, 2);
    }

    [EachPlatform]
    public void Ymm_IsKeptAndSaved()
    {
        if (!Avx.IsSupported)
        {
            return;
        }

        using var machine = NewMachine(vcpuLimit: 1);
        Assert.NotEqual(0u, machine.Platform.XFeatureMask & 4);
        using var task = new GuestTask(machine, s_vector);
        using var other = new GuestTask(machine, s_vector);
        Span<byte> data = machine.Bytes(task.DataOffset, 64);
        for (int i = 0; i < 32; i++)
        {
            data[i] = (byte)(i + 1);
        }

        RunAt(task, 0x30, GuestTask.Data);
        RunAt(other, 0x30, GuestTask.Data);
        RunAt(task, 0x40, GuestTask.Data + 32);
        Assert.True(data[..32].SequenceEqual(data[32..]));
        byte[] saved = new byte[machine.Platform.XSaveSize];
        task.Context.SaveXState(saved);
        Assert.Equal(data[16..32].ToArray(), saved.AsSpan(YmmOffset + (5 * 16), 16).ToArray());
    }

    [EachPlatform]
    public void MoreContextsThanVCpus_EachKeepsItsState()
    {
        const int Tasks = 6;
        using var machine = NewMachine(vcpuLimit: 2);
        var failures = new string?[Tasks];
        Thread[] threads = [.. Enumerable.Range(0, Tasks).Select(index => new Thread(() =>
        {
            try
            {
                using var task = new GuestTask(machine, s_vector);
                ulong value = (ulong)index * 1_000_000;
                for (ulong round = 0; round < 150; round++)
                {
                    task.Frame.FsBase = 0x10_0000 + (value * 16);
                    task.Frame.GsBase = 0x20_0000 + (value * 16);
                    SetVector(task, value + round, value + round + 1);
                    task.Start(GuestTask.Code + 0x10);
                    ExpectVector(task, value + round, value + round + 1);
                    Assert.Equal(0x10_0000 + (value * 16), task.Frame.FsBase);
                    Assert.Equal(0x20_0000 + (value * 16), task.Frame.GsBase);
                }
            }
            catch (Exception e) when (e is not OutOfMemoryException)
            {
                failures[index] = e.Message;
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        Array.ForEach(threads, thread => thread.Join());
        Assert.All(failures, Assert.Null);
        if (UsesKvm)
        {
            Assert.Equal(2, machine.Kvm.VCpus.Count);
        }
    }

    [EachPlatform]
    public void ComputingTasks_MoreThanVCpus_AllGoOn()
    {
        const int Tasks = 5;
        using var machine = NewMachine(vcpuLimit: 2);
        GuestTask[] tasks = [.. Enumerable.Range(0, Tasks).Select(_ => new GuestTask(machine, s_vector))];
        bool stop = false;
        var failures = new string?[Tasks];
        Thread[] threads = [.. tasks.Select((task, index) => new Thread(() =>
        {
            task.Start(GuestTask.Code + 0x50);
            task.Frame.Rdi = GuestTask.Data;
            while (!Volatile.Read(ref stop))
            {
                TrapInfo trap = task.Run();
                if (trap.Kind != TrapKind.Interrupted)
                {
                    failures[index] = task.Describe(trap);
                    break;
                }
            }
        }))];
        Array.ForEach(threads, thread => thread.Start());
        for (int round = 0; round < 3; round++)
        {
            ulong[] counts = [.. tasks.Select(task => Volatile.Read(ref machine.Word(task.DataOffset)))];
            SpinWait spin = default;
            while (tasks.Zip(counts).Any(pair => Volatile.Read(ref machine.Word(pair.First.DataOffset)) <= pair.Second) && failures.All(f => f == null))
            {
                spin.SpinOnce();
            }
        }

        Volatile.Write(ref stop, true);
        while (threads.Any(thread => thread.IsAlive))
        {
            Array.ForEach(tasks, task => task.Context.Interrupt());
            Thread.Yield();
        }

        Array.ForEach(tasks, task => task.Dispose());
        Assert.All(failures, Assert.Null);
    }

    [EachPlatform]
    public void Cpuid_InTheGuest_MatchesThePlatform()
    {
        // mov %edi, %eax ; mov %esi, %ecx ; cpuid ; syscall     (rcx is lost: moved to r8 first: mov %ecx, %r8d)
        byte[] code = [0x89, 0xf8, 0x89, 0xf1, 0x0f, 0xa2, 0x41, 0x89, 0xc8, 0x0f, 0x05];
        // xor %ecx, %ecx ; xgetbv ; syscall
        byte[] xgetbv = [0x31, 0xc9, 0x0f, 0x01, 0xd0, 0x0f, 0x05];
        using var machine = NewMachine();
        using var task = new GuestTask(machine, code);
        (ulong eax, ulong ebx, ulong ecx, ulong edx) = Cpuid(task, 1, 0);
        Assert.Equal(machine.Platform.HwCap, (uint)edx);
        const ulong OsXSave = 1 << 27;
        Assert.NotEqual(0u, ecx & OsXSave);
        (eax, ebx, ecx, edx) = Cpuid(task, 0xd, 0);
        Assert.Equal(machine.Platform.XFeatureMask, machine.Platform.XFeatureMask & (eax | (edx << 32)));
        Assert.True(machine.Platform.XSaveSize <= (int)ebx);
        if (UsesKvm)
        {
            Assert.Equal(machine.Platform.XFeatureMask, eax | (edx << 32));
            Assert.Equal(machine.Platform.XSaveSize, (int)ebx);
            Assert.Equal(machine.Platform.XSaveSize, (int)ecx);
        }

        using var second = new GuestTask(machine, xgetbv);
        second.ExpectSystemCall();
        Assert.Equal(machine.Platform.XFeatureMask, second.Frame.Rax | (second.Frame.Rdx << 32));
    }

    [EachPlatform]
    public void Tsc_OnEveryVCpu_IsMonotonic()
    {
        // rdtsc ; shl $32, %rdx ; or %rdx, %rax ; syscall
        byte[] code = [0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0x0f, 0x05];
        using var machine = NewMachine(vcpuLimit: 4);
        GuestTask[] tasks = [.. Enumerable.Range(0, 4).Select(_ => new GuestTask(machine, code))];
        ulong last = 0;
        for (int round = 0; round < 20; round++)
        {
            foreach (GuestTask task in tasks)
            {
                task.Start();
                task.ExpectSystemCall();
                if (machine.Platform.TscMatchesHost)
                {
                    Assert.True(task.Frame.Rax > last, $"{task.Frame.Rax} after {last}");
                }

                last = task.Frame.Rax;
            }
        }

        Array.ForEach(tasks, task => task.Dispose());
    }

    private static (ulong Eax, ulong Ebx, ulong Ecx, ulong Edx) Cpuid(GuestTask task, uint leaf, uint subleaf)
    {
        task.Start();
        task.Frame.Rdi = leaf;
        task.Frame.Rsi = subleaf;
        task.ExpectSystemCall();
        return (task.Frame.Rax, task.Frame.Rbx, task.Frame.R8, task.Frame.Rdx);
    }

    private static void RunAt(GuestTask task, ulong offset, ulong rdi)
    {
        task.Start(GuestTask.Code + offset);
        task.Frame.Rdi = rdi;
        task.ExpectSystemCall();
    }

    private static void SetVector(GuestTask task, ulong xmm, ulong mm)
    {
        task.Start();
        task.Frame.Rdi = xmm;
        task.Frame.Rsi = mm;
        task.ExpectSystemCall();
    }

    private static void ExpectVector(GuestTask task, ulong xmm, ulong mm)
    {
        task.ExpectSystemCall();
        Assert.Equal(xmm, task.Frame.Rax);
        Assert.Equal(mm, task.Frame.Rbx);
    }

    private static byte[] BuildVector()
    {
        byte[] code = new byte[0x60];
        new byte[] { 0x66, 0x48, 0x0f, 0x6e, 0xdf, 0x48, 0x0f, 0x6e, 0xce, 0x0f, 0x05 }.CopyTo(code, 0);
        new byte[] { 0x66, 0x48, 0x0f, 0x7e, 0xd8, 0x48, 0x0f, 0x7e, 0xcb, 0x0f, 0x05, 0xeb, 0xf3 }.CopyTo(code, 0x10);
        new byte[] { 0xc5, 0xfe, 0x6f, 0x2f, 0x0f, 0x05 }.CopyTo(code, 0x30);
        new byte[] { 0xc5, 0xfe, 0x7f, 0x2f, 0x0f, 0x05 }.CopyTo(code, 0x40);
        new byte[] { 0x48, 0xff, 0x07, 0x66, 0x0f, 0xfe, 0xc0, 0xeb, 0xf7 }.CopyTo(code, 0x50);
        return code;
    }
}
