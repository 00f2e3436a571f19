using System;
using System.IO;
using System.Runtime.InteropServices;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Sentry.Kernel.Time;
using Runsc.Sentry.Loader;
using Runsc.Tests.Support;
using Xunit;

namespace Runsc.Tests.Unit.Loader;

/// <summary>The vDSO's code runs here as it would in a program: it needs nothing but its time page.</summary>
public sealed unsafe class VdsoTests : IDisposable
{
    private readonly nint _pages;
    private readonly TimePage _time;
    private readonly CalibratedClock<HostCounter> _clock;

    public VdsoTests()
    {
        _pages = HostMemory.Map(0, 8192, Mman.PROT_READ | Mman.PROT_WRITE, Mman.MAP_PRIVATE | Mman.MAP_ANONYMOUS, -1, 0);
        Assert.True(_pages is > 0 or < -4096);
        VdsoImage.Build().CopyTo(new Span<byte>((void*)(_pages + 4096), 4096));
        Assert.Equal(0, HostMemory.Protect(_pages + 4096, 4096, Mman.PROT_READ | Mman.PROT_EXEC));
        _time = new TimePage((byte*)_pages);
        _clock = new CalibratedClock<HostCounter>(_time, new HostClock(), default);
    }

    public void Dispose() => HostMemory.Unmap(_pages, 8192);

    private long GetTime(int clock)
    {
        Timespec time;
        Assert.Equal(0, ((delegate* unmanaged<int, Timespec*, int>)(_pages + 4096 + VdsoCode.ClockGetTime))(clock, &time));
        Assert.InRange(time.Nanoseconds, 0, 999_999_999);
        return time.ToNanoseconds();
    }

    private void Calibrate()
    {
        Assert.True(HostTsc.IsAvailable);
        for (int i = 0; i < 200 && !_time.IsValid; i++)
        {
            _clock.Update();
            Thread.Sleep(20);
        }

        Assert.True(_time.IsValid);
    }

    [Fact]
    public void Code_IsWhatItsSourceAssemblesTo()
    {
        string directory = Directory.CreateTempSubdirectory("runsc-vdso-").FullName;
        string source = Path.Combine(TestEnvironment.Top, "Runsc.Tests/Unit/Loader/vdso.S");
        CommandRunner.Shell($"cd {directory} && as -o v.o {source} && ld -Ttext=0x1400 --defsym=vvar=0 -e 0 -o v.elf v.o && objcopy -O binary -j .text v.elf v.bin");
        Assert.Equal(File.ReadAllBytes(Path.Combine(directory, "v.bin")), VdsoCode.Bytes.ToArray());
        string symbols = CommandRunner.Shell($"nm {directory}/v.elf");
        Assert.Contains($"{0x1000 + VdsoCode.ClockGetTime:x16} t clock_gettime", symbols, StringComparison.Ordinal);
        Assert.Contains($"{0x1000 + VdsoCode.GetTimeOfDay:x16} t gettimeofday", symbols, StringComparison.Ordinal);
        Assert.Contains($"{0x1000 + VdsoCode.Time:x16} t time", symbols, StringComparison.Ordinal);
        Assert.Contains($"{0x1000 + VdsoCode.ClockGetRes:x16} t clock_getres", symbols, StringComparison.Ordinal);
        Assert.Contains($"{0x1000 + VdsoCode.GetCpu:x16} t getcpu", symbols, StringComparison.Ordinal);
        Directory.Delete(directory, recursive: true);
    }

    [Fact]
    public void Image_IsReadByTheUsualTools()
    {
        string file = Path.GetTempFileName();
        File.WriteAllBytes(file, VdsoImage.Build());
        CommandResult read = CommandRunner.Run("/usr/bin/readelf", ["-W", "-a", file]);
        File.Delete(file);
        Assert.Equal((0, ""), (read.Status, read.Error));
        foreach (string wanted in (string[])
            ["linux-vdso.so.1", "__vdso_clock_gettime@@LINUX_2.6", "__vdso_gettimeofday@@LINUX_2.6", "__vdso_time@@LINUX_2.6", "__vdso_getcpu@@LINUX_2.6", "Flags: BASE", "DYN (Shared object file)"])
        {
            Assert.Contains(wanted, read.Output, StringComparison.Ordinal);
        }

        Assert.Equal(0x3ae75f6u, VdsoImage.Hash("LINUX_2.6"));
    }

