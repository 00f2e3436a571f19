using System;
using System.Diagnostics;
using Runsc.Platform;
using Runsc.Platform.Kvm;
using Runsc.Tests.Platforms;

namespace Runsc.Tests.Benchmarks;

/// <summary>Prices of the platform's operations, printed: <c>dotnet exec Runsc.Tests.dll --bench</c>. No limits are asserted.</summary>
internal static class PlatformBenchmark
{
    private const ulong Target = 0x7000_0000;
    private const AccessType ReadWrite = AccessType.Read | AccessType.Write;

    private const int MadvPopulateWrite = 23;

    public static unsafe void Run(bool kvm, int scale)
    {
        using var machine = new GuestMachine(kvm);
        Console.WriteLine(machine.Platform.Description);

        // syscall ; jmp back        at 0x10: movb $1, (%rdi) ; add $4096, %rdi ; jmp back
        byte[] code = new byte[0x20];
        new byte[] { 0x0f, 0x05, 0xeb, 0xfc }.CopyTo(code, 0);
        new byte[] { 0xc6, 0x07, 0x01, 0x48, 0x81, 0xc7, 0x00, 0x10, 0x00, 0x00, 0xeb, 0xf4 }.CopyTo(code, 0x10);
        using var task = new GuestTask(machine, code);
        const int Pages = 2048;
        ulong frames = machine.Allocate(Pages);
        byte[] area = new byte[machine.Platform.XSaveSize];

        Measure("system call", 2000 * scale, _ => task.Run());
        Measure("system call, with FS base changed", 500 * scale, i =>
        {
            task.Frame.FsBase = (ulong)i * 4096;
            task.Run();
        });
        task.Start(GuestTask.Code + 0x10);
        task.Frame.Rdi = Target;
        Measure("fault and map of one page", Pages, i =>
        {
            task.Run();
            task.Space.Map(Target + ((ulong)i * 4096), frames + ((ulong)i * 4096), 4096, ReadWrite);
        });
        void Touch()
        {
            task.Start(GuestTask.Code + 0x10);
            task.Frame.Rdi = Target;
            task.Run();
        }

        Repeat("touch of 2048 pages that the vCPU has", Touch, Touch);
        Repeat("make 2048 touched pages read-only", Touch, () => task.Space.MakeReadOnly(Target, Pages * 4096), MapAll);
        Repeat("make them read-only in 32 parts", Touch, () =>
        {
            for (ulong part = 0; part < 64; part += 2)
            {
                task.Space.MakeReadOnly(Target + (part * Pages * 64), Pages * 64);
            }
        }, MapAll);
        Repeat("unmap 2048 touched pages", Touch, () => task.Space.Unmap(Target, Pages * 4096), MapAll);
        Repeat("map 2048 pages", () => task.Space.Unmap(Target, Pages * 4096), MapAll);
        Repeat("touch of 2048 mapped pages (no trap)", () =>
        {
            task.Space.Unmap(Target, Pages * 4096);
            MapAll();
        }, Touch);
        void MapAll() => task.Space.Map(Target, frames, Pages * 4096, ReadWrite);
        ulong fresh = machine.Allocate(Pages);
        Measure("populate 2048 pages in the host (MADV_POPULATE_WRITE)", 1, _ =>
            KvmCalls.Madvise((nint)machine.Host(fresh), Pages * 4096, MadvPopulateWrite));
        task.Space.Map(Target, fresh, Pages * 4096, ReadWrite);
        task.Start(GuestTask.Code + 0x10);
        task.Frame.Rdi = Target;
        Measure("touch of 2048 mapped and populated pages (no trap)", 1, _ => task.Run());
        task.Space.Map(Target, frames, Pages * 4096, ReadWrite);
        Measure("unmap one page, touch, map it", 200 * scale, i =>
        {
            ulong page = Target + ((ulong)(i % Pages) * 4096);
            task.Space.Unmap(page, 4096);
            task.Start(GuestTask.Code + 0x10);
            task.Frame.Rdi = page;
            task.Run();
            task.Space.Map(page, frames + ((ulong)(i % Pages) * 4096), 4096, ReadWrite);
        });
        Measure("unmap of one untouched page", 200 * scale, i => task.Space.Unmap(Target + ((ulong)(i % Pages) * 4096), 4096));
        Measure("unmap of nothing (4 MiB)", 200 * scale, i => task.Space.Unmap(Target + (1UL << 30), 4 << 20));
        task.Start();
        task.Run();
        Measure("save of the vector state", 200 * scale, _ => task.Context.SaveXState(area));
        Measure("load of the vector state, system call", 200 * scale, _ =>
        {
            task.Context.LoadXState(area);
            task.Run();
        });
        Measure("interrupt before a switch", 200 * scale, _ =>
        {
            task.Context.Interrupt();
            task.Run();
        });
        Measure("create and dispose a space with 3 pages", 200 * scale, _ =>
        {
            using IAddressSpace space = machine.Platform.CreateAddressSpace();
            space.Map(GuestTask.Code, task.DataOffset - 4096, 4096, AccessType.Read | AccessType.Execute);
            space.Map(GuestTask.Data, task.DataOffset, 4096, ReadWrite);
            space.Map(Target, frames, 4096, ReadWrite);
        });
        using var other = new GuestTask(machine, code);
        Measure("system call after a change of space, same vCPU", 200 * scale, i =>
        {
            task.Context.Switch((i & 1) == 0 ? task.Space : other.Space, out TrapInfo trap);
            if (trap.Kind != TrapKind.SystemCall)
            {
                throw new InvalidOperationException(task.Describe(trap));
            }
        });
    }

    /// <summary>The best of some rounds, each prepared anew.</summary>
    private static void Repeat(string name, Action prepare, Action operation, Action? restore = null)
    {
        double best = double.MaxValue;
        for (int i = 0; i < 20; i++)
        {
            prepare();
            long start = Stopwatch.GetTimestamp();
            operation();
            best = Math.Min(best, Stopwatch.GetElapsedTime(start).TotalMicroseconds);
            restore?.Invoke();
        }

        Console.WriteLine($"{best,12:F2} us  {name}");
    }

    private static void Measure(string name, int rounds, Action<int> operation)
    {
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < rounds; i++)
        {
            operation(i);
        }

        double nanoseconds = Stopwatch.GetElapsedTime(start).TotalNanoseconds / rounds;
        Console.WriteLine($"{nanoseconds / 1000,12:F2} us  {name}");
    }
}
