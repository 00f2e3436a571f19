using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Kernel.Ipc;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Memory;
using Xunit;

namespace Runsc.Tests.Unit.Ipc;

/// <summary>Tables, rights, semaphore arithmetic, message order and the life of segments.</summary>
public sealed class IpcTests
{
    private readonly IpcNamespace _space = new();

    private SemaphoreSet NewSet(int count, int key = 0)
    {
        SemaphoreSet set = new(_space.Semaphores, count) { Key = key, CreatorUid = 1, CreatorGid = 2, Uid = 3, Gid = 4, Mode = 0x1a0 };
        _space.Semaphores.AddLocked(set);
        return set;
    }

    private static SemOperation Change(ushort index, short by, int flags = 0) => new() { Index = index, Change = by, Flags = (short)flags };

    [Fact]
    public void Ids_OfRemovedObjectsAreNotGivenAgain()
    {
        SemaphoreSet first = NewSet(1), second = NewSet(1);
        Assert.NotEqual(first.Id, second.Id);
        _space.Semaphores.RemoveLocked(first);
        Assert.Equal(Errno.EINVAL, _space.Semaphores.FindLocked(first.Id, out _));
        SemaphoreSet third = NewSet(1);
        Assert.NotEqual(first.Id, third.Id);
        Assert.Equal(Errno.None, _space.Semaphores.FindLocked(third.Id, out SemaphoreSet? found));
        Assert.Same(third, found);
        Assert.Equal(Errno.EINVAL, _space.Semaphores.FindLocked(-1, out _));
    }

    [Fact]
    public void Get_FollowsKeyAndFlags()
    {
        Credentials root = new() { Effective = ulong.MaxValue };
        Assert.Equal(Errno.ENOENT, _space.Semaphores.GetLocked(77, 0, root, out _));
        Assert.Equal(Errno.None, _space.Semaphores.GetLocked(77, Linux.Ipc.IPC_CREAT, root, out SemaphoreSet? none));
        Assert.Null(none);
        SemaphoreSet set = NewSet(1, 77);
        Assert.Equal(Errno.None, _space.Semaphores.GetLocked(77, 0, root, out SemaphoreSet? found));
        Assert.Same(set, found);
        Assert.Equal(Errno.EEXIST, _space.Semaphores.GetLocked(77, Linux.Ipc.IPC_CREAT | Linux.Ipc.IPC_EXCL, root, out _));
        Assert.Equal(Errno.EACCES, _space.Semaphores.GetLocked(77, 0x1b6, new Credentials { EffectiveUid = 9, FsGid = 9 }, out _));
    }

    [Fact]
    public void Rights_AreOwnersGroupsOrOthers()
    {
        SemaphoreSet set = NewSet(1);
        Assert.Equal(Errno.None, set.Check(new Credentials { EffectiveUid = 1 }, 0x1b6));
        Assert.Equal(Errno.None, set.Check(new Credentials { EffectiveUid = 3, FsGid = 9 }, 0x1b6));
        Assert.Equal(Errno.None, set.Check(new Credentials { EffectiveUid = 9, FsGid = 4 }, 0x124));
        Assert.Equal(Errno.EACCES, set.Check(new Credentials { EffectiveUid = 9, FsGid = 4 }, 0x1b6));
        Assert.Equal(Errno.EACCES, set.Check(new Credentials { EffectiveUid = 9, FsGid = 9 }, 0x124));
        Assert.Equal(Errno.EPERM, set.CheckOwner(new Credentials { EffectiveUid = 9 }));
    }

