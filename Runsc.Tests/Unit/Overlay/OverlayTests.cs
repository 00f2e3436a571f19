using System;
using System.IO;
using System.Linq;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Gofer;
using Runsc.Sentry.FileSystems.Overlay;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Vfs;
using Xunit;
using FileAttributes = Runsc.Sentry.Vfs.FileAttributes;

namespace Runsc.Tests.Unit.Overlay;

/// <summary>An overlay in memory over a directory of the host behind a gofer. The host's files never change.</summary>
public sealed class OverlayTests : IDisposable
{
    private readonly FileSystemFixture _fs = new();

    public OverlayTests()
    {
        Directory.CreateDirectory(_fs.HostPath("dir/sub"));
        File.WriteAllText(_fs.HostPath("file"), "lower");
        File.WriteAllText(_fs.HostPath("dir/a"), "A");
        File.WriteAllText(_fs.HostPath("dir/b"), "B");
        File.WriteAllText(_fs.HostPath("dir/sub/deep"), "D");
        File.CreateSymbolicLink(_fs.HostPath("link"), "dir/a");
    }

    public void Dispose()
    {
        // Whatever a test did, the lower tree is as it was.
        Assert.Equal("lower", File.ReadAllText(_fs.HostPath("file")));
        Assert.Equal("A", File.ReadAllText(_fs.HostPath("dir/a")));
        Assert.Equal("B", File.ReadAllText(_fs.HostPath("dir/b")));
        Assert.Equal("D", File.ReadAllText(_fs.HostPath("dir/sub/deep")));
        _fs.Dispose();
    }

    private OverlaySuperBlock MountOverlay(long upperSize = 0)
    {
        GoferSuperBlock lower = _fs.Connect(readOnly: true);
        OverlaySuperBlock overlay = new(_fs.Kernel, lower, new TmpfsSuperBlock(_fs.Kernel, upperSize) { Device = _fs.Kernel.NewDevice() });
        _fs.Mount(overlay);
        return overlay;
    }

    [Fact]
    public void Read_LowerFile_IsSeenThrough()
    {
        MountOverlay();
        Assert.Equal("lower", _fs.Read("file"));
        Assert.Equal("A", _fs.Read("link"));
        Assert.Equal(["dir", "file", "link"], _fs.List("/"));
        Assert.Equal(["a", "b", "sub"], _fs.List("dir"));
    }

    [Fact]
    public void Write_LowerFile_GoesToTheCopy()
    {
        MountOverlay();
        FileAttributes before = _fs.Stat("file");
        FileDescription reader = _fs.Open("file");
        FileDescription file = _fs.Open("file", Fcntl.O_RDWR);
        Assert.Equal(2, _fs.Write(file, "UP"));
        file.DecRef();
        Assert.Equal("UPwer", _fs.Read("file"));
        Assert.Equal("UPwer", _fs.Read(reader));
        reader.DecRef();
        FileAttributes after = _fs.Stat("file");
        Assert.Equal((before.Inode, before.Device, before.Mode), (after.Inode, after.Device, after.Mode));
    }

    [Fact]
    public void Append_LowerFile_KeepsItsBytes()
    {
        MountOverlay();
        _fs.Write("dir/a", "BC", Fcntl.O_WRONLY | Fcntl.O_APPEND);
        Assert.Equal("ABC", _fs.Read("dir/a"));
        Assert.Equal(3, _fs.Stat("dir/a").Size);
    }

    [Fact]
    public void Truncate_LowerFile_ShortensTheCopy()
    {
        MountOverlay();
        Assert.Equal(Errno.None, _fs.Change("file", new AttributeChange { Mask = AttributeMask.Size, Size = 3 }));
        Assert.Equal("low", _fs.Read("file"));
        Assert.Equal(Errno.None, _fs.Change("file", new AttributeChange { Mask = AttributeMask.Size, Size = 5 }));
        Assert.Equal("low\0\0", _fs.Read("file"));
        _fs.Write("dir/a", "new");
        Assert.Equal("new", _fs.Read("dir/a"));
    }

