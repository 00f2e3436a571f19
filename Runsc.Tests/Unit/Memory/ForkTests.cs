using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Xunit;
using static Runsc.Tests.Unit.Memory.FakeProcess;

namespace Runsc.Tests.Unit.Memory;

public sealed class ForkTests
{
    private const ulong Base = 0x10_0000;

    private readonly MemoryFile _file = NewFile();
    private readonly FakeProcess _parent;

    public ForkTests() => _parent = new FakeProcess(_file);

    [Fact]
    public void PrivatePages_AreCopiedByTheFirstWriterOnEitherSide()
    {
        _parent.Map(2, ReadWrite, Base);
        _parent.Store(Base, 1);
        _parent.Store(Base + 0x1000, 2);
        FakeProcess child = _parent.Fork();
        Assert.Equal((1, 2), (child.Load(Base), child.Load(Base + 0x1000)));
        Assert.Equal(FaultResult.Handled, _parent.Store(Base, 11));
        Assert.Equal(FaultResult.Handled, child.Store(Base + 0x1000, 22));
        Assert.Equal((11, 2), (_parent.Load(Base), _parent.Load(Base + 0x1000)));
        Assert.Equal((1, 22), (child.Load(Base), child.Load(Base + 0x1000)));
    }

    [Fact]
    public void LastHolder_WritesWithoutACopy()
    {
        _parent.Map(1, ReadWrite, Base);
        _parent.Store(Base, 1);
        _parent.Touch(Base, AccessType.Read, out ulong before);
        FakeProcess child = _parent.Fork();
        child.Memory.DecUsers();
        _parent.Store(Base, 2);
        _parent.Touch(Base, AccessType.Read, out ulong after);
        Assert.Equal(before, after);
    }

    [Fact]
    public void SharedPages_StayShared()
    {
        _parent.MapShared(_file, 2, Base);
        FakeProcess child = _parent.Fork();
        Assert.Equal(FaultResult.Handled, child.Store(Base + 0x1000, 7));
        Assert.Equal(7, _parent.Load(Base + 0x1000));
        _parent.Store(Base, 8);
        Assert.Equal(8, child.Load(Base));
    }

    [Fact]
    public void Advice_DontForkAndWipeOnFork()
    {
        _parent.Map(3, ReadWrite, Base);
        _parent.Store(Base, 1);
        _parent.Store(Base + 0x1000, 2);
        _parent.Store(Base + 0x2000, 3);
        Assert.Equal(Errno.None, _parent.Memory.Madvise(Base, 0x1000, Mman.MADV_DONTFORK));
        Assert.Equal(Errno.None, _parent.Memory.Madvise(Base + 0x1000, 0x1000, Mman.MADV_WIPEONFORK));
        FakeProcess child = _parent.Fork();
        Assert.Equal(FaultResult.NotMapped, child.Load(Base, out _));
        Assert.Equal(0, child.Load(Base + 0x1000));
        Assert.Equal(3, child.Load(Base + 0x2000));
        Assert.Equal(2, _parent.Load(Base + 0x1000));
    }

    [Fact]
    public void KernelCopies_BreakSharingToo()
    {
        _parent.Map(1, ReadWrite, Base);
        _parent.Store(Base, 1);
        FakeProcess child = _parent.Fork();
        Assert.Equal(2, child.Memory.CopyOut(Base, new byte[] { 5, 6 }));
        Assert.Equal(1, _parent.Load(Base));
        Assert.Equal(5, child.Load(Base));
    }

    [Fact]
    public void Pin_ByTwoAtOnce_IsOfOnePage()
    {
        // Two threads read files into the same page: neither may get a copy of its own.
        _parent.Map(1, ReadWrite, Base);
        Assert.Equal(Errno.None, _parent.Memory.Pin(Base, 16, AccessType.Write, out PinnedMemory first));
        Assert.Equal(Errno.None, _parent.Memory.Pin(Base + 16, 16, AccessType.Write, out PinnedMemory second));
        first.Span.Fill(1);
        second.Span.Fill(2);
        _parent.Store(Base + 32, 3);
        _parent.Memory.Unpin(first);
        _parent.Memory.Unpin(second);
        Assert.Equal((1, 2, 3), (_parent.Load(Base), _parent.Load(Base + 16), _parent.Load(Base + 32)));
        _parent.Memory.DecUsers();
        Assert.Equal(0UL, _file.Used);
    }

    [Fact]
    public void Fork_WhileThePageIsPinned_LeavesItToTheParent()
    {
        _parent.Map(1, ReadWrite, Base);
        _parent.Store(Base + 100, 9);
        Assert.Equal(Errno.None, _parent.Memory.Pin(Base, 16, AccessType.Write, out PinnedMemory pinned));
        FakeProcess child = _parent.Fork();
        _parent.Store(Base + 101, 8);
        pinned.Span.Fill(1);
        _parent.Memory.Unpin(pinned);
        Assert.Equal((1, 9, 8), (_parent.Load(Base), _parent.Load(Base + 100), _parent.Load(Base + 101)));
        Assert.Equal((0, 9, 0), (child.Load(Base), child.Load(Base + 100), child.Load(Base + 101)));
    }

    [Fact]
    public void Pin_OutlivesTheMapping()
    {
        _parent.Map(1, ReadWrite, Base);
        Assert.Equal(Errno.None, _parent.Memory.Pin(Base, 4096, AccessType.Write, out PinnedMemory pinned));
        Assert.Equal(Errno.None, _parent.Memory.Munmap(Base, 4096));
        ulong other = _parent.Map(1, ReadWrite);
        _parent.Store(other, 1);
        pinned.Span.Fill(0xee);
        Assert.Equal((1, 0), (_parent.Load(other), _parent.Load(other + 1)));
        _parent.Memory.Unpin(pinned);
    }
}
