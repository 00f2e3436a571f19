using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Memory;
using Xunit;
using static Runsc.Tests.Unit.Memory.FakeProcess;

namespace Runsc.Tests.Unit.Memory;

public sealed class MappingTests
{
    private const ulong Base = 0x10_0000;

    private readonly MemoryFile _file = NewFile();
    private readonly FakeProcess _process;

    public MappingTests() => _process = new FakeProcess(_file);

    [Fact]
    public void Mmap_Neighbours_BecomeOneMapping()
    {
        _process.Map(2, ReadWrite, Base);
        _process.Map(2, ReadWrite, Base + 0x4000);
        Assert.Equal("100000-102000:3 104000-106000:3", _process.Maps());
        _process.Map(2, ReadWrite, Base + 0x2000);
        Assert.Equal("100000-106000:3", _process.Maps());
    }

    [Fact]
    public void Mprotect_InTheMiddle_SplitsAndJoinsAgain()
    {
        _process.Map(4, ReadWrite, Base);
        Assert.Equal(FaultResult.Handled, _process.Store(Base + 0x1000, 7));
        Assert.Equal(Errno.None, _process.Memory.Mprotect(Base + 0x1000, 0x1000, AccessType.Read, growsDown: false));
        Assert.Equal("100000-101000:3 101000-102000:1 102000-104000:3", _process.Maps());
        Assert.Equal(FaultResult.NotAllowed, _process.Store(Base + 0x1000, 8));
        Assert.Equal(7, _process.Load(Base + 0x1000));
        Assert.Equal(Errno.None, _process.Memory.Mprotect(Base + 0x1000, 0x1000, ReadWrite, growsDown: false));
        Assert.Equal("100000-104000:3", _process.Maps());
        Assert.Equal(FaultResult.Handled, _process.Store(Base + 0x1000, 8));
        Assert.Equal(8, _process.Load(Base + 0x1000));
    }

    [Fact]
    public void Mprotect_None_AllowsNothingAndKeepsThePage()
    {
        _process.Map(1, ReadWrite, Base);
        _process.Store(Base, 9);
        Assert.Equal(Errno.None, _process.Memory.Mprotect(Base, 0x1000, AccessType.None, growsDown: false));
        Assert.Equal(FaultResult.NotAllowed, _process.Load(Base, out _));
        Assert.Equal(Errno.None, _process.Memory.Mprotect(Base, 0x1000, AccessType.Read, growsDown: false));
        Assert.Equal(9, _process.Load(Base));
    }

    [Fact]
    public void Mprotect_AcrossAHole_ChangesWhatComesBefore()
    {
        _process.Map(1, ReadWrite, Base);
        _process.Map(1, ReadWrite, Base + 0x2000);
        Assert.Equal(Errno.ENOMEM, _process.Memory.Mprotect(Base, 0x3000, AccessType.Read, growsDown: false));
        Assert.Equal("100000-101000:1 102000-103000:3", _process.Maps());
    }

    [Fact]
    public void Munmap_InTheMiddle_LeavesBothEnds()
    {
        _process.Map(4, ReadWrite, Base);
        _process.Store(Base + 0x1000, 1);
        _process.Store(Base + 0x3000, 3);
        Assert.Equal(Errno.None, _process.Memory.Munmap(Base + 0x1000, 0x2000));
        Assert.Equal("100000-101000:3 103000-104000:3", _process.Maps());
        Assert.Equal(FaultResult.NotMapped, _process.Load(Base + 0x1000, out _));
        Assert.Equal(3, _process.Load(Base + 0x3000));
        Assert.Equal(0UL, _process.Memory.MappedBytes - 0x2000);
    }

    [Fact]
    public void Munmap_Arguments_AreChecked()
    {
        Assert.Equal(Errno.EINVAL, _process.Memory.Munmap(Base + 1, 0x1000));
        Assert.Equal(Errno.EINVAL, _process.Memory.Munmap(Base, 0));
        Assert.Equal(Errno.EINVAL, _process.Memory.Munmap(Base, ulong.MaxValue));
        Assert.Equal(Errno.EINVAL, _process.Memory.Munmap(0xffff_ffff_ffff_f000, 0x1000));
        Assert.Equal(Errno.None, _process.Memory.Munmap(Base, 0x1000));
    }

    [Fact]
    public void Mmap_WithoutAnAddress_GoesDownwardsFromTheTop()
    {
        ulong first = _process.Map(4, ReadWrite), second = _process.Map(4, AccessType.Read);
        Assert.Equal(first - 0x4000, second);
        Assert.Equal(Errno.None, _process.Memory.Munmap(first, 0x4000));
        Assert.Equal(first, _process.Map(4, ReadWrite));
    }

