using System;
using System.Collections.Generic;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Mapping;
using Runsc.Sentry.Vfs;
using Runsc.Tests.Unit.Vfs;
using Xunit;

namespace Runsc.Tests.Unit.Tmpfs;

public sealed class TmpfsTests : IDisposable
{
    private readonly TmpfsTree _tree = new(maxBytes: 64 << 10, maxInodes: 16);
    private readonly FileSystemFixture _files;

    public TmpfsTests() => _files = _tree.Files;

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void Space_IsLimitedAndComesBack()
    {
        FileDescription file = _files.Open("big", Fcntl.O_RDWR | Fcntl.O_CREAT);
        Assert.Equal(64 << 10, _files.Write(file, new string('x', 100 << 10)));
        Assert.Equal(-(long)Errno.ENOSPC, _files.Write(file, "y"));
        _tree.Super.GetStatfs(out Statfs statfs);
        Assert.Equal((16UL, 0UL), (statfs.Blocks, statfs.BlocksFree));
        Assert.Equal(Errno.None, _files.Unlink("big"));
        _tree.Super.GetStatfs(out statfs);
        Assert.Equal(0UL, statfs.BlocksFree);
        file.DecRef();
        _tree.Super.GetStatfs(out statfs);
        Assert.Equal(16UL, statfs.BlocksFree);
    }

    [Fact]
    public void Inodes_AreLimitedAndComeBack()
    {
        int made = 0;
        while (_files.Make($"f{made}", (uint)Stat.S_IFREG | 0x1a4) == Errno.None)
        {
            Assert.True(++made < 20);
        }

        Assert.InRange(made, 15, 16);
        Assert.Equal(Errno.ENOSPC, _files.MakeDirectory("d"));
        Assert.Equal(Errno.ENOSPC, _files.Symlink("l", "x"));
        Assert.Equal(Errno.None, _files.Unlink("f0"));
        Assert.Equal(Errno.None, _files.MakeDirectory("d"));
    }

    [Fact]
    public void Holes_ReadAsZeroAndTakeNoSpace()
    {
        FileDescription file = _files.Open("f", Fcntl.O_RDWR | Fcntl.O_CREAT);
        Assert.Equal(1L << 40, file.Seek(_files.Caller, 1L << 40, Fcntl.SEEK_SET));
        Assert.Equal(3, _files.Write(file, "end"));
        Assert.Equal(((1L << 40) + 3, 8UL), (_files.Stat("f").Size, _files.Stat("f").Blocks));
        byte[] bytes = new byte[8];
        bytes.AsSpan().Fill(9);
        IoBuffer buffer = new(bytes);
        Assert.Equal(8, file.PRead(_files.Caller, ref buffer, 12345));
        Assert.Equal(new byte[8], bytes);
        Assert.Equal(1L << 40, file.Seek(_files.Caller, 0, Fcntl.SEEK_DATA));
        Assert.Equal(0, file.Seek(_files.Caller, 0, Fcntl.SEEK_HOLE));
        file.DecRef();
    }

    [Fact]
    public void Append_GoesToTheEndWhereverThePositionIs()
    {
        _files.Write("f", "one");
        FileDescription file = _files.Open("f", Fcntl.O_RDWR | Fcntl.O_APPEND), other = _files.Open("f", Fcntl.O_WRONLY | Fcntl.O_APPEND);
        Assert.Equal(3, _files.Write(other, "two"));
        Assert.Equal(0, file.Seek(_files.Caller, 0, Fcntl.SEEK_SET));
        Assert.Equal(5, _files.Write(file, "three"));
        Assert.Equal("onetwothree", _files.Read("f"));
        Assert.Equal("", _files.Read(file));
        file.DecRef();
        other.DecRef();
    }

