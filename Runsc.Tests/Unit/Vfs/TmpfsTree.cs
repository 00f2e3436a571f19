using System;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Vfs;
using Xunit;
using VfsMount = Runsc.Sentry.Vfs.Mount;

namespace Runsc.Tests.Unit.Vfs;

/// <summary>A tmpfs as the root of a tree, for tests of what is above file systems.</summary>
internal sealed class TmpfsTree : IDisposable
{
    public TmpfsTree(long maxBytes = 0, long maxInodes = 0)
    {
        Files = new FileSystemFixture();
        Super = NewTmpfs(maxBytes, maxInodes);
        Files.Mount(Super);
    }

    public FileSystemFixture Files { get; }

    public TmpfsSuperBlock Super { get; }

    public MountNamespace Mounts => Files.Caller.MountNamespace;

    public TmpfsSuperBlock NewTmpfs(long maxBytes = 0, long maxInodes = 0) =>
        new(Files.Kernel, maxBytes, maxInodes, mode: 0x1ed) { Device = Files.Kernel.NewDevice() };

    /// <summary>Credentials of a user without capabilities.</summary>
    public void Become(uint uid, uint gid = 100, params uint[] groups) =>
        Files.Caller.Credentials = new Credentials { RealUid = uid, EffectiveUid = uid, FsUid = uid, RealGid = gid, EffectiveGid = gid, FsGid = gid, Groups = groups };

    public void BecomeRoot() => Files.Caller.Credentials = new Credentials { Permitted = ulong.MaxValue, Effective = ulong.MaxValue };

    public Errno Resolve(string path, WalkFlags flags, out VfsPath place) =>
        PathWalker.Resolve(Files.Caller, Files.Caller.Root, FileSystemFixture.Bytes(path), flags, out place);

    public Errno Resolve(string path, WalkFlags flags = WalkFlags.FollowLast)
    {
        Errno error = Resolve(path, flags, out VfsPath place);
        if (error == Errno.None)
        {
            place.DecRef();
        }

        return error;
    }

    public VfsPath Place(string path)
    {
        Assert.Equal(Errno.None, Resolve(path, WalkFlags.FollowLast, out VfsPath place));
        return place;
    }

    /// <summary>Mounts a new tmpfs; the mount.</summary>
    public VfsMount Mount(string path, ulong flags = 0)
    {
        TmpfsSuperBlock super = NewTmpfs();
        VfsMount mount = MountNamespace.NewMount(super, MountNamespace.NewRootDentry(super), flags);
        VfsPath place = Place(path);
        Assert.Equal(Errno.None, Mounts.Attach(mount, place));
        place.DecRef();
        return mount;
    }

    public Errno Chmod(string path, uint mode) => Files.Change(path, new AttributeChange { Mask = AttributeMask.Mode, Mode = mode });

    public Errno Chown(string path, uint uid, uint gid) =>
        Files.Change(path, new AttributeChange { Mask = AttributeMask.Uid | AttributeMask.Gid, Uid = uid, Gid = gid });

    public void Dispose() => Files.Dispose();
}