    [Fact]
    public void Mmap_NoReplace_RefusesWhatIsTaken()
    {
        _process.Map(1, ReadWrite, Base);
        MmapRequest request = new() { Address = Base - 0x1000, Length = 0x2000, NoReplace = true, Protection = ReadWrite };
        Assert.Equal(Errno.EEXIST, _process.Memory.Mmap(request, out _));
        request.Length = 0x1000;
        Assert.Equal(Errno.None, _process.Memory.Mmap(request, out ulong place));
        Assert.Equal(Base - 0x1000, place);
    }

    [Fact]
    public void Mmap_Fixed_ReplacesAndReadsAsZero()
    {
        _process.Map(2, ReadWrite, Base);
        _process.Store(Base, 5);
        _process.Map(1, ReadWrite, Base);
        Assert.Equal(0, _process.Load(Base));
    }

    [Fact]
    public void Mmap_BelowTheFirstAddress_IsNotPermitted()
    {
        MmapRequest request = new() { Address = 0, Length = 0x1000, Fixed = true, Protection = ReadWrite };
        Assert.Equal(Errno.EPERM, _process.Memory.Mmap(request, out _));
    }

    [Fact]
    public void Brk_GrowsAndShrinks_NewMemoryIsZero()
    {
        _process.Memory.SetLayout(0x7000_0000_0000, Base);
        Assert.Equal(Base, _process.Memory.Brk(0, ulong.MaxValue));
        Assert.Equal(Base + 0x1800, _process.Memory.Brk(Base + 0x1800, ulong.MaxValue));
        Assert.Equal(FaultResult.Handled, _process.Store(Base + 0x1fff, 1));
        Assert.Equal(FaultResult.NotMapped, _process.Store(Base + 0x2000, 1));
        Assert.Equal(Base, _process.Memory.Brk(Base, ulong.MaxValue));
        Assert.Equal(FaultResult.NotMapped, _process.Load(Base, out _));
        Assert.Equal(Base + 0x2000, _process.Memory.Brk(Base + 0x2000, ulong.MaxValue));
        Assert.Equal(0, _process.Load(Base + 0x1fff));
        Assert.Equal(Base + 0x2000, _process.Memory.Brk(Base + 0x10000, 0x8000));
    }

    [Fact]
    public void Mremap_Grow_MovesWhenItMustAndKeepsThePages()
    {
        _process.Map(2, ReadWrite, Base);
        _process.Map(1, AccessType.Read, Base + 0x2000);
        _process.Store(Base + 0x1000, 42);
        Assert.Equal(Errno.ENOMEM, _process.Memory.Mremap(Base, 0x2000, 0x4000, 0, 0, out _));
        Assert.Equal(Errno.None, _process.Memory.Mremap(Base, 0x2000, 0x4000, Mman.MREMAP_MAYMOVE, 0, out ulong moved));
        Assert.NotEqual(Base, moved);
        Assert.Equal(42, _process.Load(moved + 0x1000));
        Assert.Equal(0, _process.Load(moved + 0x3000));
        Assert.Equal(FaultResult.NotMapped, _process.Load(Base, out _));
        Assert.Equal(FaultResult.Handled, _process.Store(moved, 1));
    }

    [Fact]
    public void Mremap_InPlace_GrowsAndShrinks()
    {
        _process.Map(2, ReadWrite, Base);
        _process.Store(Base, 3);
        Assert.Equal(Errno.None, _process.Memory.Mremap(Base, 0x2000, 0x3000, 0, 0, out ulong same));
        Assert.Equal(Base, same);
        Assert.Equal("100000-103000:3", _process.Maps());
        Assert.Equal(Errno.None, _process.Memory.Mremap(Base, 0x3000, 0x1000, 0, 0, out _));
        Assert.Equal("100000-101000:3", _process.Maps());
        Assert.Equal(3, _process.Load(Base));
    }

    [Fact]
    public void Mremap_DontUnmap_LeavesZeroesBehind()
    {
        _process.Map(1, ReadWrite, Base);
        _process.Store(Base, 6);
        Assert.Equal(
            Errno.None, _process.Memory.Mremap(Base, 0x1000, 0x1000, Mman.MREMAP_MAYMOVE | Mman.MREMAP_DONTUNMAP | Mman.MREMAP_FIXED, Base + 0x10000, out ulong moved));
        Assert.Equal(6, _process.Load(moved));
        Assert.Equal(0, _process.Load(Base));
    }

