using System;
using System.Text;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.Vfs;
using Xunit;
using VfsMount = Runsc.Sentry.Vfs.Mount;

namespace Runsc.Tests.Unit.Vfs;

public sealed class MountTests : IDisposable
{
    private readonly TmpfsTree _tree = new();
    private readonly FileSystemFixture _files;

    public MountTests()
    {
        _files = _tree.Files;
        _files.MakeDirectory("m");
        _files.MakeDirectory("m/below");
        _files.Write("plain", "p");
    }

    public void Dispose() => _tree.Dispose();

    [Fact]
    public void Mount_HidesAndUmountShowsAgain()
    {
        VfsMount mount = _tree.Mount("m");
        Assert.Equal([], _files.List("m"));
        Assert.NotEqual(_files.Stat("/").Device, _files.Stat("m").Device);
        _files.Write("m/x", "1");
        Assert.Equal(Errno.None, _tree.Resolve("m/../plain"));
        Assert.Equal(Errno.EBUSY, _files.RemoveDirectory("m"));
        Assert.Equal(Errno.EBUSY, _files.Rename("m", "n"));
        Assert.Equal(Errno.EXDEV, _files.Rename("m/x", "x"));
        Assert.Equal(Errno.EXDEV, _files.Link("m/x", "x"));
        Assert.Equal(Errno.EXDEV, _tree.Resolve("m/x", WalkFlags.NoCrossMounts));
        Assert.Equal(Errno.None, _tree.Mounts.Detach(mount, lazy: false));
        Assert.Equal(["below"], _files.List("m"));
        Assert.Equal(Errno.None, _files.Rename("m", "n"));
    }

    [Fact]
    public void Umount_OfABusyMount_IsRefusedUnlessLazy()
    {
        VfsMount mount = _tree.Mount("m");
        _files.Write("m/x", "1");
        FileDescription file = _files.Open("m/x");
        Assert.Equal(Errno.EBUSY, _tree.Mounts.Detach(mount, lazy: false));
        Assert.Equal(Errno.None, _tree.Mounts.Detach(mount, lazy: true));
        Assert.Equal("1", _files.Read(file));
        file.DecRef();
        Assert.Equal(Errno.EINVAL, _tree.Mounts.Detach(mount, lazy: false));
        Assert.Equal(Errno.EINVAL, _tree.Mounts.Detach(_tree.Mounts.Root, lazy: true));
    }

    [Fact]
    public void Move_TakesWhatIsBelowWithIt()
    {
        VfsMount mount = _tree.Mount("m");
        _files.MakeDirectory("m/inner");
        _tree.Mount("m/inner");
        _files.Write("m/inner/x", "1");
        _files.MakeDirectory("other");
        VfsPath place = _tree.Place("other"), inside = _tree.Place("m/inner"), plain = _tree.Place("plain");
        Assert.Equal(Errno.ELOOP, _tree.Mounts.Move(mount, inside));
        Assert.Equal(Errno.ENOTDIR, _tree.Mounts.Move(mount, plain));
        Assert.Equal(Errno.EINVAL, _tree.Mounts.Move(_tree.Mounts.Root, place));
        Assert.Equal(Errno.None, _tree.Mounts.Move(mount, place));
        place.DecRef();
        inside.DecRef();
        plain.DecRef();
        Assert.Equal(Errno.None, _tree.Resolve("other/inner/x"));
        Assert.Equal(["below"], _files.List("m"));
        Assert.Equal(Errno.None, _files.Rename("m", "n"));
        Assert.Equal(Errno.EBUSY, _files.RemoveDirectory("other"));
    }

    [Fact]
    public void PivotRoot_PutsTheOldRootWhereItIsTold()
    {
        VfsMount mount = _tree.Mount("m");
        _files.MakeDirectory("m/old");
        VfsPath root = _tree.Mounts.GetRootPath(), newRoot = _tree.Place("m"), putOld = _tree.Place("m/old"), outside = _tree.Place("/");
        VfsMount old = root.Mount;
        Assert.Equal(Errno.EBUSY, _tree.Mounts.PivotRoot(root, newRoot, outside));
        Assert.Equal(Errno.EINVAL, _tree.Mounts.PivotRoot(root, putOld, putOld));
        Assert.Equal(Errno.None, _tree.Mounts.PivotRoot(root, newRoot, putOld));
        Assert.Same(mount, _tree.Mounts.Root);
        Assert.True(_tree.Mounts.TryGetMountAt(putOld, out VfsMount? there));
        Assert.Same(old, there);
        there!.DecRef();
        Assert.Equal("/old/plain", Encoding.Latin1.GetString(PathOf(old, "plain")));
        Assert.Equal(Errno.None, _tree.Mounts.Detach(old, lazy: true));
        Assert.False(_tree.Mounts.TryGetMountAt(putOld, out _));
        Assert.Single(_tree.Mounts.Snapshot());
        root.DecRef();
        newRoot.DecRef();
        putOld.DecRef();
        outside.DecRef();

        byte[] PathOf(VfsMount within, string name)
        {
            Assert.Equal(Errno.None, PathWalker.LookupChild(within.Root, FileSystemFixture.Bytes(name), out Dentry? child));
            VfsPath top = _tree.Mounts.GetRootPath();
            byte[] path = _tree.Mounts.GetPath(new VfsPath(within, child!), top, out _)!;
            top.DecRef();
            child!.DecRef();
            return path;
        }
    }

