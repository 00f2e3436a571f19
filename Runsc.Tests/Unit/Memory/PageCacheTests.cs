using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Xunit;
using static Runsc.Tests.Unit.Memory.FakeProcess;

namespace Runsc.Tests.Unit.Memory;

public sealed class PageCacheTests
{
    private const ulong Base = 0x10_0000;

    private readonly MemoryFile _file = NewFile();
    private readonly FakeProcess _process;
    private readonly Source _source = new(0x2800);

    public PageCacheTests() => _process = new FakeProcess(_file);

    private PageCache NewCache()
    {
        PageCache cache = new(_file, _source, new MappingIdentity("file", 1, 2));
        cache.SetSize((ulong)_source.Data.Length);
        return cache;
    }

    [Fact]
    public void PrivateMapping_ShowsTheFileAndKeepsWritesToItself()
    {
        PageCache cache = NewCache();
        _process.Map(3, ReadWrite, Base, cache);
        Assert.Equal(_source.Data[0x1234], _process.Load(Base + 0x1234));
        Assert.Equal(0, _process.Load(Base + 0x2900));
        _process.Store(Base + 0x1234, 0xaa);
        Assert.Equal(0xaa, _process.Load(Base + 0x1234));
        Assert.Equal(_source.Data[0x1235], _process.Load(Base + 0x1235));
        Assert.Equal(Errno.None, _process.Memory.Msync(Base, 0x3000, wait: true));
        Assert.Empty(_source.Written);
        Assert.True(cache.IsClean);
        Assert.Equal(Errno.None, _process.Memory.Munmap(Base, 0x3000));
        cache.DecRef();
        Assert.Equal(0UL, _file.Used);
    }

    [Fact]
    public void SharedMapping_WritesBackWhatWasWrittenAndNotMore()
    {
        PageCache cache = NewCache();
        _process.Map(3, ReadWrite, Base, cache, shared: true);
        Assert.Equal(_source.Data[0], _process.Load(Base));
        Assert.Equal(Errno.None, _process.Memory.Msync(Base, 0x3000, wait: true));
        Assert.Empty(_source.Written);
        _process.Store(Base + 0x2001, 0xbb);
        Assert.Equal(Errno.None, _process.Memory.Msync(Base, 0x3000, wait: true));
        Assert.Contains((0x2000UL, 0x800), _source.Written);
        Assert.Equal(0xbb, _source.Data[0x2001]);
        Assert.Equal(0x2800, _source.Data.Length);
        _process.Store(Base + 0x2001, 0xcc);
        Assert.Equal(Errno.None, _process.Memory.Munmap(Base, 0x3000));
        cache.DecRef();
        Assert.Equal(0xcc, _source.Data[0x2001]);
    }

    [Fact]
    public void PastTheEnd_IsABusError()
    {
        PageCache cache = NewCache();
        _process.Map(8, ReadWrite, Base, cache, shared: true);
        Assert.Equal(FaultResult.Handled, _process.Load(Base + 0x2fff, out _));
        Assert.Equal(FaultResult.Bus, _process.Load(Base + 0x3000, out _));
        Assert.Equal(FaultResult.Bus, _process.Store(Base + 0x7000, 1));
        _source.Fails = true;
        cache.Truncate(0x8000);
        Assert.Equal(FaultResult.Bus, _process.Load(Base + 0x5000, out _));
    }

    [Fact]
    public void Truncate_TakesPagesOutOfMappings()
    {
        PageCache cache = new(_file, null, default);
        cache.SetSize(0x3000);
        _process.Map(3, ReadWrite, Base, cache, shared: true);
        _process.Store(Base + 0x2000, 1);
        _process.Store(Base + 0x900, 2);
        cache.Truncate(0x800);
        Assert.Equal(FaultResult.Bus, _process.Load(Base + 0x2000, out _));
        Assert.Equal(0, _process.Load(Base + 0x900));
        cache.Truncate(0x3000);
        Assert.Equal(0, _process.Load(Base + 0x2000));
    }

    [Fact]
    public void Truncate_TakesPrivateCopiesToo()
    {
        PageCache cache = NewCache();
        _process.Map(3, ReadWrite, Base, cache);
        _process.Store(Base + 0x2000, 1);
        cache.Truncate(0x1000);
        Assert.Equal(FaultResult.Bus, _process.Load(Base + 0x2000, out _));
    }

