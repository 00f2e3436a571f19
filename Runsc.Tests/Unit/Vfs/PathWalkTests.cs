using System;
using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Xunit;

namespace Runsc.Tests.Unit.Vfs;

public sealed class PathWalkTests : IDisposable
{
    private readonly TmpfsTree _tree = new();
    private readonly FileSystemFixture _files;

    public PathWalkTests()
    {
        _files = _tree.Files;
        _files.MakeDirectory("a");
        _files.MakeDirectory("a/b");
        _files.Write("a/b/file", "text");
    }

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void DotsAndSlashes_AreIgnored()
    {
        Assert.Equal("text", _files.Read("//a/./b/../../a//b/file"));
        Assert.Equal("text", _files.Read("/../../a/b/file"));
    }

    [Fact]
    public void TrailingSlash_WantsADirectory()
    {
        Assert.Equal(Errno.None, _tree.Resolve("a/b/"));
        Assert.Equal(Errno.ENOTDIR, _tree.Resolve("a/b/file/"));
        Assert.Equal(Errno.ENOTDIR, _tree.Resolve("a/b/file/."));
        Assert.Equal(Errno.ENOTDIR, _tree.Resolve("a/b/file/.."));
        Assert.Equal(Errno.EISDIR, _files.Open("a/new/", Fcntl.O_CREAT | Fcntl.O_WRONLY, out _));
    }

    [Fact]
    public void Names_AreLimited()
    {
        Assert.Equal(Errno.ENOENT, _tree.Resolve(new string('x', 255)));
        Assert.Equal(Errno.ENAMETOOLONG, _tree.Resolve(new string('x', 256)));
        Assert.Equal(Errno.ENAMETOOLONG, _files.MakeDirectory(new string('x', 256)));
        Assert.Equal(Errno.ENAMETOOLONG, _tree.Resolve(string.Concat(System.Linq.Enumerable.Repeat("a/../", 1000))));
        Assert.Equal(Errno.ENOENT, _tree.Resolve(""));
    }

    [Fact]
    public void Symlinks_AreFollowedWhereTheyAre()
    {
        _files.Symlink("a/up", "../a/b");
        _files.Symlink("abs", "/a/b");
        _files.Symlink("chain", "abs/../up/file");
        Assert.Equal("text", _files.Read("a/up/file"));
        Assert.Equal("text", _files.Read("abs/file"));
        Assert.Equal("text", _files.Read("chain"));
        Assert.Equal(Errno.ENOTDIR, _tree.Resolve("chain/"));
        Assert.Equal(Errno.None, _tree.Resolve("abs", WalkFlags.None, out VfsPath link));
        Assert.True(link.Dentry.Inode!.IsSymlink);
        link.DecRef();
        Assert.Equal(Errno.None, _tree.Resolve("abs/", WalkFlags.None, out VfsPath directory));
        Assert.True(directory.Dentry.Inode!.IsDirectory);
        directory.DecRef();
    }

    [Fact]
    public void SymlinkLoops_EndAfterForty()
    {
        _files.Symlink("loop", "loop");
        Assert.Equal(Errno.ELOOP, _tree.Resolve("loop"));
        Assert.Equal(Errno.ELOOP, _tree.Resolve("loop/x"));
        Assert.Equal(Errno.ELOOP, _files.Open("loop", Fcntl.O_CREAT | Fcntl.O_WRONLY, out _));
        _files.Write("l0", "end");
        for (int i = 1; i <= 41; i++)
        {
            _files.Symlink($"l{i}", $"l{i - 1}");
        }

        Assert.Equal(Errno.None, _tree.Resolve("l40"));
        Assert.Equal(Errno.ELOOP, _tree.Resolve("l41"));
    }

    [Fact]
    public void DanglingLink_IsWhereTheFileIsMade()
    {
        _files.Symlink("dangling", "a/b/made");
        Assert.Equal(Errno.ENOENT, _files.Open("dangling", Fcntl.O_RDONLY, out _));
        Assert.Equal(Errno.EEXIST, _files.Open("dangling", Fcntl.O_CREAT | Fcntl.O_EXCL | Fcntl.O_WRONLY, out _));
        Assert.Equal(Errno.ELOOP, _files.Open("dangling", Fcntl.O_CREAT | Fcntl.O_NOFOLLOW | Fcntl.O_WRONLY, out _));
        _files.Write("dangling", "x");
        Assert.Equal("x", _files.Read("a/b/made"));
        Assert.Equal(Errno.EEXIST, _files.MakeDirectory("dangling"));
    }

    [Fact]
    public void ResolveFlags_KeepTheWalkInside()
    {
        _files.Symlink("a/out", "/a/b");
        _files.Symlink("a/in", "b");
        VfsPath start = _tree.Place("a");
        Assert.Equal(Errno.None, Walk("b/file", WalkFlags.Beneath));
        Assert.Equal(Errno.None, Walk("b/../in", WalkFlags.Beneath));
        Assert.Equal(Errno.EXDEV, Walk("../a", WalkFlags.Beneath));
        Assert.Equal(Errno.EXDEV, Walk("/a", WalkFlags.Beneath));
        Assert.Equal(Errno.EXDEV, Walk("out", WalkFlags.Beneath));
        Assert.Equal(Errno.ENOENT, Walk("out", WalkFlags.InRoot));
        Assert.Equal(Errno.None, Walk("../../b", WalkFlags.InRoot));
        Assert.Equal(Errno.ELOOP, Walk("in", WalkFlags.NoSymlinks));
        start.DecRef();

        Errno Walk(string path, WalkFlags flags)
        {
            Errno error = PathWalker.Resolve(_files.Caller, start, FileSystemFixture.Bytes(path), flags | WalkFlags.FollowLast, out VfsPath place);
            if (error == Errno.None)
            {
                place.DecRef();
            }

            return error;
        }
    }

    [Fact]
    public void NegativeEntries_DoNotHideAFileMadeLater()
    {
        Assert.Equal(Errno.ENOENT, _tree.Resolve("a/later"));
        _files.Write("a/later", "1");
        Assert.Equal("1", _files.Read("a/later"));
        Assert.Equal(Errno.None, _files.Unlink("a/later"));
        Assert.Equal(Errno.ENOENT, _tree.Resolve("a/later"));
        Assert.Equal(Errno.None, _files.Rename("a/b/file", "a/later"));
        Assert.Equal("text", _files.Read("a/later"));
        Assert.Equal(Errno.ENOENT, _tree.Resolve("a/b/file"));
    }

    [Fact]
    public void ManyNames_PassThroughTheCache()
    {
        for (int i = 0; i < 9000; i++)
        {
            Assert.Equal(Errno.None, _files.Make($"a/f{i}", (uint)Stat.S_IFREG | 0x1a4));
        }

        VfsPath directory = _tree.Place("a");
        Assert.InRange(directory.Dentry.CachedChildren, 1, 7000);
        directory.DecRef();
        for (int i = 0; i < 9000; i += 7)
        {
            Assert.Equal(Errno.None, _files.Unlink($"a/f{i}"));
        }

        Assert.Equal(9001 - 1286, _files.List("a").Count);
    }
}
