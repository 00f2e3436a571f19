using System;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Dev;
using Runsc.Sentry.FileSystems.DevPts;
using Runsc.Sentry.FileSystems.Mqueue;
using Runsc.Sentry.FileSystems.Pipe;
using Runsc.Sentry.FileSystems.Proc;
using Runsc.Sentry.FileSystems.Sys;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
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
        kernel.FileSystemTypes["proc"] = (SentryKernel owner, NetworkNamespace _, ReadOnlySpan<byte> _, string _, out SuperBlock? super) =>
        {
            super = ProcFileSystem.Create(owner);
            return Errno.None;
        };
        kernel.FileSystemTypes["devtmpfs"] = (SentryKernel owner, NetworkNamespace _, ReadOnlySpan<byte> _, string _, out SuperBlock? super) =>
        {
            super = DevFileSystem.Create(owner);
            return Errno.None;
        };
        kernel.FileSystemTypes["tmpfs"] = MakeTmpfs;
        kernel.FileSystemTypes["sysfs"] = MakeSys;
        kernel.FileSystemTypes["devpts"] = MakeDevPts;
        kernel.FileSystemTypes["mqueue"] = (SentryKernel owner, NetworkNamespace _, ReadOnlySpan<byte> _, string _, out SuperBlock? super) =>
        {
            super = MqueueFileSystem.Create(owner);
            return Errno.None;
        };
    }

    private static Errno MakeTmpfs(SentryKernel kernel, NetworkNamespace network, ReadOnlySpan<byte> source, string options, out SuperBlock? super)
    {
        Errno error = TmpfsOptions.TryParse(options, kernel.Memory.Limit, out TmpfsOptions parsed);
        super = error == Errno.None
            ? new TmpfsSuperBlock(kernel, parsed.Size, parsed.Inodes, parsed.Mode, parsed.Uid, parsed.Gid) { Device = kernel.NewDevice() }
            : null;
        return error;
    }

    private static Errno MakeDevPts(SentryKernel kernel, NetworkNamespace network, ReadOnlySpan<byte> source, string options, out SuperBlock? super)
    {
        Errno error = DevPtsOptions.TryParse(options, out DevPtsOptions parsed);
        super = error == Errno.None ? DevPtsFileSystem.Create(kernel, parsed) : null;
        return error;
    }

    private static Errno MakeSys(SentryKernel kernel, NetworkNamespace network, ReadOnlySpan<byte> source, string options, out SuperBlock? super)
    {
        long now = kernel.Clock.Realtime;
        super = SysFileSystem.Create(kernel.NewDevice(), kernel.Processors, (NetNamespace)network, new FileTime(now / 1_000_000_000, (uint)(now % 1_000_000_000)));
        return Errno.None;
    }
}
