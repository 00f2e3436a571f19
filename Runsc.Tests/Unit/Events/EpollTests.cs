using System;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Events;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;
using Runsc.Tests.Unit.Vfs;
using Xunit;

namespace Runsc.Tests.Unit.Events;

public sealed class EpollTests : IDisposable
{
    private const uint In = Epoll.EPOLLIN;
    private const uint Out = Epoll.EPOLLOUT;

    private readonly TmpfsTree _tree = new();
    private readonly EpollDescription _epoll;

    public EpollTests() => _epoll = new EpollDescription(_tree.Files.Kernel);

    public void Dispose() => _tree.Dispose();

    private EventDescription NewEvent(ulong initial = 0) => new(_tree.Files.Kernel, initial, semaphore: false, 0);

    private static EpollEvent Want(uint events, ulong data) => new() { Events = events, Data = data };

    private (int Count, ulong Data, uint Events) Collect(int room = 4)
    {
        Span<EpollEvent> events = stackalloc EpollEvent[room];
        int count = _epoll.Collect(events);
        return (count, events[0].Data, events[0].Events);
    }

    private void Raise(FileDescription file)
    {
        IoBuffer one = new(new byte[] { 1, 0, 0, 0, 0, 0, 0, 0 });
        Assert.Equal(8, file.Write(_tree.Files.Caller, ref one));
    }

    private void Drain(FileDescription file)
    {
        IoBuffer room = new(new byte[8]);
        Assert.Equal(8, file.Read(_tree.Files.Caller, ref room));
    }

    [Fact]
    public void LevelTriggered_IsReportedAsLongAsItHolds()
    {
        EventDescription file = NewEvent();
        Assert.Equal(Errno.None, _epoll.Add(file, 3, Want(In, 42)));
        Assert.Equal(0, Collect().Count);
        Raise(file);
        Assert.Equal((1, 42UL, In), Collect());
        Assert.Equal((1, 42UL, In), Collect());
        Drain(file);
        Assert.Equal(0, Collect().Count);
    }

    [Fact]
    public void EdgeTriggered_IsReportedOncePerEvent()
    {
        EventDescription file = NewEvent(1);
        _epoll.Add(file, 3, Want(In | Epoll.EPOLLET, 1));
        Assert.Equal((1, 0), (Collect().Count, Collect().Count));
        Raise(file);
        Assert.Equal((1, 0), (Collect().Count, Collect().Count));
    }

    [Fact]
    public void OneShot_SleepsUntilItIsModified()
    {
        EventDescription file = NewEvent(1);
        _epoll.Add(file, 3, Want(In | Epoll.EPOLLONESHOT, 1));
        Assert.Equal(1, Collect().Count);
        Raise(file);
        Assert.Equal(0, Collect().Count);
        Assert.Equal(Errno.None, _epoll.Modify(file, 3, Want(In | Epoll.EPOLLONESHOT, 2)));
        Assert.Equal((1, 2UL, In), Collect());
        Assert.Equal(0, Collect().Count);
    }

    [Fact]
    public void Control_KnowsFilesByDescriptionAndNumber()
    {
        EventDescription file = NewEvent();
        Assert.Equal(Errno.None, _epoll.Add(file, 3, Want(In, 3)));
        Assert.Equal(Errno.EEXIST, _epoll.Add(file, 3, Want(In, 3)));
        Assert.Equal(Errno.None, _epoll.Add(file, 4, Want(In, 4)));
        Assert.Equal(Errno.ENOENT, _epoll.Modify(file, 5, Want(In, 5)));
        Raise(file);
        Assert.Equal(2, Collect().Count);
        Assert.Equal(Errno.None, _epoll.Remove(file, 3));
        Assert.Equal(Errno.ENOENT, _epoll.Remove(file, 3));
        Assert.Equal((1, 4UL, In), Collect());
        _tree.Files.Write("f", "");
        FileDescription regular = _tree.Files.Open("f");
        Assert.Equal(Errno.EPERM, _epoll.Add(regular, 6, Want(In, 6)));
        regular.DecRef();
    }

    [Fact]
    public void Modify_LooksAtOnce()
    {
        EventDescription file = NewEvent();
        _epoll.Add(file, 3, Want(In, 1));
        Assert.Equal(0, Collect().Count);
        Assert.Equal(Errno.None, _epoll.Modify(file, 3, Want(Out, 2)));
        Assert.Equal((1, 2UL, Out), Collect());
    }

    [Fact]
    public void ClosedFile_LeavesTheSet()
    {
        EventDescription file = NewEvent(1);
        _epoll.Add(file, 3, Want(In, 1));
        file.DecRef();
        Assert.Equal(0, Collect().Count);
        Assert.Equal("", _epoll.ShownInfo);
    }

    [Fact]
    public void ClosedSet_LeavesTheFile()
    {
        EventDescription file = NewEvent();
        _epoll.Add(file, 3, Want(In, 1));
        _epoll.DecRef();
        Raise(file);
        file.DecRef();
    }

    [Fact]
    public void SmallBuffers_GoRoundAllThatAreReady()
    {
        for (int i = 0; i < 3; i++)
        {
            _epoll.Add(NewEvent(1), i, Want(In, (ulong)i));
        }

        Assert.Equal((0UL, 1UL, 2UL, 0UL), (Collect(1).Data, Collect(1).Data, Collect(1).Data, Collect(1).Data));
        Assert.Equal(3, Collect(8).Count);
    }

    [Fact]
    public void Nested_SetsPassEventsOnAndFormNoCircle()
    {
        EpollDescription outer = new(_tree.Files.Kernel);
        EventDescription file = NewEvent();
        Assert.Equal(Errno.None, outer.Add(_epoll, 3, Want(In, 7)));
        Assert.Equal(Errno.EINVAL, outer.Add(outer, 3, Want(In, 7)));
        Assert.Equal(Errno.ELOOP, _epoll.Add(outer, 3, Want(In, 7)));
        _epoll.Add(file, 4, Want(In, 8));
        EpollEvent[] events = new EpollEvent[2];
        Assert.Equal(0, outer.Collect(events));
        Raise(file);
        Assert.Equal(1, outer.Collect(events));
        Assert.Equal(7UL, events[0].Data);
        Drain(file);
        Assert.Equal(EventMask.None, _epoll.Readiness(EventMask.Readable));
        Assert.Equal(0, outer.Collect(events));
    }

    [Fact]
    public void Waiters_HearOfEvents()
    {
        Counter counter = new() { Mask = EventMask.Readable };
        EventDescription file = NewEvent();
        _epoll.Add(file, 3, Want(In, 1));
        _epoll.Register(counter);
        Raise(file);
        _epoll.Unregister(counter);
        Assert.Equal(1, counter.Count);
    }

    private sealed class Counter : Waiter
    {
        public int Count { get; private set; }

        public override void Notify(EventMask events) => Count++;
    }
}
