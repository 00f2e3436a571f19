using System;
using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;
using Xunit;

namespace Runsc.Tests.Unit.Vfs;

public sealed class LockTests : IDisposable
{
    private readonly TmpfsTree _tree = new();
    private readonly FileLocks _locks = new();
    private readonly object _first = new();
    private readonly object _second = new();

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void Records_ConflictOnlyWhereTheyOverlap()
    {
        Assert.Equal(Errno.None, _locks.TryLockRecord(_first, 1, exclusive: true, 10, 20));
        Assert.Equal(Errno.None, _locks.TryLockRecord(_second, 2, exclusive: true, 20, 30));
        Assert.Equal(Errno.EAGAIN, _locks.TryLockRecord(_second, 2, exclusive: false, 19, 20));
        Assert.Equal(1, _locks.FindConflict(_second, exclusive: false, 0, ulong.MaxValue)!.ProcessId);
        Assert.Null(_locks.FindConflict(_first, exclusive: true, 0, 20));
    }

    [Fact]
    public void Readers_ShareAndWritersDoNot()
    {
        Assert.Equal(Errno.None, _locks.TryLockRecord(_first, 1, exclusive: false, 0, 100));
        Assert.Equal(Errno.None, _locks.TryLockRecord(_second, 2, exclusive: false, 0, 100));
        Assert.Equal(Errno.EAGAIN, _locks.TryLockRecord(_first, 1, exclusive: true, 50, 51));
        _locks.UnlockRecord(_second, 50, 51);
        Assert.Equal(Errno.None, _locks.TryLockRecord(_first, 1, exclusive: true, 50, 51));
        Assert.Equal(Errno.EAGAIN, _locks.TryLockRecord(_second, 2, exclusive: false, 0, 51));
        Assert.Equal(Errno.None, _locks.TryLockRecord(_second, 2, exclusive: false, 0, 50));
    }

    [Fact]
    public void Unlock_InTheMiddle_LeavesBothEnds()
    {
        _locks.TryLockRecord(_first, 1, exclusive: true, 0, 100);
        _locks.UnlockRecord(_first, 40, 60);
        Assert.Equal(Errno.None, _locks.TryLockRecord(_second, 2, exclusive: true, 40, 60));
        Assert.Equal(Errno.EAGAIN, _locks.TryLockRecord(_second, 2, exclusive: true, 39, 60));
        Assert.Equal(Errno.EAGAIN, _locks.TryLockRecord(_second, 2, exclusive: true, 40, 61));
        _locks.ReleaseAllOf(_first);
        Assert.Equal(Errno.None, _locks.TryLockRecord(_second, 2, exclusive: true, 0, ulong.MaxValue));
    }

    [Fact]
    public void BeginWait_InACircle_IsADeadlock()
    {
        FileLocks other = new();
        object third = new();
        Assert.Equal(Errno.None, _locks.TryLockRecord(_first, 1, exclusive: true, 0, 1));
        Assert.Equal(Errno.None, other.TryLockRecord(_second, 2, exclusive: true, 0, 1));
        Assert.Equal(Errno.None, _locks.TryLockRecord(third, 3, exclusive: true, 5, 6));
        Assert.Equal(Errno.None, _locks.BeginWait(_second, exclusive: true, 0, 1));
        Assert.Equal(Errno.None, other.BeginWait(third, exclusive: false, 0, 1));
        Assert.Equal(Errno.EDEADLK, other.BeginWait(_first, exclusive: true, 0, 1));
        Assert.Equal(Errno.EDEADLK, _locks.BeginWait(_first, exclusive: true, 5, 6));
        FileLocks.EndWait(third);
        Assert.Equal(Errno.None, _locks.BeginWait(_first, exclusive: true, 5, 6));
        FileLocks.EndWait(_first);
        FileLocks.EndWait(_second);
    }

    [Fact]
    public void Unlock_WakesThoseWhoWait()
    {
        _locks.TryLockRecord(_first, 1, exclusive: true, 0, 1);
        Counter counter = new() { Mask = EventMask.All };
        _locks.Register(counter);
        _locks.UnlockRecord(_first, 0, 1);
        _locks.Unregister(counter);
        Assert.Equal(1, counter.Count);
    }

    [Fact]
    public void Flock_IsOfDescriptions()
    {
        _tree.Files.Write("f", "");
        FileDescription one = _tree.Files.Open("f"), two = _tree.Files.Open("f");
        FileLocks locks = FileLocks.Of(one.Inode);
        Assert.Same(locks, FileLocks.Of(two.Inode));
        Assert.Equal(Errno.None, locks.TryLockWhole(one, exclusive: true));
        Assert.Equal(Errno.EAGAIN, locks.TryLockWhole(two, exclusive: false));
        Assert.Equal(Errno.None, locks.TryLockWhole(one, exclusive: false));
        Assert.Equal(Errno.None, locks.TryLockWhole(two, exclusive: false));
        Assert.Equal(Errno.EAGAIN, locks.TryLockWhole(one, exclusive: true));
        two.DecRef();
        Assert.Equal(Errno.None, locks.TryLockWhole(one, exclusive: true));
        one.DecRef();
    }

    [Fact]
    public void Descriptors_ClosingOneDropsTheProcessesRecordLocks()
    {
        _tree.Files.Write("f", "");
        FdTable table = new();
        FileDescription one = _tree.Files.Open("f"), two = _tree.Files.Open("f");
        Assert.Equal(0, table.Add(one, closeOnExec: false, 10));
        Assert.Equal(1, table.Add(two, closeOnExec: false, 10));
        FileLocks locks = FileLocks.Of(one.Inode);
        locks.TryLockRecord(table, 1, exclusive: true, 0, 10);
        locks.TryLockRecord(one, -1, exclusive: true, 20, 30);
        Assert.Equal(Errno.None, table.Close(_tree.Files.Caller, 1));
        Assert.Equal(Errno.None, locks.TryLockRecord(_second, 2, exclusive: true, 0, 10));
        Assert.Equal(Errno.EAGAIN, locks.TryLockRecord(_second, 2, exclusive: true, 20, 30));
        Assert.Equal(Errno.None, table.Close(_tree.Files.Caller, 0));
        Assert.Equal(Errno.None, locks.TryLockRecord(_second, 2, exclusive: true, 20, 30));
        Assert.Equal(Errno.EBADF, table.Close(_tree.Files.Caller, 0));
    }

    private sealed class Counter : Waiter
    {
        public int Count { get; private set; }

        public override void Notify(EventMask events) => Count++;
    }
}