    [Fact]
    public void Chmod_LowerFile_KeepsDataSizeAndTimes()
    {
        File.WriteAllBytes(_fs.HostPath("big"), new byte[3 << 20]);
        File.SetLastWriteTimeUtc(_fs.HostPath("big"), new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        MountOverlay(1 << 20);
        FileAttributes before = _fs.Stat("big");
        Assert.Equal(Errno.None, _fs.Change("big", new AttributeChange { Mask = AttributeMask.Mode, Mode = 0x1ed }));
        FileAttributes after = _fs.Stat("big");
        Assert.Equal((0x1edu, before.Size, before.ModifyTime, before.Inode), (after.Mode & 0xfff, after.Size, after.ModifyTime, after.Inode));

        // Only now would the bytes be copied, and there is no room for them.
        Assert.Equal(Errno.ENOSPC, _fs.Open("big", Fcntl.O_RDWR, out _));
        Assert.Equal(3 << 20, _fs.Stat("big").Size);
        FileDescription file = _fs.Open("big", Fcntl.O_RDWR | Fcntl.O_TRUNC);
        file.DecRef();
        Assert.Equal(0, _fs.Stat("big").Size);
    }

    [Fact]
    public void Unlink_LowerFile_HidesItAndItCanBeMadeAnew()
    {
        MountOverlay();
        FileDescription open = _fs.Open("file");
        Assert.Equal(Errno.None, _fs.Unlink("file"));
        Assert.Equal(Errno.ENOENT, _fs.Stat("file", out _));
        Assert.Equal(["dir", "link"], _fs.List("/"));
        Assert.Equal("lower", _fs.Read(open));
        Assert.Equal(Errno.None, open.Inode.GetAttributes(out FileAttributes attributes));
        Assert.Equal(0UL, attributes.Links);
        Assert.Equal(Errno.None, open.Inode.SetAttributes(new AttributeChange { Mask = AttributeMask.Mode, Mode = 0 }));
        open.DecRef();
        _fs.Write("file", "anew");
        Assert.Equal("anew", _fs.Read("file"));
        Assert.Equal(["dir", "file", "link"], _fs.List("/"));
        Assert.Equal(Errno.None, _fs.Unlink("file"));
        Assert.Equal(Errno.ENOENT, _fs.Stat("file", out _));
    }

    [Fact]
    public void Rmdir_MergedDirectory_OnlyWhenNothingIsSeen()
    {
        MountOverlay();
        Assert.Equal(Errno.ENOTEMPTY, _fs.RemoveDirectory("dir"));
        Assert.Equal(Errno.None, _fs.Unlink("dir/sub/deep"));
        Assert.Equal([], _fs.List("dir/sub"));
        Assert.Equal(Errno.None, _fs.RemoveDirectory("dir/sub"));
        Assert.Equal(Errno.None, _fs.Unlink("dir/a"));
        _fs.Write("dir/b", "changed");
        Assert.Equal(Errno.None, _fs.Unlink("dir/b"));
        Assert.Equal(Errno.None, _fs.RemoveDirectory("dir"));
        Assert.Equal(["file", "link"], _fs.List("/"));
    }

    [Fact]
    public void Mkdir_OverARemovedDirectory_IsEmpty()
    {
        MountOverlay();
        Assert.Equal(Errno.None, _fs.Unlink("dir/sub/deep"));
        Assert.Equal(Errno.None, _fs.RemoveDirectory("dir/sub"));
        Assert.Equal(Errno.None, _fs.MakeDirectory("dir/sub"));
        Assert.Equal([], _fs.List("dir/sub"));
        Assert.Equal(Errno.ENOENT, _fs.Stat("dir/sub/deep", out _));
        Assert.Equal(Errno.None, _fs.RemoveDirectory("dir/sub"));
        Assert.Equal(["a", "b"], _fs.List("dir"));
    }

    [Fact]
    public void Rename_LowerFile_MovesACopyAndHidesTheOld()
    {
        MountOverlay();
        Assert.Equal(Errno.None, _fs.Rename("dir/a", "dir/b"));
        Assert.Equal("A", _fs.Read("dir/b"));
        Assert.Equal(["b", "sub"], _fs.List("dir"));
        Assert.Equal(Errno.None, _fs.Rename("dir/b", "moved"));
        Assert.Equal(["sub"], _fs.List("dir"));
        Assert.Equal("A", _fs.Read("moved"));
        _fs.Write("dir/b", "again");
        Assert.Equal(["b", "sub"], _fs.List("dir"));
    }

    [Fact]
    public void Rename_LowerDirectory_TakesItsChildrenAlong()
    {
        MountOverlay();
        ulong number = _fs.Stat("dir/sub/deep").Inode;
        Assert.Equal(Errno.None, _fs.Unlink("dir/a"));
        Assert.Equal(Errno.None, _fs.Rename("dir", "tree"));
        Assert.Equal(["file", "link", "tree"], _fs.List("/"));
        Assert.Equal(["b", "sub"], _fs.List("tree"));
        Assert.Equal("D", _fs.Read("tree/sub/deep"));
        Assert.Equal(number, _fs.Stat("tree/sub/deep").Inode);
        _fs.Write("tree/sub/deep", "E", Fcntl.O_WRONLY);
        Assert.Equal("E", _fs.Read("tree/sub/deep"));

        // The old name is free, and shows nothing of what was there.
        Assert.Equal(Errno.None, _fs.MakeDirectory("dir"));
        Assert.Equal([], _fs.List("dir"));
        Assert.Equal(Errno.None, _fs.Rename("tree", "dir"));
        Assert.Equal(["b", "sub"], _fs.List("dir"));
        Assert.Equal("E", _fs.Read("dir/sub/deep"));
    }

    [Fact]
    public void Rename_Exchange_SwapsLowerFileAndDirectory()
    {
        MountOverlay();
        Assert.Equal(Errno.None, _fs.Rename("file", "dir", Fcntl.RENAME_EXCHANGE));
        Assert.Equal("lower", _fs.Read("dir"));
        Assert.Equal(["a", "b", "sub"], _fs.List("file"));
    }

    [Fact]
    public void Rename_OntoMergedDirectoryThatIsNotEmpty_GivesEnotempty()
    {
        MountOverlay();
        Assert.Equal(Errno.None, _fs.MakeDirectory("new"));
        Assert.Equal(Errno.ENOTEMPTY, _fs.Rename("new", "dir"));
        Assert.Equal(Errno.None, _fs.Unlink("dir/sub/deep"));
        Assert.Equal(Errno.None, _fs.Rename("new", "dir/sub"));
        Assert.Equal([], _fs.List("dir/sub"));
        Assert.Equal(["dir", "file", "link"], _fs.List("/"));
    }

    [Fact]
    public void Link_LowerFile_IsOneFileUnderBothNames()
    {
        MountOverlay();
        Assert.Equal(Errno.None, _fs.Link("file", "second"));
        Assert.Equal((2UL, 2UL), (_fs.Stat("file").Links, _fs.Stat("second").Links));
        _fs.Write("second", "both");
        Assert.Equal("both", _fs.Read("file"));
        Assert.Equal(Errno.None, _fs.Unlink("file"));
        Assert.Equal("both", _fs.Read("second"));
        Assert.Equal(1UL, _fs.Stat("second").Links);
        Assert.Equal(["dir", "link", "second"], _fs.List("/"));
    }

    [Fact]
    public void HardLinksBelow_StayOneFileWhenOneIsWritten()
    {
        Runsc.Tests.Support.CommandRunner.Shell($"ln '{_fs.HostPath("dir/sub/deep")}' '{_fs.HostPath("other")}'");
        MountOverlay();
        Assert.Equal(2UL, _fs.Stat("other").Links);
        FileDescription file = _fs.Open("other", Fcntl.O_WRONLY);
        Assert.Equal(1, _fs.Write(file, "X"));
        file.DecRef();
        Assert.Equal("X", _fs.Read("dir/sub/deep"));
        Assert.Equal(_fs.Stat("other").Inode, _fs.Stat("dir/sub/deep").Inode);
        Assert.Equal(2UL, _fs.Stat("other").Links);
        Assert.Equal(Errno.None, _fs.Unlink("dir/sub/deep"));
        Assert.Equal(1UL, _fs.Stat("other").Links);
        Assert.Equal("X", _fs.Read("other"));
    }

    [Fact]
    public void Create_InLowerDirectory_CopiesOnlyTheDirectories()
    {
        MountOverlay();
        FileAttributes before = _fs.Stat("dir");
        _fs.Write("dir/sub/new", "N");
        Assert.Equal(["deep", "new"], _fs.List("dir/sub"));
        Assert.Equal(before.ModifyTime, _fs.Stat("dir").ModifyTime);
        Assert.Equal(before.Inode, _fs.Stat("dir").Inode);
        Assert.NotEqual(_fs.Stat("dir/sub/new").Inode, _fs.Stat("dir/sub/deep").Inode);
        Assert.Equal(["deep"], Directory.GetFileSystemEntries(_fs.HostPath("dir/sub")).Select(Path.GetFileName));
    }

    [Fact]
    public void Create_ExistingLowerName_GivesEexist()
    {
        MountOverlay();
        Assert.Equal(Errno.EEXIST, _fs.MakeDirectory("dir"));
        Assert.Equal(Errno.EEXIST, _fs.Symlink("file", "x"));
        Assert.Equal(Errno.EEXIST, _fs.Open("file", Fcntl.O_WRONLY | Fcntl.O_CREAT | Fcntl.O_EXCL, out _));
        Assert.Equal(Errno.EPERM, _fs.Make("whiteout", (uint)Stat.S_IFCHR));
    }

    [Fact]
    public void Symlink_CopiedUp_KeepsItsText()
    {
        MountOverlay();
        Assert.Equal(Errno.None, _fs.Change("link", new AttributeChange { Mask = AttributeMask.Uid, Uid = 5 }));
        Assert.Equal("dir/a", _fs.ReadLink("link"));
        Assert.Equal(5u, _fs.Stat("link").Uid);
        Assert.Equal(Errno.None, _fs.Rename("link", "dir/link"));
        Assert.Equal("dir/a", _fs.ReadLink("dir/link"));
    }

    [Fact]
    public void Xattr_OfLowerFile_ComesAlong()
    {
        GoferSuperBlock below = _fs.Connect();
        Assert.Equal(Errno.None, below.Root.Lookup("file"u8, out Inode? file));
        Assert.Equal(Errno.None, file!.SetXattr("user.tag"u8, "v"u8, 0));
        file.DecRef();
        MountOverlay();
        Assert.Equal(Errno.None, _fs.Change("file", new AttributeChange { Mask = AttributeMask.Mode, Mode = 0x180 }));
        byte[] value = new byte[8];
        Inode inode = _fs.Inode("file");
        Assert.Equal(1, inode.GetXattr("user.tag"u8, value));
        Assert.Equal((byte)'v', value[0]);
        Assert.Equal(Errno.None, inode.RemoveXattr("user.tag"u8));
        Assert.Equal(-(long)Errno.ENODATA, inode.GetXattr("user.tag"u8, value));
        inode.DecRef();
    }

    [Fact]
    public void List_NumbersAreThoseOfStat()
    {
        MountOverlay();
        _fs.Write("dir/a", "changed");
        _fs.Write("dir/new", "N");
        FileDescription directory = _fs.Open("dir", Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        FileSystemFixture.NameSink sink = new();
        Assert.Equal(Errno.None, directory.ReadDirectory(_fs.Caller, sink));
        directory.DecRef();
        foreach (string name in sink.Names)
        {
            Assert.Equal(_fs.Stat("dir/" + name).Inode, sink.Numbers[name]);
        }

        Assert.Equal(4, sink.Names.Count);
    }
}
