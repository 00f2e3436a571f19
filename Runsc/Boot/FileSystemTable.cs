using System;
using Runsc.Linux;
using Runsc.Sentry.Auth;
using Runsc.Sentry.FileSystems.Dev;
using Runsc.Sentry.FileSystems.DevPts;
using Runsc.Sentry.FileSystems.Mqueue;
using Runsc.Sentry.FileSystems.Pipe;
using Runsc.Sentry.FileSystems.Proc;
using Runsc.Sentry.FileSystems.Sys;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Sockets;
using Runsc.Sentry.Sockets.Tun;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>The file systems that mount(2) and the container's configuration can name, and the devices behind special files.</summary>
internal static class FileSystemTable
{
    public static void Register(SentryKernel kernel, SpecialFiles special)
    {
        special.OpenFifo = Fifo.Open;
        MemoryDevices.Register(kernel, special);
        DevPtsFileSystem.Register(special);
        special.Register(TunDescription.Major, TunDescription.Minor, TunDescription.Open);
        kernel.FileSystemTypes["proc"] = (SentryKernel owner, ICaller _, ReadOnlySpan<byte> _, string _, out SuperBlock? super) =>
        {
            super = ProcFileSystem.Create(owner);
            return Errno.None;
        };
        kernel.FileSystemTypes["devtmpfs"] = (SentryKernel owner, ICaller _, ReadOnlySpan<byte> _, string _, out SuperBlock? super) =>
        {
            super = DevFileSystem.Create(owner);
            return Errno.None;
        };
        kernel.FileSystemTypes["tmpfs"] = MakeTmpfs;
        kernel.FileSystemTypes["sysfs"] = MakeSys;
        kernel.FileSystemTypes["devpts"] = MakeDevPts;
        kernel.FileSystemTypes["mqueue"] = (SentryKernel owner, ICaller caller, ReadOnlySpan<byte> _, string _, out SuperBlock? super) =>
        {
            super = MqueueFileSystem.Of(owner, caller is INamespaceUser user ? user.Ipc : owner.RootIpc).Super;
            return Errno.None;
        };
    }

    private static Errno MakeTmpfs(SentryKernel kernel, ICaller caller, ReadOnlySpan<byte> source, string options, out SuperBlock? super)
    {
        Errno error = TmpfsOptions.TryParse(options, kernel.Memory.Limit, out TmpfsOptions parsed);
        (uint? uid, uint? gid) = (parsed.Uid, parsed.Gid);
        error = error == Errno.None ? MapIds(caller, ref uid, ref gid) : error;
        super = error == Errno.None
            ? new TmpfsSuperBlock(kernel, parsed.Size, parsed.Inodes, parsed.Mode, uid ?? caller.Credentials.FsUid, gid ?? caller.Credentials.FsGid) { Device = kernel.NewDevice() }
            : null;
        return error;
    }

    // Ids in options are those of the caller's user namespace.
    private static Errno MapIds(ICaller caller, ref uint? uid, ref uint? gid)
    {
        UserNamespace users = caller.Credentials.UserNamespace;
        uid = uid is { } user ? users.Uids.ToKernel(user) : null;
        gid = gid is { } group ? users.Gids.ToKernel(group) : null;
        return uid == IdMap.Invalid || gid == IdMap.Invalid ? Errno.EINVAL : Errno.None;
    }

    private static Errno MakeDevPts(SentryKernel kernel, ICaller caller, ReadOnlySpan<byte> source, string options, out SuperBlock? super)
    {
        Errno error = DevPtsOptions.TryParse(options, out DevPtsOptions parsed);
        (uint? uid, uint? gid) = (parsed.Uid, parsed.Gid);
        error = error == Errno.None ? MapIds(caller, ref uid, ref gid) : error;
        super = error == Errno.None ? DevPtsFileSystem.Create(kernel, parsed with { Uid = uid, Gid = gid }) : null;
        return error;
    }

    private static Errno MakeSys(SentryKernel kernel, ICaller caller, ReadOnlySpan<byte> source, string options, out SuperBlock? super)
    {
        long now = kernel.Clock.Realtime;
        super = SysFileSystem.Create(kernel.NewDevice(), kernel.Processors, (NetNamespace)(caller is Task task ? task.Network : kernel.RootNetwork), new FileTime(now / 1_000_000_000, (uint)(now % 1_000_000_000)));
        return Errno.None;
    }
}
