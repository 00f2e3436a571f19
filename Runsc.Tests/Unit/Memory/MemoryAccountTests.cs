using System.Threading;
using Runsc.Linux;
using Runsc.Sentry.Memory;
using Xunit;

namespace Runsc.Tests.Unit.Memory;

/// <summary>Pages that a container pays for.</summary>
public class MemoryAccountTests
{
    private const ulong Page = MemoryFile.PageSize;

    private readonly MemoryFile _file = new(1UL << 30, (_, _, _) => { });

    /// <summary>Runs on a thread of its own, as tasks do: what pays is the thread's.</summary>
    private static void As(MemoryAccount? payer, System.Action action)
    {
        Thread thread = new(() =>
        {
            MemoryFile.Payer = payer;
            action();
        });
        thread.Start();
        thread.Join();
    }

    [Fact]
    public void Pages_AreChargedUntilTheLastHolderHasGone()
    {
        MemoryAccount account = _file.AddAccount(10)!;
        ulong offset = 0;
        As(account, () => Assert.Equal(Errno.None, _file.Allocate(6 * Page, out offset)));
        Assert.Equal(6, account.Used);
        _file.IncRef(offset, 2 * Page);
        _file.DecRef(offset, 6 * Page);
        Assert.Equal(2, account.Used);
        _file.DecRef(offset, 2 * Page);
        Assert.Equal((0, 6), (account.Used, account.Peak));
    }

    [Fact]
    public void Limit_IsKept_AndWhoeverFreesMemoryIsCalled()
    {
        MemoryAccount account = _file.AddAccount(10)!;
        As(account, () =>
        {
            Assert.Equal(Errno.None, _file.Allocate(6 * Page, out _));
            Assert.False(account.Pressed.WaitOne(0));
            Assert.Equal(Errno.ENOMEM, _file.Allocate(5 * Page, out _));
            Assert.True(account.Pressed.WaitOne(0));
            Assert.Equal(Errno.None, _file.Allocate(4 * Page, out _));
            Assert.Equal(Errno.ENOMEM, _file.Allocate(Page, out _));
            Assert.Equal(Errno.None, _file.Allocate(Page, out _, charged: false));
            account.Limit = 11;
            Assert.Equal(Errno.None, _file.Allocate(Page, out _));
        });
        As(null, () => Assert.Equal(Errno.None, _file.Allocate(100 * Page, out _)));
        Assert.Equal(11, account.Used);
    }

    [Fact]
    public void RefusedByTheFile_NothingIsCharged()
    {
        MemoryAccount account = _file.AddAccount(long.MaxValue)!;
        As(account, () => Assert.Equal(Errno.ENOMEM, _file.Allocate(2UL << 30, out _)));
        Assert.Equal(0, account.Used);
        Assert.True(account.Pressed.WaitOne(0));
    }

    [Fact]
    public void Index_IsUsedAgain_OnceNothingIsChargedToIt()
    {
        MemoryAccount first = _file.AddAccount(10)!, second = _file.AddAccount(10)!;
        ulong offset = 0;
        As(first, () => _file.Allocate(Page, out offset));
        _file.RemoveAccount(first);
        _file.RemoveAccount(second);
        MemoryAccount third = _file.AddAccount(10)!;
        Assert.Equal(second.Index, third.Index);
        _file.DecRef(offset, Page);
        Assert.Equal((0, 0), (first.Used, third.Used));
        Assert.Equal(first.Index, _file.AddAccount(10)!.Index);
    }
}