    [Fact]
    public void InvalidPage_AsksTheKernel()
    {
        Assert.False(_time.IsValid);
        long before = HostTime.Now(TimeConstants.CLOCK_MONOTONIC), now = GetTime(TimeConstants.CLOCK_MONOTONIC), after = HostTime.Now(TimeConstants.CLOCK_MONOTONIC);
        Assert.InRange(now, before, after);
    }

    [Fact]
    public void Clocks_AreThoseOfTheHost()
    {
        Calibrate();

        // A window of 20 ms between two readings of an interrupted test leaves an error; the clock is right to a part in a thousand at the least.
        const long tolerance = 1_000_000;
        foreach ((int clock, int host) in new[] { (0, 0), (1, 1), (4, 1), (7, 1), (11, 0) })
        {
            long before = HostTime.Now(host), now = GetTime(clock), after = HostTime.Now(host);
            Assert.InRange(now, before - tolerance, after + tolerance);
        }

        foreach ((int clock, int exact) in new[] { (5, 0), (6, 1) })
        {
            long now = GetTime(clock);
            Assert.Equal(0, now % 4_000_000);
            Assert.InRange(GetTime(exact) - now, 0, 1_000_000_000);
        }

        long cpu = GetTime(TimeConstants.CLOCK_PROCESS_CPUTIME_ID);
        Assert.InRange(cpu, 1, HostTime.Now(TimeConstants.CLOCK_PROCESS_CPUTIME_ID));
        long wall = HostTime.Now(0);
        long* pair = stackalloc long[4];
        Assert.Equal(0, ((delegate* unmanaged<long*, long*, int>)(_pages + 4096 + VdsoCode.GetTimeOfDay))(pair, pair + 2));
        Assert.InRange((pair[0] * 1_000_000_000) + (pair[1] * 1000), wall - tolerance, wall + 60_000_000_000);
        Assert.Equal((true, 0L), (pair[1] is >= 0 and < 1_000_000, pair[2]));
        long seconds = ((delegate* unmanaged<long*, long>)(_pages + 4096 + VdsoCode.Time))(pair);
        Assert.InRange(seconds, wall / 1_000_000_000, (wall / 1_000_000_000) + 60);
        Assert.Equal(seconds, pair[0]);
        Timespec resolution;
        Assert.Equal(0, ((delegate* unmanaged<int, Timespec*, int>)(_pages + 4096 + VdsoCode.ClockGetRes))(1, &resolution));
        Assert.Equal((0L, 1L), (resolution.Seconds, resolution.Nanoseconds));
        uint processor;
        Assert.Equal(0, ((delegate* unmanaged<uint*, uint*, void*, int>)(_pages + 4096 + VdsoCode.GetCpu))(&processor, null, null));
        Assert.InRange(processor, 0u, (uint)Environment.ProcessorCount);
    }

    [Fact]
    public void Time_NeverGoesBackWhileThePageChanges()
    {
        Calibrate();
        long last = 0;
        bool stop = false;
        int backwards = 0;
        Thread[] readers = new Thread[2];
        for (int i = 0; i < readers.Length; i++)
        {
            bool byCode = i == 0;
            readers[i] = new Thread(() =>
            {
                while (!Volatile.Read(ref stop))
                {
                    long seen = Volatile.Read(ref last);
                    long now = byCode ? GetTime(TimeConstants.CLOCK_MONOTONIC) : _clock.Monotonic;
                    if (now < seen)
                    {
                        Interlocked.Increment(ref backwards);
                    }

                    // The latest that anybody has seen.
                    while (seen < now && Interlocked.CompareExchange(ref last, now, seen) is long other && other != seen)
                    {
                        seen = other;
                    }
                }
            });
            readers[i].Start();
        }

        for (int i = 0; i < 300; i++)
        {
            _clock.Update();
            Thread.Sleep(1);
        }

        Volatile.Write(ref stop, true);
        foreach (Thread reader in readers)
        {
            reader.Join();
        }

        Assert.Equal(0, backwards);
    }
}

