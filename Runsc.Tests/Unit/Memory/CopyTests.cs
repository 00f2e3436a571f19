using System;
using System.Text;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.Memory;
using Xunit;
using static Runsc.Tests.Unit.Memory.FakeProcess;

namespace Runsc.Tests.Unit.Memory;

public sealed class CopyTests
{
    private const ulong Base = 0x10_0000;
    private const long Fault = -(long)Errno.EFAULT;

    private readonly FakeProcess _process = new(NewFile());

    [Fact]
    public void Copies_StopAtTheFirstBadPage()
    {
        _process.Map(2, ReadWrite, Base);
        byte[] data = new byte[0x1800];
        data.AsSpan().Fill(5);
        Assert.Equal(0x1000, _process.Memory.CopyOut(Base + 0x1000, data));
        Assert.Equal(0x1000, _process.Memory.CopyIn(Base + 0x1000, data));
        Assert.Equal(Fault, _process.Memory.CopyOut(Base + 0x2000, data));
        Assert.Equal(Fault, _process.Memory.CopyIn(ulong.MaxValue - 1, data));
        Assert.Equal(0x800, _process.Memory.ZeroOut(Base + 0x1800, 0x10_0000));
        Assert.Equal((5, 0), (_process.Load(Base + 0x17ff), _process.Load(Base + 0x1800)));
    }

    [Fact]
    public void CopyOut_ToReadOnlyMemory_IsAFault()
    {
        _process.Map(1, AccessType.Read, Base);
        Assert.Equal(Fault, _process.Memory.CopyOut(Base, new byte[1]));
        Assert.Equal(Errno.EFAULT, _process.Memory.CompareExchangeUInt32(Base, 0, 1, out _));
        Assert.Equal(Errno.None, _process.Memory.LoadUInt32(Base, out _));
    }

    [Fact]
    public void CopyInString_EndsAtTheNul()
    {
        _process.Map(1, ReadWrite, Base);
        ulong address = Base + 0x1000 - 6;
        _process.Memory.CopyOut(address, "abcde\0"u8);
        byte[] buffer = new byte[16];
        Assert.Equal(5, _process.Memory.CopyInString(address, buffer));
        Assert.Equal("abcde", Encoding.ASCII.GetString(buffer, 0, 5));
        _process.Memory.CopyOut(address, "abcdef"u8);
        Assert.Equal(Fault, _process.Memory.CopyInString(address, buffer));
        Assert.Equal(-(long)Errno.ENAMETOOLONG, _process.Memory.CopyInString(address, buffer.AsSpan(0, 6)));
    }

    [Fact]
    public void FutexKeys_PrivateByAddressSharedByPage()
    {
        FakeProcess child;
        ulong shared = _process.MapShared(_process.Memory.File, 1);
        ulong own = _process.Map(1, ReadWrite);
        child = _process.Fork();
        Assert.Equal(Errno.None, _process.Memory.GetFutexKey(shared + 4, isPrivate: false, out FutexKey here));
        Assert.Equal(Errno.None, child.Memory.GetFutexKey(shared + 4, isPrivate: false, out FutexKey there));
        Assert.Equal(here, there);
        Assert.Equal(Errno.None, _process.Memory.GetFutexKey(own, isPrivate: false, out here));
        Assert.Equal(Errno.None, child.Memory.GetFutexKey(own, isPrivate: false, out there));
        Assert.NotEqual(here, there);
        Assert.Equal(Errno.EINVAL, child.Memory.GetFutexKey(own + 2, isPrivate: true, out _));
        Assert.Equal(Errno.EFAULT, child.Memory.GetFutexKey(0xffff_8000_0000_0000, isPrivate: true, out _));
    }

    [Fact]
    public void Atomics_ReportWhatWasThere()
    {
        _process.Map(1, ReadWrite, Base);
        Assert.Equal(Errno.None, _process.Memory.CompareExchangeUInt32(Base + 8, 0, 77, out uint seen));
        Assert.Equal(0u, seen);
        Assert.Equal(Errno.None, _process.Memory.CompareExchangeUInt32(Base + 8, 0, 78, out seen));
        Assert.Equal(77u, seen);
        Assert.Equal(Errno.EINVAL, _process.Memory.LoadUInt32(Base + 9, out _));
    }
}
