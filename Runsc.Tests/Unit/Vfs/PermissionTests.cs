using System;
using Runsc.Linux;
using Runsc.Sentry.Vfs;
using Xunit;

namespace Runsc.Tests.Unit.Vfs;

public sealed class PermissionTests : IDisposable
{
    private const int Read = Fcntl.O_RDONLY;
    private const int Write = Fcntl.O_WRONLY;

    private readonly TmpfsTree _tree = new();
    private readonly FileSystemFixture _files;

    public PermissionTests()
    {
        _files = _tree.Files;
        _files.MakeDirectory("d");
        _files.Write("d/f", "text");
        _tree.Chown("d", 10, 20);
        _tree.Chown("d/f", 10, 20);
    }

    public void Dispose() => _tree.Dispose();

    private Errno Open(string path, int flags)
    {
        Errno error = _files.Open(path, flags, out FileDescription? file);
        file?.DecRef();
        return error;
    }

    [Fact]
    public void Classes_AreOwnerThenGroupThenOthers()
    {
        // Owner may nothing, group read, others write: the first class that fits counts.
        _tree.Chmod("d/f", 0x22);
        _tree.Become(10, 20);
        Assert.Equal((Errno.EACCES, Errno.EACCES), (Open("d/f", Read), Open("d/f", Write)));
        _tree.Become(11, 99, 20);
        Assert.Equal((Errno.None, Errno.EACCES), (Open("d/f", Read), Open("d/f", Write)));
        _tree.Become(12);
        Assert.Equal((Errno.EACCES, Errno.None), (Open("d/f", Read), Open("d/f", Write)));
        _tree.BecomeRoot();
        Assert.Equal(Errno.None, Open("d/f", Fcntl.O_RDWR));
    }

    [Fact]
    public void Directories_NeedSearchAndWrite()
    {
        _tree.Chmod("d", 0x1e4);
        _tree.Become(12);
        Assert.Equal(Errno.EACCES, Open("d/f", Read));
        Assert.Equal(Errno.None, Open("d", Read));
        _tree.BecomeRoot();
        _tree.Chmod("d", 0x1e1);
        _tree.Become(12);
        Assert.Equal(Errno.None, Open("d/f", Read));
        Assert.Equal(Errno.EACCES, Open("d", Read));
        Assert.Equal(Errno.EACCES, Open("d/new", Write | Fcntl.O_CREAT));
        Assert.Equal(Errno.EACCES, _files.MakeDirectory("d/new"));
        Assert.Equal(Errno.EACCES, _files.Unlink("d/f"));
        Assert.Equal(Errno.EACCES, _files.Rename("d/f", "d/g"));
        Assert.Equal(Errno.EEXIST, _files.MakeDirectory("d/f"));
    }

    [Fact]
    public void StickyDirectories_ProtectOthersFiles()
    {
        _tree.Chmod("d", 0x3ff);
        _tree.Become(12);
        Assert.Equal(Errno.EPERM, _files.Unlink("d/f"));
        Assert.Equal(Errno.EPERM, _files.Rename("d/f", "d/g"));
        _files.Write("d/own", "x");
        Assert.Equal(Errno.EPERM, _files.Rename("d/own", "d/f"));
        Assert.Equal(Errno.None, _files.Unlink("d/own"));
        _tree.Become(10);
        Assert.Equal(Errno.None, _files.Unlink("d/f"));
    }

    [Fact]
    public void NewFiles_GetUmaskAndTheGroupOfASetgidDirectory()
    {
        _files.Caller.Fs!.ExchangeUmask(0x12);
        FileDescription file = _files.Open("d/x", Write | Fcntl.O_CREAT, 0x1b6);
        file.DecRef();
        Assert.Equal((0x1a4u, 0u), (_files.Stat("d/x").Mode & 0xfff, _files.Stat("d/x").Gid));
        _tree.Chmod("d", 0x5ed);
        _files.MakeDirectory("d/sub");
        Assert.Equal((0x400u, 20u), (_files.Stat("d/sub").Mode & 0xe00, _files.Stat("d/sub").Gid));
        _files.Write("d/y", "");
        Assert.Equal((0u, 20u), (_files.Stat("d/y").Mode & 0xe00, _files.Stat("d/y").Gid));
    }

    [Fact]
    public void Change_ByOthers_IsRefused()
    {
        _tree.Become(12);
        Assert.Equal(Errno.EPERM, Change(new AttributeChange { Mask = AttributeMask.Mode, Mode = 0x1ff }));
        Assert.Equal(Errno.EPERM, Change(new AttributeChange { Mask = AttributeMask.Uid, Uid = 12 }));
        _tree.Become(10, 20, 30);
        Assert.Equal(Errno.None, Change(new AttributeChange { Mask = AttributeMask.Mode, Mode = 0x9ed }));
        Assert.Equal(Errno.EPERM, Change(new AttributeChange { Mask = AttributeMask.Uid, Uid = 12 }));
        Assert.Equal(Errno.EPERM, Change(new AttributeChange { Mask = AttributeMask.Gid, Gid = 31 }));
        Assert.Equal(Errno.None, Change(new AttributeChange { Mask = AttributeMask.Gid, Gid = 30 }));

        // The set-user-id bit does not survive a change of group.
        Assert.Equal((0x1edu, 30u), (_files.Stat("d/f").Mode & 0xfff, _files.Stat("d/f").Gid));

        Errno Change(AttributeChange change)
        {
            VfsPath place = _tree.Place("d/f");
            Errno error = AttributeRules.Change(_files.Caller, place, change);
            place.DecRef();
            return error;
        }
    }

    [Fact]
    public void WriteByOthers_DropsSetIds()
    {
        _tree.Chmod("d/f", 0xdff);
        _tree.Become(12);
        _files.Write("d/f", "x", Write);
        Assert.Equal(0x1ffu, _files.Stat("d/f").Mode & 0xfff);
    }
}