/// <summary>The comparison with the host's clocks, on a counter and clocks of the test's own.</summary>
public sealed unsafe class CalibratedClockTests : IDisposable
{
    private readonly byte* _page = (byte*)NativeMemory.AllocZeroed(TimePage.SizeInBytes);

    // Ticks so far, nanoseconds for each in 2^32nds, and what the host's clock is off.
    private static ulong s_ticks;
    private static long s_time;

    public void Dispose() => NativeMemory.Free(_page);

    private readonly struct FakeCounter : ICounter
    {
        public ulong Read() => s_ticks;
    }

    private sealed class FakeClock : IClock
    {
        public long Monotonic => s_time;

        public long Realtime => s_time + 1_000_000_000_000;
    }

    [Fact]
    public void Frequency_IsLearnedAndErrorsAreMadeUpFor()
    {
        s_ticks = 5000;
        s_time = 700_000_000;
        TimePage page = new(_page);
        CalibratedClock<FakeCounter> clock = new(page, new FakeClock(), default);
        Assert.Equal(s_time, clock.Monotonic);
        clock.Update();
        Assert.False(page.IsValid);
        Run(20_000_000, 2.5);
        clock.Update();
        Assert.True(page.IsValid);
        Assert.InRange(clock.Monotonic - s_time, -1, 1);
        Run(100_000_000, 2.5);
        Assert.InRange(clock.Monotonic - s_time, -2, 2);
        clock.Update();
        Assert.InRange(clock.Realtime - s_time - 1_000_000_000_000, -2, 2);

        // The host's clock goes 20 millionths faster from now on: it is caught up with, and never by a step back.
        for (int i = 0; i < 6; i++)
        {
            long before = clock.Monotonic;
            Run(2_000_000_000, 2.49995);
            clock.Update();
            Assert.True(clock.Monotonic > before);
        }

        Assert.InRange(clock.Monotonic - s_time, -1000, 1000);
    }

    [Fact]
    public void SleepOfTheHost_IsSteppedOver()
    {
        s_ticks = 1;
        s_time = 1_000_000;
        TimePage page = new(_page);
        CalibratedClock<FakeCounter> clock = new(page, new FakeClock(), default);
        clock.Update();
        for (int i = 0; i < 5; i++)
        {
            Run(2_000_000_000, 3);
            clock.Update();
        }

        s_time += 3_600_000_000_000;
        Run(2_000_000_000, 3);
        clock.Update();
        Assert.True(page.IsValid);
        Assert.InRange(clock.Monotonic - s_time, -10, 10);
    }

    [Fact]
    public void CounterThatGoesBack_IsGivenUp()
    {
        s_ticks = 1_000_000;
        s_time = 1_000_000;
        TimePage page = new(_page);
        CalibratedClock<FakeCounter> clock = new(page, new FakeClock(), default);
        clock.Update();
        Run(20_000_000, 3);
        clock.Update();
        Assert.True(page.IsValid);
        long shown = clock.Monotonic;
        s_ticks -= 1000;
        s_time -= 10;
        clock.Update();
        Assert.False(page.IsValid);
        Assert.True(clock.Monotonic >= shown - 1000);
        s_time += 1000;
        Assert.Equal(s_time, clock.Monotonic);
    }

    /// <summary>Time goes on: ticks of the counter for each nanosecond.</summary>
    private static void Run(long nanoseconds, double frequency)
    {
        s_time += nanoseconds;
        s_ticks += (ulong)(nanoseconds * frequency);
    }
}
