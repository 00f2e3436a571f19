using System.Collections.Generic;
using Runsc.Platform;
using Xunit;

namespace Runsc.Tests.Unit.Memory;

/// <summary>A platform without a processor: its address spaces only remember what was mapped, page by page.</summary>
internal sealed class FakePlatform : IPlatform
{
    public ulong UserAddressLimit => 0x7fff_ffff_f000;

    public string Description => "fake";

    public int XSaveSize => 0;

    public ulong XFeatureMask => 0;

    public uint HwCap => 0;

    public uint HwCap2 => 0;

    public bool TscMatchesHost => false;

    public ulong TscKilohertz => 0;

    public IAddressSpace CreateAddressSpace() => new FakeAddressSpace();

    public IContext CreateContext() => new FakeContext();

    public void AddMemory(ulong fileOffset, nint hostBase, ulong length)
    {
    }

    public void Dispose()
    {
    }
}

/// <summary>Translations as a table; checks what the contract asks of callers.</summary>
internal sealed class FakeAddressSpace : IAddressSpace
{
    private const ulong PageSize = 4096;

    public Dictionary<ulong, (ulong Offset, AccessType Access)> Pages { get; } = [];

    public bool IsDisposed { get; private set; }

    public void Map(ulong address, ulong fileOffset, ulong length, AccessType access)
    {
        Check(address, length);
        Assert.Equal(0UL, fileOffset % PageSize);
        Assert.True((access & (AccessType.Read | AccessType.Execute)) != 0, "a page that can be written but not read");
        for (ulong done = 0; done < length; done += PageSize)
        {
            Pages[address + done] = (fileOffset + done, access | AccessType.Read);
        }
    }

    public void Unmap(ulong address, ulong length)
    {
        Check(address, length);
        foreach (ulong page in Inside(address, length))
        {
            Pages.Remove(page);
        }
    }

    public void MakeReadOnly(ulong address, ulong length)
    {
        Check(address, length);
        foreach (ulong page in Inside(address, length))
        {
            Pages[page] = (Pages[page].Offset, Pages[page].Access & ~AccessType.Write);
        }
    }


    public void Dispose() => IsDisposed = true;

    private List<ulong> Inside(ulong address, ulong length)
    {
        List<ulong> pages = [];
        foreach (ulong page in Pages.Keys)
        {
            if (page >= address && page - address < length)
            {
                pages.Add(page);
            }
        }

        return pages;
    }

    private void Check(ulong address, ulong length)
    {
        Assert.False(IsDisposed);
        Assert.Equal(0UL, address % PageSize);
        Assert.Equal(0UL, length % PageSize);
        Assert.True(length <= 0x7fff_ffff_f000 && address <= 0x7fff_ffff_f000 - length, "range above the user's addresses");
    }
}
