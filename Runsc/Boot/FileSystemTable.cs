using System;
using Runsc.Linux;
using Runsc.Sentry.FileSystems.Pipe;
using Runsc.Sentry.FileSystems.Sys;
using Runsc.Sentry.FileSystems.Tmpfs;
using Runsc.Sentry.Kernel;
using Runsc.Sentry.Kernel.Tasks;
using Runsc.Sentry.Vfs;

namespace Runsc.Boot;

/// <summary>The file systems that mount(2) and the container's configuration can name, and the devices behind special files.</summary>
internal static class FileSystemTable
{
    public static void Register(SentryKernel kernel, SpecialFiles special)
    {
        special.OpenFifo = Fifo.Open;
        kernel.FileSystemTypes["tmpfs"] = MakeTmpfs;
        kernel.FileSystemTypes["sysfs"] = MakeSys;
    }

    private static Errno MakeTmpfs(Task task, ReadOnlySpan<byte> source, string options, out SuperBlock? super)
    {
        Errno error = TmpfsOptions.TryParse(options, task.Kernel.Memory.Limit, out TmpfsOptions parsed);
        super = error == Errno.None
            ? new TmpfsSuperBlock(task.Kernel, parsed.Size, parsed.Inodes, parsed.Mode, parsed.Uid, parsed.Gid) { Device = task.Kernel.NewDevice() }
            : null;
        return error;
    }

    private static Errno MakeSys(Task task, ReadOnlySpan<byte> source, string options, out SuperBlock? super)
    {
        long now = task.Kernel.Clock.Realtime;
        super = SysFileSystem.Create(task.Kernel.NewDevice(), task.Kernel.Processors, new FileTime(now / 1_000_000_000, (uint)(now % 1_000_000_000)));
        return Errno.None;
    }
}