    [Fact]
    public void Mounts_StackOnOnePoint()
    {
        _tree.Mount("m");
        _files.Write("m/first", "");
        VfsMount second = _tree.Mount("m");
        Assert.Equal([], _files.List("m"));
        Assert.Equal(Errno.None, _tree.Mounts.Detach(second, lazy: false));
        Assert.Equal(["first"], _files.List("m"));
    }

    [Fact]
    public void Paths_GoThroughMounts()
    {
        _tree.Mount("m");
        _files.MakeDirectory("m/in");
        VfsPath place = _tree.Place("m/in");
        Assert.Equal("/m/in", Encoding.ASCII.GetString(_tree.Mounts.GetPath(place, _files.Caller.Root, out _)!));
        Assert.Equal(Errno.EBUSY, _tree.Mounts.Detach(place.Mount, lazy: false));
        place.DecRef();
    }

    [Fact]
    public void ReadOnlyMount_TakesNoWrites()
    {
        _tree.Mount("m", Linux.Mount.MS_RDONLY);
        Assert.Equal(Errno.EROFS, _files.Open("m/x", Fcntl.O_CREAT | Fcntl.O_WRONLY, out _));
        Assert.Equal(Errno.EROFS, _files.MakeDirectory("m/d"));
    }

    [Fact]
    public void Bind_IsTheSameTreeElsewhere()
    {
        _files.Write("m/below/f", "1");
        _files.MakeDirectory("other");
        VfsPath source = _tree.Place("m/below"), target = _tree.Place("other");
        source.Dentry.IncRef();
        VfsMount bind = MountNamespace.NewMount(source.Mount.Super, source.Dentry, 0);
        Assert.Equal(Errno.None, _tree.Mounts.Attach(bind, target));
        _files.Write("other/g", "2");
        Assert.Equal(["f", "g"], _files.List("m/below"));
        Assert.Equal(Errno.None, _tree.Resolve("other/../plain"));
        VfsPath file = _tree.Place("plain");
        Assert.Equal(Errno.ENOTDIR, _tree.Mounts.Attach(MountNamespace.NewMount(source.Mount.Super, source.Dentry, 0), file));
        file.DecRef();
        source.DecRef();
        target.DecRef();
    }

    [Fact]
    public void Clone_HasMountsOfItsOwn()
    {
        VfsMount mount = _tree.Mount("m");
        _files.Write("m/x", "1");
        MountNamespace copy = _tree.Mounts.Clone(UserNamespace.Initial, out System.Collections.Generic.Dictionary<VfsMount, VfsMount> map);
        Assert.Equal(2, copy.Snapshot().Count);
        Assert.Equal(Errno.None, _tree.Mounts.Detach(mount, lazy: false));
        VfsPath root = copy.GetRootPath();
        FileSystemFixture.TestCaller other = new(copy, root);
        Assert.Equal(Errno.None, PathWalker.Resolve(other, root, "m/x"u8, WalkFlags.None, out VfsPath place));
        Assert.Same(map[mount], place.Mount);
        place.DecRef();
        Assert.Equal(Errno.ENOENT, _tree.Resolve("m/x"));
    }

    [Fact]
    public void Chroot_StopsDotDot()
    {
        VfsPath below = _tree.Place("m");
        _files.Caller.Fs!.SetRoot(below);
        Assert.Equal(Errno.None, PathWalker.Resolve(_files.Caller, below, "/../../below"u8, WalkFlags.None, out VfsPath place));
        Assert.Equal("/below", Encoding.ASCII.GetString(_tree.Mounts.GetPath(place, below, out _)!));
        place.DecRef();
        Assert.Equal(Errno.ENOENT, _tree.Resolve("/plain"));
    }
}
