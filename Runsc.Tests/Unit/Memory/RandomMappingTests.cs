using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Memory;
using Xunit;
using static Runsc.Tests.Unit.Memory.FakeProcess;

namespace Runsc.Tests.Unit.Memory;

/// <summary>Thousands of random operations on a few processes, against a model that keeps one cell for each page.</summary>
public sealed class RandomMappingTests
{
    private const ulong Base = 0x1000_0000;
    private const int Window = 96;
    private const int MaxProcesses = 4;

    private readonly MemoryFile _file = NewFile();
    private readonly List<(FakeProcess Process, Page?[] Pages)> _all = [];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(5)]
    [InlineData(6)]
    public void Operations_AgreeWithTheModel(int seed)
    {
        Random random = new(seed);
        _all.Add((new FakeProcess(_file), new Page?[Window]));
        for (int i = 0; i < 4000; i++)
        {
            int index = random.Next(_all.Count);
            (FakeProcess process, Page?[] pages) = _all[index];
            int first = random.Next(Window), count = Math.Min(random.Next(1, 12), Window - first);
            ulong address = At(first);
            switch (random.Next(16))
            {
                case 0:
                    AccessType protection = Protection(random);
                    process.Map((ulong)count, protection, address);
                    Set(pages, first, count, _ => new Page(new Cell(), protection, false));
                    break;
                case 1:
                    process.MapShared(_file, (ulong)count, address);
                    Set(pages, first, count, _ => new Page(new Cell(), ReadWrite, true));
                    break;
                case 2:
                    Assert.Equal(Errno.None, process.Memory.Munmap(address, (ulong)count * PageSize));
                    Set(pages, first, count, _ => null);
                    break;
                case 3:
                    Protect(process, pages, first, count, Protection(random));
                    break;
                case 4:
                    Move(process, pages, first, count, random);
                    break;
                case 5 when _all.Count < MaxProcesses:
                    _all.Add((process.Fork(), Array.ConvertAll(pages, page => page is null || page.Shared ? page : page with { Cell = new Cell { Value = page.Cell.Value } })));
                    break;
                case 6 when _all.Count > 1:
                    process.Memory.DecUsers();
                    _all.RemoveAt(index);
                    break;
                case 7:
                    DontNeed(process, pages, first, count);
                    break;
                case 8 or 9 or 10 or 11:
                    Store(process, pages[first], address, (byte)random.Next(1, 256), throughKernel: random.Next(3) == 0);
                    break;
                default:
                    Load(process, pages[first], address);
                    break;
            }
        }

        foreach ((FakeProcess process, Page?[] pages) in _all)
        {
            for (int i = 0; i < Window; i++)
            {
                Load(process, pages[i], At(i));
            }

            process.Memory.DecUsers();
        }

        Assert.Equal(0UL, _file.Used);
    }

    private static ulong At(int page) => Base + ((ulong)page * PageSize);

    private static AccessType Protection(Random random) => random.Next(4) switch
    {
        0 => AccessType.None,
        1 => AccessType.Read,
        _ => ReadWrite,
    };

    private static void Set(Page?[] pages, int first, int count, Func<int, Page?> make)
    {
        for (int i = first; i < first + count; i++)
        {
            pages[i] = make(i);
        }
    }

    private static void Protect(FakeProcess process, Page?[] pages, int first, int count, AccessType protection)
    {
        int hole = Array.FindIndex(pages, first, count, page => page is null);
        Assert.Equal(hole < 0 ? Errno.None : Errno.ENOMEM, process.Memory.Mprotect(At(first), (ulong)count * PageSize, protection, growsDown: false));
        Set(pages, first, (hole < 0 ? first + count : hole) - first, i => pages[i]! with { Protection = protection });
    }

    private static void Move(FakeProcess process, Page?[] pages, int first, int count, Random random)
    {
        int target = random.Next(Window - count + 1);
        if (target < first + count && first < target + count)
        {
            return;
        }

        Errno error = process.Memory.Mremap(
            At(first), (ulong)count * PageSize, (ulong)count * PageSize, Mman.MREMAP_MAYMOVE | Mman.MREMAP_FIXED, At(target), out ulong address);

        // Only within one mapping: the model does not know where mappings join, but a hole can never be moved.
        bool hole = Array.FindIndex(pages, first, count, page => page is null) >= 0;
        Assert.True(error is Errno.None or Errno.EFAULT, $"{error}");
        Assert.False(hole && error == Errno.None, "a hole was moved");
        if (error == Errno.None)
        {
            Assert.Equal(At(target), address);
            Array.Copy(pages, first, pages, target, count);
            Array.Clear(pages, first, count);
        }
    }

    private static void DontNeed(FakeProcess process, Page?[] pages, int first, int count)
    {
        bool hole = Array.FindIndex(pages, first, count, page => page is null) >= 0;
        Assert.Equal(hole ? Errno.ENOMEM : Errno.None, process.Memory.Madvise(At(first), (ulong)count * PageSize, Mman.MADV_DONTNEED));
        Set(pages, first, count, i => pages[i] is { Shared: false } page ? page with { Cell = new Cell() } : pages[i]);
    }

    private static void Store(FakeProcess process, Page? page, ulong address, byte value, bool throughKernel)
    {
        bool allowed = page is not null && (page.Protection & AccessType.Write) != 0;
        if (throughKernel)
        {
            Assert.Equal(allowed ? 1 : -(long)Errno.EFAULT, process.Memory.CopyOut(address, [value]));
        }
        else
        {
            Assert.Equal(page is null ? FaultResult.NotMapped : allowed ? FaultResult.Handled : FaultResult.NotAllowed, process.Store(address, value));
        }

        if (allowed)
        {
            page!.Cell.Value = value;
        }
    }

    private static void Load(FakeProcess process, Page? page, ulong address)
    {
        FaultResult expected = page is null ? FaultResult.NotMapped : page.Protection == AccessType.None ? FaultResult.NotAllowed : FaultResult.Handled;
        Assert.Equal(expected, process.Load(address, out byte value));
        if (expected == FaultResult.Handled)
        {
            Assert.Equal(page!.Cell.Value, value);
        }
    }

    private sealed class Cell
    {
        public byte Value { get; set; }
    }

    private sealed record Page(Cell Cell, AccessType Protection, bool Shared);
}
