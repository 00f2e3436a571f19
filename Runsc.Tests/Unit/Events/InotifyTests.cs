using System;
using System.Buffers.Binary;
using System.Collections.Generic;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Events;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Sentry.Waiting;
using Runsc.Tests.Unit.Vfs;
using Xunit;

namespace Runsc.Tests.Unit.Events;

public sealed class InotifyTests : IDisposable
{
    private const uint IsDirectory = Inotify.IN_ISDIR;

    private readonly TmpfsTree _tree = new();
    private readonly FileSystemFixture _files;
    private readonly InotifyDescription _inotify;

    public InotifyTests()
    {
        _files = _tree.Files;
        _files.MakeDirectory("d");
        _files.MakeDirectory("e");
        _files.Write("d/f", "text");
        _inotify = new InotifyDescription(_files.Kernel, 0);
    }

    public void Dispose() => _tree.Dispose();

    private long Watch(string path, uint mask = Inotify.IN_ALL_EVENTS)
    {
        VfsPath place = _tree.Place(path);
        place.Dentry.IncRef();
        long id = _inotify.AddWatch(place.Dentry, mask);
        place.DecRef();
        return id;
    }

    private List<(int Id, uint Mask, string Name)> Events()
    {
        List<(int, uint, string)> events = [];
        byte[] bytes = new byte[4096];
        IoBuffer buffer = new(bytes);
        long n = _inotify.Read(_files.Caller, ref buffer);
        for (int at = 0; at < n;)
        {
            ReadOnlySpan<byte> entry = bytes.AsSpan(at);
            int length = BinaryPrimitives.ReadInt32LittleEndian(entry[12..]);
            events.Add((BinaryPrimitives.ReadInt32LittleEndian(entry), BinaryPrimitives.ReadUInt32LittleEndian(entry[4..]), Encoding.ASCII.GetString(entry.Slice(16, length)).TrimEnd('\0')));
            at += 16 + length;
        }

        return events;
    }

    [Fact]
    public void Directory_TellsOfItsNames()
    {
        Assert.Equal(1, Watch("d", Inotify.IN_CREATE | Inotify.IN_DELETE | Inotify.IN_MOVE));
        _files.MakeDirectory("d/sub");
        _files.Write("d/new", "x");
        _files.Link("d/new", "d/other");
        _files.Rename("d/new", "e/gone");
        _files.Rename("e/gone", "d/back");
        _files.Unlink("d/f");
        _files.RemoveDirectory("d/sub");
        Assert.Equal(
            [
                (1, Inotify.IN_CREATE | IsDirectory, "sub"), (1, Inotify.IN_CREATE, "new"), (1, Inotify.IN_CREATE, "other"), (1, Inotify.IN_MOVED_FROM, "new"),
                (1, Inotify.IN_MOVED_TO, "back"), (1, Inotify.IN_DELETE, "f"), (1, Inotify.IN_DELETE | IsDirectory, "sub"),
            ],
            Events());
    }

    [Fact]
    public void File_TellsOfItsUse_AndSoDoesItsDirectory()
    {
        Watch("d/f");
        Watch("d");
        FileDescription file = _files.Open("d/f", Fcntl.O_RDWR);
        _files.Write(file, "ab");
        _files.Write(file, "cd");
        file.DecRef();
        Assert.Equal(
            [
                (1, Inotify.IN_OPEN, ""), (2, Inotify.IN_OPEN, "f"), (1, Inotify.IN_MODIFY, ""), (2, Inotify.IN_MODIFY, "f"), (1, Inotify.IN_MODIFY, ""),
                (2, Inotify.IN_MODIFY, "f"), (1, Inotify.IN_CLOSE_WRITE, ""), (2, Inotify.IN_CLOSE_WRITE, "f"),
            ],
            Events());
    }

    [Fact]
    public void SameEvents_InARow_AreOne()
    {
        Watch("d/f", Inotify.IN_MODIFY);
        FileDescription file = _files.Open("d/f", Fcntl.O_RDWR);
        _files.Write(file, "ab");
        _files.Write(file, "cd");
        Assert.Equal([(1, Inotify.IN_MODIFY, "")], Events());
        file.DecRef();
    }

