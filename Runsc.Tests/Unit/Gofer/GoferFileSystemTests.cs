using System;
using System.IO;
using System.Linq;
using System.Threading;
using Runsc.Host.Syscalls;
using Runsc.Linux;
using Runsc.Platform;
using Runsc.Sentry.FileSystems.Gofer;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Xunit;
using FileAttributes = Runsc.Sentry.Vfs.FileAttributes;

namespace Runsc.Tests.Unit.Gofer;

/// <summary>The gofer file system over a directory of the host, server and client in one process.</summary>
public sealed class GoferFileSystemTests : IDisposable
{
    private readonly FileSystemFixture _fs = new();

    public void Dispose() => _fs.Dispose();

    [Fact]
    public void Read_FileOfTheHost_GivesItsBytes()
    {
        string text = string.Concat(Enumerable.Repeat("0123456789abcdef", 10_000));
        File.WriteAllText(_fs.HostPath("file"), text);
        _fs.Mount(_fs.Connect());
        Assert.Equal(text, _fs.Read("file"));
        FileAttributes attributes = _fs.Stat("file");
        Assert.Equal(text.Length, attributes.Size);
        Assert.Equal((uint)Stat.S_IFREG, attributes.Mode & (uint)Stat.S_IFMT);
        Assert.Equal(1UL, attributes.Links);
    }

    [Fact]
    public void Lookup_MissingName_GivesEnoent()
    {
        _fs.Mount(_fs.Connect());
        Assert.Equal(Errno.ENOENT, _fs.Open("missing", Fcntl.O_RDONLY, out _));
        Assert.Equal(Errno.ENOENT, _fs.Open("missing/below", Fcntl.O_RDONLY, out _));
        Assert.Equal(Errno.ENAMETOOLONG, _fs.Open(new string('x', 256), Fcntl.O_RDONLY, out _));
    }

    [Fact]
    public void Symlink_LeadingOutOfTheTree_IsResolvedInsideIt()
    {
        Directory.CreateDirectory(_fs.HostPath("etc"));
        File.WriteAllText(_fs.HostPath("etc/passwd"), "inside");
        File.CreateSymbolicLink(_fs.HostPath("link"), "/etc/passwd");
        File.CreateSymbolicLink(_fs.HostPath("up"), "../../../../etc/passwd");
        _fs.Mount(_fs.Connect());
        Assert.Equal("inside", _fs.Read("link"));
        Assert.Equal("inside", _fs.Read("up"));
        Assert.Equal("/etc/passwd", _fs.ReadLink("link"));
    }

    [Fact]
    public void List_LargeDirectory_GivesEveryNameOnce()
    {
        Directory.CreateDirectory(_fs.HostPath("d"));
        for (int i = 0; i < 3000; i++)
        {
            File.WriteAllText(_fs.HostPath($"d/a-rather-long-name-of-a-file-{i:d5}"), "");
        }

        _fs.Mount(_fs.Connect());
        Assert.Equal(Enumerable.Range(0, 3000).Select(i => $"a-rather-long-name-of-a-file-{i:d5}"), _fs.List("d"));
    }