    [Fact]
    public void Truncate_ShorterAndLongerAgain_LeavesZeros()
    {
        _files.Write("f", "abcdef");
        FileDescription file = _files.Open("f", Fcntl.O_RDWR);
        Assert.Equal(Errno.None, file.Truncate(_files.Caller, 2));
        Assert.Equal(Errno.None, file.Truncate(_files.Caller, 5));
        Assert.Equal("ab\0\0\0", _files.Read("f"));
        Assert.Equal(Errno.EINVAL, file.Truncate(_files.Caller, -1));
        file.DecRef();
        FileDescription again = _files.Open("f", Fcntl.O_WRONLY | Fcntl.O_TRUNC);
        Assert.Equal(0, _files.Stat("f").Size);
        again.DecRef();
    }

    [Fact]
    public void Allocate_ModesDoWhatTheySay()
    {
        FileDescription file = _files.Open("f", Fcntl.O_RDWR | Fcntl.O_CREAT);
        _files.Write(file, new string('x', 12288));
        Assert.Equal(Errno.None, file.Allocate(_files.Caller, 0, 8192, 8192));
        Assert.Equal((16384L, 32UL), (_files.Stat("f").Size, _files.Stat("f").Blocks));
        Assert.Equal(Errno.None, file.Allocate(_files.Caller, Fcntl.FALLOC_FL_KEEP_SIZE, 16384, 4096));
        Assert.Equal((16384L, 40UL), (_files.Stat("f").Size, _files.Stat("f").Blocks));
        Assert.Equal(Errno.None, file.Allocate(_files.Caller, Fcntl.FALLOC_FL_PUNCH_HOLE | Fcntl.FALLOC_FL_KEEP_SIZE, 1, 8191));
        Assert.Equal((16384L, 32UL), (_files.Stat("f").Size, _files.Stat("f").Blocks));
        string text = _files.Read("f");
        Assert.Equal(("x\0", "\0x"), (text[..2], text[8191..8193]));
        Assert.Equal(Errno.ENOSPC, file.Allocate(_files.Caller, 0, 0, 1 << 20));
        Assert.Equal((16384L, 32UL), (_files.Stat("f").Size, _files.Stat("f").Blocks));
        Assert.Equal(Errno.EOPNOTSUPP, file.Allocate(_files.Caller, Fcntl.FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
        file.DecRef();
    }

    [Fact]
    public void Listing_GoesOnWhereItStoppedWhileNamesComeAndGo()
    {
        for (int i = 0; i < 6; i++)
        {
            _files.Write($"f{i}", "");
        }

        FileDescription directory = _files.Open("/", Fcntl.O_RDONLY | Fcntl.O_DIRECTORY);
        Few sink = new(5);
        Assert.Equal(Errno.None, directory.ReadDirectory(_files.Caller, sink));
        Assert.Equal([".", "..", "f0", "f1", "f2"], sink.Names);
        _files.Unlink("f0");
        _files.Unlink("f3");
        _files.Write("new", "");
        sink = new Few(10);
        Assert.Equal(Errno.None, directory.ReadDirectory(_files.Caller, sink));
        Assert.Equal(["f4", "f5", "new"], sink.Names);
        Assert.Equal(0, directory.Seek(_files.Caller, 0, Fcntl.SEEK_SET));
        sink = new Few(10);
        directory.ReadDirectory(_files.Caller, sink);
        Assert.Equal([".", "..", "f1", "f2", "f4", "f5", "new"], sink.Names);
        directory.DecRef();
    }

    [Fact]
    public void Times_ChangeWithTheFile()
    {
        FileTime old = new(1000, 5);
        _files.Write("f", "x");
        Set();
        _files.Read("f");
        FileAttributes read = _files.Stat("f");
        Assert.True(read.AccessTime.Seconds > 1000 && read.ModifyTime == old);
        Set();
        FileAttributes changed = _files.Stat("f");
        _files.Write("f", "y", Fcntl.O_WRONLY);
        FileAttributes written = _files.Stat("f");
        Assert.True(written.ModifyTime.Seconds > 1000 && written.AccessTime == old && changed.ChangeTime.Seconds > 1000);

        void Set() => Assert.Equal(
            Errno.None,
            _files.Change("f", new AttributeChange { Mask = AttributeMask.AccessTime | AttributeMask.ModifyTime, AccessTime = old, ModifyTime = old }));
    }

    [Fact]
    public void Xattrs_AreSetListedAndRemoved()
    {
        _files.Write("f", "");
        Inode inode = _files.Inode("f");
        Assert.Equal(Errno.None, inode.SetXattr("user.a"u8, "1234"u8, 0));
        Assert.Equal(Errno.EEXIST, inode.SetXattr("user.a"u8, "5"u8, Misc.XATTR_CREATE));
        Assert.Equal(Errno.ENODATA, inode.SetXattr("user.b"u8, "5"u8, Misc.XATTR_REPLACE));
        Assert.Equal((4L, -(long)Errno.ERANGE, -(long)Errno.ENODATA), (inode.GetXattr("user.a"u8, []), inode.GetXattr("user.a"u8, new byte[3]), inode.GetXattr("user.b"u8, [])));
        byte[] names = new byte[16];
        Assert.Equal(7, inode.ListXattr(names));
        Assert.Equal("user.a\0"u8.ToArray(), names[..7]);
        Assert.Equal(Errno.None, inode.RemoveXattr("user.a"u8));
        Assert.Equal(0, inode.ListXattr([]));
    }

    [Fact]
    public void Seals_ForbidWhatTheyName()
    {
        MemfdFileSystem memory = new(_files.Kernel);
        Assert.Equal(Errno.None, memory.Create(_files.Caller, "x"u8, 0x1ff, sealable: true, out FileDescription? file));
        TmpfsFile inode = (TmpfsFile)file!.Inode;
        Assert.Equal(4, _files.Write(file, "data"));
        Assert.Equal(Errno.None, inode.AddSeals(Fcntl.F_SEAL_SHRINK));
        Assert.Equal((Errno.EPERM, Errno.None), (file.Truncate(_files.Caller, 1), file.Truncate(_files.Caller, 8)));
        Assert.Equal(Errno.None, inode.AddSeals(Fcntl.F_SEAL_GROW));
        Assert.Equal(Errno.EPERM, file.Truncate(_files.Caller, 9));
        Assert.Equal((4L, -(long)Errno.EPERM), (_files.Write(file, "more and more"), _files.Write(file, "y")));
        Assert.Equal(Errno.None, inode.AddSeals(Fcntl.F_SEAL_WRITE | Fcntl.F_SEAL_SEAL));
        Assert.Equal(0, file.Seek(_files.Caller, 0, Fcntl.SEEK_SET));
        Assert.Equal(-(long)Errno.EPERM, _files.Write(file, "z"));
        Assert.Equal("datamore", _files.Read(file));
        Assert.Equal(Errno.EPERM, inode.AddSeals(Fcntl.F_SEAL_GROW));
        file.DecRef();

        Assert.Equal(Errno.None, memory.Create(_files.Caller, "y"u8, 0x1ff, sealable: false, out file));
        Assert.Equal(Errno.EPERM, ((TmpfsFile)file!.Inode).AddSeals(Fcntl.F_SEAL_WRITE));
        file.DecRef();
    }

    [Fact]
    public void Options_AreReadOrRefused()
    {
        Assert.Equal(Errno.None, TmpfsOptions.TryParse("size=64k,mode=1777,uid=5,gid=6,nr_inodes=1k", 1 << 30, out TmpfsOptions options));
        Assert.Equal(new TmpfsOptions(65536, 1024, 0x3ff, 5, 6), options);
        Assert.Equal(Errno.None, TmpfsOptions.TryParse("size=50%", 1 << 30, out options));
        Assert.Equal(1L << 29, options.Size, 1000.0);
        foreach (string bad in new[] { "size=", "size=x", "size=-1", "mode=8", "mode=", "uid=-1", "nonsense", "size=99999999999999999999" })
        {
            Assert.Equal(Errno.EINVAL, TmpfsOptions.TryParse(bad, 1 << 30, out _));
        }
    }

    private sealed class Few(int room) : IDirectorySink
    {
        public List<string> Names { get; } = [];

        public bool Add(ReadOnlySpan<byte> name, ulong inode, byte type, long next)
        {
            if (Names.Count == room)
            {
                return false;
            }

            Names.Add(System.Text.Encoding.ASCII.GetString(name));
            return true;
        }
    }
}