    [Fact]
    public void LastName_EndsTheWatch()
    {
        Watch("d/f", Inotify.IN_DELETE_SELF | Inotify.IN_ATTRIB);
        _files.Link("d/f", "d/g");
        _files.Unlink("d/f");
        Assert.Equal([(1, Inotify.IN_ATTRIB, "")], Events());
        _files.Unlink("d/g");
        Assert.Equal([(1, Inotify.IN_ATTRIB, ""), (1, Inotify.IN_DELETE_SELF, ""), (1, Inotify.IN_IGNORED, "")], Events());
        Assert.Equal(Errno.EINVAL, _inotify.RemoveWatch(1));
    }

    [Fact]
    public void Rename_JoinsItsHalvesAndTellsWhoIsMoved()
    {
        Watch("d/f", Inotify.IN_MOVE_SELF);
        Watch("e", Inotify.IN_MOVED_TO);
        _files.Write("e/old", "");
        Watch("e/old", Inotify.IN_DELETE_SELF);
        _files.Rename("d/f", "e/old");
        Assert.Equal([(2, Inotify.IN_MOVED_TO, "old"), (1, Inotify.IN_MOVE_SELF, ""), (3, Inotify.IN_DELETE_SELF, ""), (3, Inotify.IN_IGNORED, "")], Events());
        Assert.Equal("text", _files.Read("e/old"));
    }

    [Fact]
    public void Masks_AreReplacedOrAdded()
    {
        Assert.Equal(1, Watch("d", Inotify.IN_CREATE));
        Assert.Equal(-(long)Errno.EEXIST, Watch("d", Inotify.IN_DELETE | Inotify.IN_MASK_CREATE));
        Assert.Equal(1, Watch("d", Inotify.IN_DELETE | Inotify.IN_MASK_ADD));
        _files.Write("d/x", "");
        _files.Unlink("d/x");
        Assert.Equal(1, Watch("d", Inotify.IN_DELETE));
        _files.Write("d/x", "");
        Assert.Equal([(1, Inotify.IN_CREATE, "x"), (1, Inotify.IN_DELETE, "x")], Events());
    }

    [Fact]
    public void OneShot_IsGoneAfterItsEvent()
    {
        Watch("d", Inotify.IN_CREATE | Inotify.IN_ONESHOT);
        _files.Write("d/x", "");
        _files.Write("d/y", "");
        Assert.Equal([(1, Inotify.IN_CREATE, "x"), (1, Inotify.IN_IGNORED, "")], Events());
    }

    [Fact]
    public void Read_WantsRoomForAnEvent()
    {
        Watch("d", Inotify.IN_CREATE);
        IoBuffer buffer = new(new byte[64]);
        Assert.Equal(-(long)Errno.EAGAIN, _inotify.Read(_files.Caller, ref buffer));
        Assert.Equal(EventMask.None, _inotify.Readiness(EventMask.Readable));
        _files.Write("d/1234567890123456", "");
        Assert.Equal(EventMask.Readable, _inotify.Readiness(EventMask.Readable));
        IoBuffer small = new(new byte[47]);
        Assert.Equal(-(long)Errno.EINVAL, _inotify.Read(_files.Caller, ref small));
        Assert.Equal(48, _inotify.Read(_files.Caller, ref buffer));
    }

    [Fact]
    public void FullQueue_SaysSoOnce()
    {
        Watch("d/f", Inotify.IN_OPEN | Inotify.IN_CLOSE);
        for (int i = 0; i < (InotifyDescription.MaxEvents / 2) + 10; i++)
        {
            _files.Open("d/f").DecRef();
        }

        int events = 0;
        uint last = 0;
        while (Events() is { Count: > 0 } some)
        {
            events += some.Count;
            last = some[^1].Mask;
        }

        Assert.Equal((InotifyDescription.MaxEvents + 1, (uint)Inotify.IN_Q_OVERFLOW), (events, last));
    }

    [Fact]
    public void Close_TakesTheWatchesAway()
    {
        Watch("d");
        Inode inode = _files.Inode("d");
        _inotify.DecRef();
        Assert.Empty(inode.Watches!.All);
        _files.Write("d/x", "");
    }
}