    [Fact]
    public void List_ReadInParts_GoesOnWhereItStopped()
    {
        for (int i = 0; i < 10; i++)
        {
            File.WriteAllText(_fs.HostPath($"f{i}"), "");
        }

        _fs.Mount(_fs.Connect());
        FileDescription directory = _fs.Open("/", Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        LimitedSink sink = new();
        while (sink.Progress)
        {
            sink.Begin(3);
            Assert.Equal(Errno.None, directory.ReadDirectory(_fs.Caller, sink));
        }

        sink.All.Names.Sort(StringComparer.Ordinal);
        Assert.Equal(Enumerable.Range(0, 10).Select(i => $"f{i}"), sink.All.Names);
        Assert.Equal(0, directory.Seek(_fs.Caller, 0, Fcntl.SEEK_SET));
        FileSystemFixture.NameSink again = new();
        Assert.Equal(Errno.None, directory.ReadDirectory(_fs.Caller, again));
        Assert.Equal(10, again.Names.Count);
        directory.DecRef();
    }

    [Fact]
    public void List_NumbersAreThoseOfStat()
    {
        File.WriteAllText(_fs.HostPath("f"), "");
        _fs.Mount(_fs.Connect());
        FileDescription directory = _fs.Open("/", Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        FileSystemFixture.NameSink sink = new();
        Assert.Equal(Errno.None, directory.ReadDirectory(_fs.Caller, sink));
        Assert.Equal(_fs.Stat("f").Inode, sink.Numbers["f"]);
        directory.DecRef();
    }

    [Fact]
    public void Create_WriteAndAppend_ReachTheHost()
    {
        _fs.Mount(_fs.Connect());
        _fs.Write("new", "hello ");
        _fs.Write("new", "world", Fcntl.O_WRONLY | Fcntl.O_APPEND);
        Assert.Equal("hello world", File.ReadAllText(_fs.HostPath("new")));
        Assert.Equal(11, _fs.Stat("new").Size);
        Assert.Equal("hello world", _fs.Read("new"));
        Assert.Equal(0x1a4u, _fs.Stat("new").Mode & 0xfff);
    }

    [Fact]
    public void Create_WithOwnerAndSetId_HasThemOnTheHost()
    {
        _fs.Mount(_fs.Connect());
        _fs.Caller.Credentials = _fs.Caller.Credentials with { FsUid = 1234, FsGid = 2345 };
        Assert.Equal(Errno.None, _fs.Make("suid", (uint)Stat.S_IFREG | 0x9ed));
        FileAttributes attributes = _fs.Stat("suid");
        Assert.Equal((1234u, 2345u, 0x9edu), (attributes.Uid, attributes.Gid, attributes.Mode & 0xfff));
        Assert.Equal(Errno.EEXIST, _fs.Make("suid", (uint)Stat.S_IFREG | 0x1a4));
    }

    [Fact]
    public void Make_EveryType_HasIt()
    {
        _fs.Mount(_fs.Connect());
        Assert.Equal(Errno.None, _fs.MakeDirectory("dir"));
        Assert.Equal(Errno.None, _fs.Make("dir/fifo", (uint)Stat.S_IFIFO | 0x180));
        Assert.Equal(Errno.None, _fs.Make("dir/socket", (uint)Stat.S_IFSOCK | 0x180));
        Assert.Equal(Errno.None, _fs.Symlink("dir/link", "to/where"));
        Assert.Equal((uint)Stat.S_IFIFO | 0x180, _fs.Stat("dir/fifo").Mode);
        Assert.Equal((uint)Stat.S_IFSOCK | 0x180, _fs.Stat("dir/socket").Mode);
        Assert.Equal("to/where", _fs.ReadLink("dir/link"));
        Assert.Equal("to/where", new FileInfo(_fs.HostPath("dir/link")).LinkTarget);
        Assert.Equal(["fifo", "link", "socket"], _fs.List("dir"));
    }

    [Fact]
    public void Remove_FilesAndDirectories_AreGone()
    {
        Directory.CreateDirectory(_fs.HostPath("dir"));
        File.WriteAllText(_fs.HostPath("dir/file"), "x");
        _fs.Mount(_fs.Connect());
        Assert.Equal(Errno.ENOTEMPTY, _fs.RemoveDirectory("dir"));
        FileDescription open = _fs.Open("dir/file");
        Assert.Equal(Errno.None, _fs.Unlink("dir/file"));
        Assert.Equal(Errno.ENOENT, _fs.Stat("dir/file", out _));
        Assert.Equal("x", _fs.Read(open));
        Assert.Equal(Errno.None, open.Inode.GetAttributes(out FileAttributes attributes));
        Assert.Equal(0UL, attributes.Links);
        open.DecRef();
        Assert.Equal(Errno.None, _fs.RemoveDirectory("dir"));
        Assert.False(Directory.Exists(_fs.HostPath("dir")));
    }

    [Fact]
    public void Rename_OverAnotherFile_ReplacesIt()
    {
        File.WriteAllText(_fs.HostPath("a"), "A");
        File.WriteAllText(_fs.HostPath("b"), "B");
        Directory.CreateDirectory(_fs.HostPath("dir"));
        _fs.Mount(_fs.Connect());
        Assert.Equal("B", _fs.Read("b"));
        Assert.Equal(Errno.EEXIST, _fs.Rename("a", "b", Fcntl.RENAME_NOREPLACE));
        Assert.Equal(Errno.None, _fs.Rename("a", "b", Fcntl.RENAME_EXCHANGE));
        Assert.Equal(("B", "A"), (_fs.Read("a"), _fs.Read("b")));
        Assert.Equal(Errno.None, _fs.Rename("a", "b"));
        Assert.Equal("B", _fs.Read("b"));
        Assert.Equal(Errno.None, _fs.Rename("b", "dir/c"));
        Assert.Equal("B", File.ReadAllText(_fs.HostPath("dir/c")));
        Assert.Equal(["dir"], _fs.List("/"));
    }

    [Fact]
    public void Link_SecondName_IsTheSameInode()
    {
        File.WriteAllText(_fs.HostPath("a"), "A");
        _fs.Mount(_fs.Connect());
        Assert.Equal(Errno.None, _fs.Link("a", "b"));
        Assert.Equal(2UL, _fs.Stat("a").Links);
        Assert.Equal(_fs.Stat("a").Inode, _fs.Stat("b").Inode);
        _fs.Write("b", "changed");
        Assert.Equal("changed", _fs.Read("a"));
    }

    [Fact]
    public void Lookup_TwoNamesMadeByTheHost_ShareOneInode()
    {
        File.WriteAllText(_fs.HostPath("a"), "A");
        _fs.Mount(_fs.Connect());
        Assert.Equal(Errno.None, _fs.Link("a", "b"));
        using FileSystemFixture other = new();
        other.Mount(other.Connect(_fs.HostRoot));
        Assert.Same(other.Inode("a"), other.Inode("b"));
    }

    [Fact]
    public void SetAttributes_ModeOwnerTimesSize_ReachTheHost()
    {
        File.WriteAllText(_fs.HostPath("f"), "0123456789");
        _fs.Mount(_fs.Connect());
        AttributeChange change = new()
        {
            Mask = AttributeMask.Mode | AttributeMask.Uid | AttributeMask.Gid | AttributeMask.Size | AttributeMask.ModifyTime,
            Mode = 0xde8,
            Uid = 7,
            Gid = 8,
            Size = 4,
            ModifyTime = new FileTime(1_000_000, 5),
        };
        Assert.Equal(Errno.None, _fs.Change("f", change));
        FileAttributes attributes = _fs.Stat("f");
        Assert.Equal((0xde8u, 7u, 8u, 4L), (attributes.Mode & 0xfff, attributes.Uid, attributes.Gid, attributes.Size));
        Assert.Equal(new FileTime(1_000_000, 5), attributes.ModifyTime);
        Assert.Equal("0123", _fs.Read("f"));
    }

    [Fact]
    public void Mapping_SeesWritesAndTruncation()
    {
        File.WriteAllText(_fs.HostPath("f"), new string('a', 10_000));
        _fs.Mount(_fs.Connect());
        FileDescription file = _fs.Open("f", Fcntl.O_RDWR);
        Assert.Equal(Errno.None, file.GetMappable(out IMappable? mappable));
        Assert.Equal(Errno.None, mappable!.Translate(4096, 4096, AccessType.Read, out FileRange range));
        Span<byte> page = _fs.Kernel.Memory.Span(range.Offset, 4096);
        Assert.Equal((byte)'a', page[0]);
        IoBuffer buffer = new("XY"u8.ToArray());
        Assert.Equal(2, file.PWrite(_fs.Caller, ref buffer, 4095));
        Assert.Equal((byte)'Y', page[0]);
        Assert.Equal(Errno.None, mappable.Translate(8192, 4096, AccessType.Read, out FileRange last));
        Assert.Equal(0, _fs.Kernel.Memory.Span(last.Offset, 4096)[10_000 - 8192]);
        Assert.Equal(Errno.None, file.Truncate(_fs.Caller, 4096));
        Assert.Equal(Errno.EFAULT, mappable.Translate(4096, 4096, AccessType.Read, out _));
        mappable.DecRef();
        file.DecRef();
    }

    [Fact]
    public void Mapping_WrittenPages_ReachTheHostWhenUnmapped()
    {
        File.WriteAllText(_fs.HostPath("f"), new string('a', 6000));
        _fs.Mount(_fs.Connect());
        FileDescription file = _fs.Open("f", Fcntl.O_RDWR);
        Assert.Equal(Errno.None, file.GetMappable(out IMappable? mappable));
        Space space = new();
        mappable!.AddMapping(space, 0x10000, 0, 8192, true);
        Assert.Equal(Errno.None, mappable.Translate(4096, 4096, AccessType.Write, out FileRange range));
        _fs.Kernel.Memory.Span(range.Offset, 4096)[0] = (byte)'Z';
        Assert.Equal('Z', _fs.Read("f")[4096]);
        file.DecRef();
        mappable.RemoveMapping(space, 0x10000, 0, 8192, true);
        mappable.DecRef();
        string text = File.ReadAllText(_fs.HostPath("f"));
        Assert.Equal((6000, 'Z'), (text.Length, text[4096]));
    }

    [Fact]
    public void Shared_ChangesOfTheHost_AreSeen()
    {
        File.WriteAllText(_fs.HostPath("f"), "old");
        _fs.Mount(_fs.Connect(exclusive: false));
        Assert.Equal("old", _fs.Read("f"));
        Assert.Equal(Errno.ENOENT, _fs.Stat("later", out _));
        FileDescription open = _fs.Open("f");
        File.WriteAllText(_fs.HostPath("f"), "newer text");
        File.WriteAllText(_fs.HostPath("later"), "1");
        Assert.Equal("newer text", _fs.Read(open));
        Assert.Equal(10, _fs.Stat("f").Size);
        Assert.Equal(1, _fs.Stat("later").Size);
        File.WriteAllText(_fs.HostPath("other"), "replaced");
        File.Move(_fs.HostPath("other"), _fs.HostPath("f"), overwrite: true);
        Assert.Equal("replaced", _fs.Read("f"));
        File.Delete(_fs.HostPath("f"));
        Assert.Equal(Errno.ENOENT, _fs.Stat("f", out _));
        open.DecRef();
    }

    [Fact]
    public void SharedForATime_NamesOfTheHostWait_OurOwnDoNot()
    {
        File.WriteAllText(_fs.HostPath("f"), "old");
        Directory.CreateDirectory(_fs.HostPath("d"));
        _fs.Mount(_fs.Connect(exclusive: false, validity: int.MaxValue));
        Assert.Equal("old", _fs.Read("f"));
        Assert.Equal(Errno.ENOENT, _fs.Stat("later", out _));
        Assert.Equal(Errno.ENOENT, _fs.Stat("ours", out _));
        Assert.Equal(Errno.None, _fs.Stat("d", out _));
        File.WriteAllText(_fs.HostPath("later"), "1");
        Directory.Delete(_fs.HostPath("d"));
        Assert.Equal(Errno.ENOENT, _fs.Stat("later", out _));
        Assert.Equal(Errno.None, _fs.Stat("d", out _));

        // What an open file holds is asked of the host itself.
        File.WriteAllText(_fs.HostPath("f"), "newer text");
        Assert.Equal((10, "newer text"), ((int)_fs.Stat("f").Size, _fs.Read("f")));
        _fs.Write("ours", "made here");
        Assert.Equal(9, _fs.Stat("ours").Size);
        Assert.Equal("made here", File.ReadAllText(_fs.HostPath("ours")));
    }

    [Fact]
    public void SharedForATime_NamesOfTheHostCome()
    {
        File.WriteAllText(_fs.HostPath("f"), "x");
        _fs.Mount(_fs.Connect(exclusive: false, validity: 20));
        Assert.Equal(Errno.None, _fs.Stat("f", out _));
        Assert.Equal(Errno.ENOENT, _fs.Stat("later", out _));
        File.WriteAllText(_fs.HostPath("later"), "1");
        File.Delete(_fs.HostPath("f"));
        Thread.Sleep(40);
        Assert.Equal(Errno.None, _fs.Stat("later", out _));
        Assert.Equal(Errno.ENOENT, _fs.Stat("f", out _));
    }

    [Fact]
    public void Xattr_SetGetListRemove()
    {
        File.WriteAllText(_fs.HostPath("f"), "x");
        _fs.Mount(_fs.Connect());
        Inode inode = _fs.Inode("f");
        Assert.Equal(Errno.None, inode.SetXattr("user.color"u8, "blue"u8, 0));
        Assert.Equal(Errno.EEXIST, inode.SetXattr("user.color"u8, "red"u8, Misc.XATTR_CREATE));
        Assert.Equal(4, inode.GetXattr("user.color"u8, default));
        byte[] value = new byte[16];
        Assert.Equal(4, inode.GetXattr("user.color"u8, value));
        Assert.Equal("blue"u8.ToArray(), value[..4]);
        Assert.Equal(-(long)Errno.ERANGE, inode.GetXattr("user.color"u8, new byte[2]));
        byte[] names = new byte[64];
        Assert.Equal(11, inode.ListXattr(names));
        Assert.Equal(Errno.None, inode.RemoveXattr("user.color"u8));
        Assert.Equal(-(long)Errno.ENODATA, inode.GetXattr("user.color"u8, value));
        Assert.Equal(Errno.EOPNOTSUPP, inode.SetXattr("security.selinux"u8, "x"u8, 0));
        inode.DecRef();
    }

    [Fact]
    public void ReadOnlyExport_RefusesEveryChange()
    {
        File.WriteAllText(_fs.HostPath("f"), "x");
        _fs.Mount(_fs.Connect(readOnly: true));
        Assert.Equal("x", _fs.Read("f"));
        Assert.Equal(Errno.EROFS, _fs.Open("f", Fcntl.O_RDWR, out _));
        Assert.Equal(Errno.EROFS, _fs.Open("new", Fcntl.O_RDWR | Fcntl.O_CREAT, out _));
        Assert.Equal(Errno.EROFS, _fs.Unlink("f"));
        Assert.Equal(Errno.EROFS, _fs.Rename("f", "g"));
        Assert.Equal(Errno.EROFS, _fs.Link("f", "g"));
        Assert.Equal(Errno.EROFS, _fs.Change("f", new AttributeChange { Mask = AttributeMask.Mode, Mode = 0 }));
        Assert.Equal(["f"], _fs.List("/"));
    }

    [Fact]
    public void Attach_SingleFile_IsTheRoot()
    {
        File.WriteAllText(_fs.HostPath("resolv.conf"), "nameserver");
        GoferSuperBlock super = _fs.Connect(_fs.HostPath("resolv.conf"));
        Assert.True(super.Root.IsRegular);
        _fs.Mount(super);
        VfsPath root = _fs.Caller.Root;
        root.IncRef();
        Assert.Equal(Errno.None, _fs.Kernel.Vfs.OpenAt(_fs.Caller, root, Fcntl.O_RDONLY, false, out FileDescription? file));
        Assert.Equal("nameserver", _fs.Read(file!));
        file!.DecRef();
    }

    [Fact]
    public void Statfs_IsThatOfTheHost()
    {
        GoferSuperBlock super = _fs.Connect();
        Assert.Equal(Errno.None, super.GetStatfs(out Statfs statfs));
        Assert.Equal(Stat.V9FS_MAGIC, statfs.Type);
        Assert.True(statfs.Blocks > 0 && statfs.NameLength == 255);
    }

    [Fact]
    public void Gofer_BreaksTheProtocol_CallsFailAndTheSandboxIsTold()
    {
        Assert.Equal(0, HostSocket.Pair(Socket.SOCK_SEQPACKET, out int ours, out int theirs));
        using GoferClient client = new(ours);
        int told = 0;
        client.Lost = () => told++;
        HostSocket.Send(theirs, "nonsense"u8);
        Assert.Equal(Errno.EIO, client.Attach(out _, out _));
        Assert.Equal(Errno.EIO, client.GetAttributes(1, out _));
        Assert.Equal(1, told);
        HostFile.Close(theirs);
    }

    [Fact]
    public void ManyTasks_AtOnce_EachGetTheirOwnReply()
    {
        for (int i = 0; i < 8; i++)
        {
            File.WriteAllText(_fs.HostPath($"f{i}"), new string('x', i));
        }

        GoferSuperBlock super = _fs.Connect();
        Thread[] threads = new Thread[8];
        int wrong = 0;
        for (int i = 0; i < threads.Length; i++)
        {
            int own = i;
            byte[] name = FileSystemFixture.Bytes($"f{i}");
            threads[i] = new Thread(() =>
            {
                for (int turn = 0; turn < 200; turn++)
                {
                    bool right = super.Root.Lookup(name, out Inode? child) == Errno.None
                        && child!.GetAttributes(out FileAttributes attributes) == Errno.None && attributes.Size == own;
                    child?.DecRef();
                    Interlocked.Add(ref wrong, right ? 0 : 1);
                }
            });
            threads[i].Start();
        }

        foreach (Thread thread in threads)
        {
            thread.Join();
        }

        Assert.Equal(0, wrong);
    }

    private sealed class LimitedSink : IDirectorySink
    {
        private int _room;
        private int _added = 1;

        public FileSystemFixture.NameSink All { get; } = new();

        public bool Progress => _added > 0;

        public void Begin(int room)
        {
            _room = room;
            _added = 0;
        }

        public bool Add(ReadOnlySpan<byte> name, ulong inode, byte type, long next)
        {
            if (_added == _room)
            {
                return false;
            }

            _added++;
            return All.Add(name, inode, type, next);
        }
    }

    private sealed class Space : IMappingSpace
    {
        public void InvalidateMappings(ulong address, ulong length, bool includingPrivate)
        {
        }
    }
}