    [Fact]
    public void Punch_ZeroesTheRange()
    {
        PageCache cache = new(_file, null, default);
        byte[] data = new byte[0x3000];
        data.AsSpan().Fill(1);
        IoBuffer from = new(data);
        Assert.Equal(0x3000, cache.Write(ref from, 0));
        _process.Map(3, ReadWrite, Base, cache, shared: true);
        Assert.Equal(1, _process.Load(Base + 0x1800));
        cache.Punch(0x800, 0x2000);
        Assert.Equal(2UL, cache.ResidentPages);
        Assert.Equal((1, 0, 0, 0, 1), (_process.Load(Base + 0x7ff), _process.Load(Base + 0x800), _process.Load(Base + 0x1800), _process.Load(Base + 0x27ff), _process.Load(Base + 0x2800)));
    }

    [Fact]
    public void Holes_AreFoundWithoutALookAtEveryPage()
    {
        PageCache cache = new(_file, null, default);
        IoBuffer one = new(new byte[] { 1 }), two = new(new byte[] { 1 });
        const ulong far = 1UL << 50;
        cache.Write(ref one, 0x1000);
        cache.Write(ref two, far);
        Assert.Equal(0x1000, cache.SeekDataOrHole(0, data: true));
        Assert.Equal(0x2000, cache.SeekDataOrHole(0x1000, data: false));
        Assert.Equal((long)far, cache.SeekDataOrHole(0x2000, data: true));
        Assert.Equal((long)far + 1, cache.SeekDataOrHole(far, data: false));
        Assert.Equal(-(long)Errno.ENXIO, cache.SeekDataOrHole(far + 1, data: true));
    }

    [Fact]
    public void Reserve_ThatFails_KeepsNothing()
    {
        long charged = 0;
        PageCache cache = new(_file, null, default)
        {
            ChargePages = count =>
            {
                charged += count;
                if (charged > 4)
                {
                    charged -= count;
                    return false;
                }

                return true;
            },
        };
        IoBuffer one = new(new byte[] { 1 });
        cache.Write(ref one, 0x1000);
        Assert.Equal(Errno.ENOSPC, cache.Reserve(0, 0x10000));
        Assert.Equal((1UL, 1L), (cache.ResidentPages, charged));
        Assert.Equal(Errno.None, cache.Reserve(0, 0x4000));
        Assert.Equal((4UL, 4L), (cache.ResidentPages, charged));
    }

    [Fact]
    public void Write_WithABadAddressBehindIt_DoesNotHarmTheFile()
    {
        PageCache cache = NewCache();
        _process.Map(1, ReadWrite, Base);
        IoBuffer from = new(_process.Memory, Base + 0x800, 0x1000);
        Assert.Equal(0x800, cache.Write(ref from, 0));
        byte[] bytes = new byte[0x1000];
        IoBuffer to = new(bytes);
        cache.Read(ref to, 0);
        Assert.Equal((0, _source.Data[0x800]), (bytes[0x7ff], bytes[0x800]));
    }

    [Fact]
    public void MappingsThatWereSplit_AreForgottenWholly()
    {
        PageCache cache = new(_file, null, default);
        cache.SetSize(0x4000);
        _process.Map(4, ReadWrite, Base, cache, shared: true);
        Assert.True(cache.HasWritableMapping);
        Assert.Equal(Errno.None, _process.Memory.Munmap(Base + 0x1000, 0x1000));
        Assert.Equal(Errno.None, _process.Memory.Mremap(Base + 0x2000, 0x2000, 0x2000, Mman.MREMAP_MAYMOVE | Mman.MREMAP_FIXED, Base + 0x10_0000, out _));
        Assert.Equal(Errno.None, _process.Memory.Munmap(Base, 0x1000));
        Assert.True(cache.HasWritableMapping);
        Assert.Equal(Errno.None, _process.Memory.Munmap(Base + 0x10_0000, 0x2000));
        Assert.False(cache.HasWritableMapping);
    }

    private sealed class Source : IPageSource
    {
        public Source(int size)
        {
            Data = new byte[size];
            for (int i = 0; i < size; i++)
            {
                Data[i] = unchecked((byte)((i * 7) + (i >> 8) + 1));
            }
        }

        public byte[] Data { get; }

        public bool Fails { get; set; }

        public List<(ulong Offset, int Length)> Written { get; } = [];

        public Errno ReadPages(ulong offset, Span<byte> destination)
        {
            if (Fails)
            {
                return Errno.EIO;
            }

            if (offset < (ulong)Data.Length)
            {
                int count = Math.Min(destination.Length, Data.Length - (int)offset);
                Data.AsSpan((int)offset, count).CopyTo(destination);
            }

            return Errno.None;
        }

        public Errno WritePages(ulong offset, ReadOnlySpan<byte> source)
        {
            Written.Add((offset, source.Length));
            source.CopyTo(Data.AsSpan((int)offset));
            return Errno.None;
        }
    }
}
