using System;
using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Xunit;

namespace Runsc.Tests.Unit.Vfs;

public sealed class RenameTests : IDisposable
{
    private readonly TmpfsTree _tree = new();
    private readonly FileSystemFixture _files;

    public RenameTests()
    {
        _files = _tree.Files;
        _files.MakeDirectory("a");
        _files.MakeDirectory("a/sub");
        _files.MakeDirectory("b");
        _files.Write("a/f", "from");
        _files.Write("b/g", "to");
    }

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void File_ReplacesAnother_ThatStaysOpen()
    {
        FileDescription open = _files.Open("b/g");
        Assert.Equal(Errno.None, _files.Rename("a/f", "b/g"));
        Assert.Equal("from", _files.Read("b/g"));
        Assert.Equal(Errno.ENOENT, _files.Stat("a/f", out _));
        Assert.Equal("to", _files.Read(open));
        open.Inode.GetAttributes(out FileAttributes attributes);
        Assert.Equal(0UL, attributes.Links);
        open.DecRef();
    }

    [Fact]
    public void Kinds_MustAgree()
    {
        Assert.Equal(Errno.EISDIR, _files.Rename("a/f", "a/sub"));
        Assert.Equal(Errno.ENOTDIR, _files.Rename("a/sub", "b/g"));
        Assert.Equal(Errno.ENOTEMPTY, _files.Rename("a/sub", "b"));
        Assert.Equal(Errno.ENOTDIR, _files.Rename("a/f", "a/new/"));
        Assert.Equal(Errno.None, _files.Rename("a/sub", "a/new/"));
        Assert.Equal(Errno.ENOENT, _files.Rename("a/missing", "a/x"));
        Assert.Equal(Errno.EBUSY, _files.Rename("a/.", "a/x"));
    }

    [Fact]
    public void Directory_CannotGoBelowItself()
    {
        _files.MakeDirectory("a/sub/deep");
        Assert.Equal(Errno.EINVAL, _files.Rename("a", "a/x"));
        Assert.Equal(Errno.EINVAL, _files.Rename("a", "a/sub/deep/x"));
        Assert.Equal(Errno.ENOTEMPTY, _files.Rename("a/sub/deep", "a"));
        Assert.Equal(Errno.None, _files.Rename("a/sub/deep", "b/deep"));
        Assert.Equal((2UL, 3UL), (_files.Stat("a/sub").Links, _files.Stat("b").Links));
    }

    [Fact]
    public void Directory_OverAnEmptyOne_TakesItsPlace()
    {
        _files.Write("a/sub/x", "1");
        _files.MakeDirectory("b/empty");
        Assert.Equal(Errno.None, _files.Rename("a/sub", "b/empty"));
        Assert.Equal("1", _files.Read("b/empty/x"));
        Assert.Equal((2UL, 3UL), (_files.Stat("a").Links, _files.Stat("b").Links));
        Assert.Equal("1", _files.Read("b/empty/../empty/x"));
    }

    [Fact]
    public void Flags_NoReplaceAndExchange()
    {
        Assert.Equal(Errno.EEXIST, _files.Rename("a/f", "b/g", Fcntl.RENAME_NOREPLACE));
        Assert.Equal(Errno.ENOENT, _files.Rename("a/f", "b/none", Fcntl.RENAME_EXCHANGE));
        Assert.Equal(Errno.None, _files.Rename("a/f", "b/g", Fcntl.RENAME_EXCHANGE));
        Assert.Equal(("to", "from"), (_files.Read("a/f"), _files.Read("b/g")));
        Assert.Equal(Errno.None, _files.Rename("a/sub", "b/g", Fcntl.RENAME_EXCHANGE));
        Assert.Equal("from", _files.Read("a/sub"));
        Assert.Equal((2UL, 3UL), (_files.Stat("a").Links, _files.Stat("b").Links));
        Assert.Equal(Errno.None, _files.Rename("b/g", "b/moved", Fcntl.RENAME_NOREPLACE));
        Assert.NotEqual(Errno.None, _files.Rename("a/f", "a/w", Fcntl.RENAME_WHITEOUT));
        Assert.Equal("to", _files.Read("a/f"));
    }

    [Fact]
    public void HardLinksOfOneFile_StayBoth()
    {
        Assert.Equal(Errno.None, _files.Link("a/f", "b/h"));
        Assert.Equal(Errno.None, _files.Rename("a/f", "b/h"));
        Assert.Equal(("from", "from"), (_files.Read("a/f"), _files.Read("b/h")));
        Assert.Equal(2UL, _files.Stat("a/f").Links);
    }

    [Fact]
    public void OpenDirectory_KnowsItsNewPath()
    {
        VfsPath place = _tree.Place("a/sub");
        Assert.Equal(Errno.None, _files.Rename("a", "b/a2"));
        VfsPath root = _files.Caller.Root;
        Assert.Equal("/b/a2/sub", System.Text.Encoding.ASCII.GetString(_tree.Mounts.GetPath(place, root, out bool unlinked)!));
        Assert.False(unlinked);
        Assert.Equal(Errno.None, _files.RemoveDirectory("b/a2/sub"));
        _tree.Mounts.GetPath(place, root, out unlinked);
        Assert.True(unlinked);
        place.DecRef();
    }

    [Fact]
    public void Links_HaveRules()
    {
        Assert.Equal(Errno.EPERM, _files.Link("a/sub", "b/dir"));
        Assert.Equal(Errno.EEXIST, _files.Link("a/f", "b/g"));
        Assert.Equal(Errno.ENOENT, _files.Link("a/f", "none/g"));
        Assert.Equal(Errno.EISDIR, _files.Unlink("a/sub"));
        Assert.Equal(Errno.ENOTDIR, _files.RemoveDirectory("a/f"));
        Assert.Equal(Errno.ENOTEMPTY, _files.RemoveDirectory("a"));
        Assert.Equal(Errno.EINVAL, _files.RemoveDirectory("a/."));
        Assert.Equal(Errno.ENOTEMPTY, _files.RemoveDirectory("a/.."));
        Assert.Equal(Errno.EBUSY, _files.RemoveDirectory("/"));
    }

    [Fact]
    public void RemovedDirectory_TakesNoNewNames()
    {
        VfsPath place = _tree.Place("a/sub");
        Assert.Equal(Errno.None, _files.RemoveDirectory("a/sub"));
        Errno error = VirtualFileSystem.Create(_files.Caller, place, "x"u8, (uint)Stat.S_IFREG | 0x1a4, 0, out _);
        Assert.Equal(Errno.ENOENT, error);
        place.DecRef();
    }
}