    [Fact]
    public void Operations_AreMadeTogetherOrNotAtAll()
    {
        SemaphoreSet set = NewSet(3);
        Assert.Equal(Errno.None, set.TryOperateLocked([Change(0, 2), Change(1, 1)], 5, null, out _));
        Assert.Equal(Errno.EAGAIN, set.TryOperateLocked([Change(0, -1), Change(2, 4), Change(1, -2)], 6, null, out int blocked));
        Assert.Equal((2, 2, 1, 0, 5), (blocked, set.Values[0], set.Values[1], set.Values[2], set.Pids[0]));
        Assert.Equal(Errno.EAGAIN, set.TryOperateLocked([Change(0, 0)], 6, null, out _));
        Assert.Equal(Errno.None, set.TryOperateLocked([Change(0, -2), Change(0, 0)], 6, null, out _));
        Assert.Equal(Errno.EFBIG, set.TryOperateLocked([Change(3, 1)], 6, null, out _));
        Assert.Equal(Errno.ERANGE, set.TryOperateLocked([Change(0, short.MaxValue), Change(0, 1)], 6, null, out _));
        Assert.Equal(0, set.Values[0]);
    }

    [Fact]
    public void Undo_GivesBackAtTheEnd()
    {
        SemaphoreSet set = NewSet(2);
        set.Values[0] = 3;
        SemaphoreUndoList list = new();
        list.IncUsers();
        SemaphoreUndo undo = list.For(set);
        Assert.Same(undo, list.For(set));
        Assert.Equal(Errno.None, set.TryOperateLocked([Change(0, -3, Linux.Ipc.SEM_UNDO), Change(1, 1, Linux.Ipc.SEM_UNDO)], 1, undo, out _));
        set.Values[1] = 0;
        list.DecUsers(9);
        Assert.Equal(0, set.Values[0]);
        list.DecUsers(9);
        Assert.Equal((3, 0, 9), (set.Values[0], set.Values[1], set.Pids[0]));
        Assert.Empty(set.Undos);
    }

    [Fact]
    public void Messages_AreChosenByType()
    {
        MessageQueue queue = new(_space) { CreatorUid = 0, CreatorGid = 0 };
        foreach (long type in (long[])[3, 5, 2, 5])
        {
            Assert.True(queue.TryAddLocked(new Message(type, [(byte)type])));
        }

        Assert.Equal(3, queue.FindLocked(0, false)!.Type);
        Assert.Equal(5, queue.FindLocked(5, false)!.Type);
        Assert.Equal(5, queue.FindLocked(3, true)!.Type);
        Assert.Equal(2, queue.FindLocked(-4, false)!.Type);
        Assert.Equal(2, queue.FindLocked(long.MinValue, false)!.Type);
        Assert.Null(queue.FindLocked(7, false));
        Assert.Null(queue.FindLocked(-1, false));
        queue.TakeLocked(queue.FindLocked(5, false)!);
        Assert.Equal((3, 3UL, 3L), (queue.Count, queue.Bytes, _space.QueuedBytes));
        Assert.False(queue.TryAddLocked(new Message(1, new byte[MessageQueue.DefaultBytes - 2])));
        queue.ClearLocked();
        Assert.Equal((0UL, 0L), (queue.Bytes, _space.QueuedBytes));
    }

    [Fact]
    public void RemovedSegment_LivesAsLongAsItIsAttached()
    {
        MemoryFile memory = new(1UL << 30, (_, _, _) => { });
        PageCache pages = new(memory, null, default);
        pages.SetSize(8192);
        SharedSegment segment = new(_space.Segments, pages, 5000) { CreatorUid = 0, CreatorGid = 0, CreatorPid = 1 };
        _space.Segments.AddLocked(segment);
        segment.IncRef();
        Assert.Equal(Errno.None, segment.Translate(0, 4096, Platform.AccessType.Write, out FileRange range));
        memory.DecRef(range.Offset, range.Length);
        segment.IsRemoved = true;
        segment.FreeIfUnused();
        Assert.Equal((1, 1UL), (segment.Attachments, memory.Used / 4096));
        Assert.Equal(Errno.None, _space.Segments.FindLocked(segment.Id, out _));
        segment.DecRef();
        Assert.Equal(0UL, memory.Used);
        Assert.Equal(Errno.EINVAL, _space.Segments.FindLocked(segment.Id, out _));
    }
}
