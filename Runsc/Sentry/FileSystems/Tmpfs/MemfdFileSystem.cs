using System;
using Runsc.Linux;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Vfs;

namespace Runsc.Sentry.FileSystems.Tmpfs;

/// <summary>The nameless files of memfd_create(2), which live in a tmpfs that is mounted nowhere.</summary>
internal sealed class MemfdFileSystem : IMemoryFiles
{
    private readonly TmpfsSuperBlock _super;
    private readonly Vfs.Mount _mount;

    public MemfdFileSystem(SentryKernel kernel)
    {
        _super = new TmpfsSuperBlock(kernel, (long)kernel.Memory.Limit) { Device = kernel.NewDevice() };
        _mount = MountNamespace.NewMount(_super, MountNamespace.NewRootDentry(_super), 0);
    }

    public Errno Create(ICaller caller, ReadOnlySpan<byte> name, uint mode, bool sealable, out FileDescription? file)
    {
        file = null;
        if (!_super.ChargeInode())
        {
            return Errno.ENOSPC;
        }

        CreateOptions options = new((uint)Stat.S_IFREG | mode, caller.Credentials.FsUid, caller.Credentials.FsGid);
        TmpfsFile inode = new(_super, options) { Seals = sealable ? 0 : (uint)Fcntl.F_SEAL_SEAL, Links = 0 };
        byte[] shown = [.. "/memfd:"u8, .. name, .. " (deleted)"u8];
        _mount.IncRef();
        return inode.Open(caller, new VfsPath(_mount, new Dentry(null, shown, inode)), Fcntl.O_RDWR, out file);
    }
}