    [Theory]
    [InlineData(0xffff_ffff_ffff_f000UL)]
    [InlineData(ulong.MaxValue)]
    [InlineData(0x8000_0000_0000UL)]
    [InlineData(0x2000UL)]
    public void Mremap_OldLengthPastTheMapping_IsAFault(ulong oldLength)
    {
        _process.Map(1, ReadWrite, Base);
        Assert.Equal(Errno.EFAULT, _process.Memory.Mremap(Base, oldLength, 0x1000, Mman.MREMAP_MAYMOVE, 0, out _));
        Assert.Equal(Errno.EFAULT, _process.Memory.Mremap(Base, oldLength, 0x1000, Mman.MREMAP_MAYMOVE | Mman.MREMAP_FIXED, Base + 0x100_0000, out _));
        Assert.Equal("100000-101000:3", _process.Maps());
    }

    [Fact]
    public void Mremap_SharedWithOldLengthZero_MapsThePagesTwice()
    {
        _process.MapShared(_file, 2, Base);
        _process.Store(Base + 0x1000, 4);
        Assert.Equal(Errno.None, _process.Memory.Mremap(Base, 0, 0x2000, Mman.MREMAP_MAYMOVE, 0, out ulong second));
        Assert.Equal(4, _process.Load(second + 0x1000));
        _process.Store(second, 5);
        Assert.Equal(5, _process.Load(Base));
    }

    [Fact]
    public void Madvise_DontNeed_ReadsAsZeroAgain()
    {
        _process.Map(3, ReadWrite, Base);
        _process.Store(Base + 0x1000, 4);
        _process.Store(Base + 0x2000, 5);
        Assert.Equal(Errno.None, _process.Memory.Madvise(Base + 0x1000, 0x1000, Mman.MADV_DONTNEED));
        Assert.Equal(0, _process.Load(Base + 0x1000));
        Assert.Equal(5, _process.Load(Base + 0x2000));
        Assert.Equal(Errno.ENOMEM, _process.Memory.Madvise(Base + 0x2000, 0x2000, Mman.MADV_DONTNEED));
        Assert.Equal(Errno.EINVAL, _process.Memory.Madvise(Base, 0x1000, 999));
    }

    [Fact]
    public void Fault_BelowAStack_GrowsItUpToTheLimit()
    {
        MmapRequest request = new() { Address = 0x7000_0000, Length = 0x1000, Fixed = true, Protection = ReadWrite, GrowsDown = true };
        Assert.Equal(Errno.None, _process.Memory.Mmap(request, out _));
        Assert.Equal(FaultResult.Handled, _process.Store(0x7000_0000 - 0x5000, 1));
        Assert.Equal("6fffb000-70001000:3", _process.Maps());
        Assert.Equal(FaultResult.NotMapped, _process.Store(0x7000_1000 - _process.Memory.StackLimit - 0x1000, 1));
    }

    [Fact]
    public void Lock_HolesAndLimits_AreRefused()
    {
        _process.Map(2, ReadWrite, Base);
        Assert.Equal(Errno.ENOMEM, _process.Memory.SetLocked(Base, 0x3000, locked: true, populate: false, ulong.MaxValue));
        Assert.Equal(Errno.ENOMEM, _process.Memory.SetLocked(Base, 0x2000, locked: true, populate: false, 0x1000));
        Assert.Equal(Errno.None, _process.Memory.SetLocked(Base + 1, 1, locked: true, populate: true, 0x1000));
        Assert.Equal(0x1000UL, _process.Memory.LockedBytes);
        Assert.Equal(Errno.EINVAL, _process.Memory.Madvise(Base, 0x1000, Mman.MADV_DONTNEED));
    }

    [Fact]
    public void TakeDown_GivesEveryPageBack()
    {
        _process.Map(64, ReadWrite, Base);
        _process.MapShared(_file, 8);
        for (ulong page = 0; page < 64; page += 3)
        {
            _process.Store(Base + (page * PageSize), 1);
        }

        FakeProcess child = _process.Fork();
        child.Store(Base, 2);
        _process.Memory.DecUsers();
        Assert.Equal(2, child.Load(Base));
        Assert.NotEqual(0UL, _file.Used);
        child.Memory.DecUsers();
        Assert.True(child.Space.IsDisposed);
        Assert.Equal(0UL, _file.Used);
    }

    [Fact]
    public void SetAnonymousName_SplitsOffTheRange()
    {
        _process.Map(3, ReadWrite, Base);
        Assert.Equal(Errno.None, _process.Memory.SetAnonymousName(Base + 0x1000, 0x1000, "x"));
        Assert.Equal("[anon:x]", _process.Memory.Report(count: false)[1].Name);
        Assert.Equal(Errno.None, _process.Memory.SetAnonymousName(Base + 0x1000, 0x1000, null));
        Assert.Equal("100000-103000:3", _process.Maps());
    }
}
