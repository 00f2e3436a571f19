using System;
using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Xunit;

namespace Runsc.Tests.Unit.Vfs;

public sealed class FdTableTests : IDisposable
{
    private readonly TmpfsTree _tree = new();
    private readonly FdTable _table = new();

    public FdTableTests() => _tree.Files.Write("f", "");

    public void Dispose() => _tree.Dispose();

    private FileDescription New() => _tree.Files.Open("f");

    private int Add(int minimum = 0, ulong limit = 1024) => _table.Add(New(), closeOnExec: false, limit, minimum);

    [Fact]
    public void Add_TakesTheLowestFreeNumber()
    {
        Assert.Equal((0, 1, 2), (Add(), Add(), Add()));
        Assert.Equal(Errno.None, _table.Close(_tree.Files.Caller, 1));
        Assert.Equal((5, 1, 3, 4, 6), (Add(5), Add(), Add(), Add(), Add()));
    }

    [Fact]
    public void Add_StopsAtTheLimit()
    {
        Assert.Equal((0, 1), (Add(), Add()));
        FileDescription file = New();
        Assert.Equal(-(int)Errno.EMFILE, _table.Add(file, closeOnExec: false, 2));
        file.DecRef();
        Assert.Equal(300, Add(300));
        Assert.Equal(-1, _table.Next(301));
        Assert.Equal(300, _table.Next(2));
    }

    [Fact]
    public void CloseOnExec_ClosesWhatIsMarkedAndNotTheCopy()
    {
        for (int i = 0; i < 130; i++)
        {
            Add();
        }

        Assert.True(_table.SetCloseOnExec(3, true) && _table.SetCloseOnExec(64, true) && _table.SetCloseOnExec(129, true));
        Assert.False(_table.SetCloseOnExec(130, true));
        FdTable copy = _table.Fork();
        _table.CloseOnExec(_tree.Files.Caller);
        Assert.Equal((null, null, null, false), (_table.GetCloseOnExec(3), _table.GetCloseOnExec(64), _table.GetCloseOnExec(129), _table.GetCloseOnExec(4)));
        Assert.Equal((true, true), (copy.GetCloseOnExec(64), copy.GetCloseOnExec(129)));
        FileDescription file = copy.Get(64)!;
        Assert.Equal(Errno.None, file.Inode.GetAttributes(out _));
        file.DecRef();
    }

    [Fact]
    public void Replace_GivesBackWhatWasThere()
    {
        FileDescription first = New(), second = New();
        Assert.Null(_table.Replace(70, first, closeOnExec: true));
        Assert.Same(first, _table.Replace(70, second, closeOnExec: false));
        Assert.Equal(false, _table.GetCloseOnExec(70));
        first.DecRef();
        Assert.Equal(0, Add());
    }
}
